"""Result -> the model that it is a seed of: method, trunk and recipe."""

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from selfpatch.results.file import Result
from selfpatch.results.settings import Settings, differences, digest, flat

SELFPATCH = "+selfpatch"
"""What a method's name ends with where SelfPatch is part of it."""

METHODS = {
    "random": "random weights",
    "colours": "colour histograms",
    "unknown": "unknown method",
    "supervised": "supervised",
    "deit": "DeiT",
    "mocov2": "MoCo-v2",
    "swav": "SwAV",
    "densecl": "DenseCL",
    "detco": "DetCo",
    "resim": "ReSim",
    "augreg": "AugReg",
    "clip": "CLIP",
    "openclip": "OpenCLIP",
    "siglip": "SigLIP",
    "eva02": "EVA-02",
    "mae": "MAE",
    "ijepa": "I-JEPA",
    "esvit": "EsViT",
    "ibot": "iBOT",
    "dinov2": "DINOv2",
    "dinov3": "DINOv3",
    "mocov3": "MoCo-v3",
    "moby": "MoBY",
    "dino": "DINO",
}
"""Method -> its name, in the order of the tables, which is the paper's."""

PRETRAINED_HERE = ("mocov3", "moby", "dino")
"""Methods that this suite trains itself, alone and with SelfPatch."""

VIT_SIZES = {(192, 12): "T", (384, 12): "S", (768, 12): "B", (1024, 24): "L", (1280, 32): "H",
             (1536, 40): "g"}  # fmt: skip
SWIN_SIZES = {(96, (2, 2, 6, 2)): "T", (96, (2, 2, 18, 2)): "S"}
"""Width and depth -> the letter of the name; g is DINOv2's."""


class Model(NamedTuple):
    """What may have several seeds.

    Attributes:
        method: As backbones name it, such as ``dino+selfpatch``.
        trunk: As people name it, such as ``ViT-S/16``.
        key: Tells it from others of its method and trunk; empty for one that was not trained yet.
    """

    method: str
    trunk: str
    key: str = ""

    @property
    def name(self) -> str:
        """The method as people name it."""
        trained, comma, further = self.method.partition(", ")
        base = base_of(trained)
        return METHODS.get(base, base) + " + SelfPatch" * (base != trained) + comma + further

    @property
    def partner(self) -> "Model | None":
        """The same with SelfPatch, or without; None for a method that is not trained here."""
        base = base_of(self.method)
        if base not in PRETRAINED_HERE:
            return None
        return Model(base + SELFPATCH if self.method == base else base, self.trunk)

    @property
    def order(self) -> tuple[Any, ...]:
        """Trunks together; methods in the paper's order, each followed by itself with SelfPatch."""
        base, known = base_of(self.method), list(METHODS)
        place = known.index(base) if base in known else len(known)
        return trunk_order(self.trunk), place, base, self.method, self.key


def model_of(result: Result) -> Model:
    """The model of a result: all of it but the seeds.

    Where the recipe is not known, as of an imported checkpoint, nobody can say which backbones
    differ in the seed alone: each is a model of its own.
    """
    stated = result.backbone
    traits = {name: stated[name] for name in ("architecture", "network", "settings")}
    if not stated["settings"]:
        traits["fingerprint"] = stated["fingerprint"]
    return Model(stated["method"], trunk_name(stated["architecture"]), digest(traits))


def recipe_of(result: Result) -> Settings:
    """What a backbone is and was trained by, without the seed."""
    stated = result.backbone
    parts = {"architecture": stated["architecture"], "network": stated["network"]}
    return {**flat(parts), **stated["settings"]}


def variants(models: Mapping[Model, Result]) -> dict[Model, str]:
    """What tells each model from the others of its method and trunk; nothing where it is alone.

    Args:
        models: Each model, and any result of it.
    """
    named = {}
    for model, result in models.items():
        alike = [
            other
            for one, other in models.items()
            if one[:2] == model[:2] and one != model and other.backbone["settings"]
        ]
        if result.backbone["settings"]:
            named[model] = ", ".join(differences(recipe_of(result), [recipe_of(o) for o in alike]))
        else:
            alone = [one[:2] for one in models].count(model[:2]) == 1
            named[model] = "" if alone else f"weights {result.backbone['fingerprint'][:8] or '-'}"
    return named


def nearest(result: Result, others: Collection[Result]) -> Result | None:
    """The one whose recipe differs least; None where several are as near, or none is known."""
    own = recipe_of(result)
    known = [other for other in others if other.backbone["settings"]]
    if len(others) == 1:
        return next(iter(others))
    if not (result.backbone["settings"] and known):
        return None
    distances = [distance(own, recipe_of(other)) for other in known]
    least = min(distances)
    return known[distances.index(least)] if distances.count(least) == 1 else None


def distance(one: Settings, other: Settings) -> int:
    """In how many values two recipes differ."""
    return sum(one.get(name, ...) != other.get(name, ...) for name in {*one, *other})


def base_of(method: str) -> str:
    """The method without SelfPatch."""
    return method.removesuffix(SELFPATCH)


def trunk_name(architecture: Mapping[str, Any]) -> str:
    """``ViT-S/16``, ``Swin-T``, ``ResNet-50``; sizes without a letter by width and depth.

    Architectures come from files: values of any type give some name.
    """
    stated = {name: str(value) for name, value in architecture.items()}
    width, depth = stated.get("embed_dim", "?"), stated.get("depth", "?")
    match stated.get("family"):
        case "vit":
            size = {(str(w), str(d)): s for (w, d), s in VIT_SIZES.items()}.get((width, depth))
            return f"ViT-{size or f'{width}x{depth}'}/{stated.get('patch_size', '?')}"
        case "swin":
            depths = ",".join(re.findall(r"\d+", stated.get("depths", "")))
            sizes = {(str(w), ",".join(map(str, d))): s for (w, d), s in SWIN_SIZES.items()}
            return f"Swin-{sizes.get((width, depths), f'{width}x{depths}')}"
        case "resnet":
            return f"ResNet-{depth}"
        case "colours":
            return f"Colours/{stated.get('patch_size', '?')}"
        case "timm":
            return stated.get("name", "?")
    return "-"


def trunk_order(trunk: str) -> tuple[int, str]:
    """ResNets, ViTs by size, Swins, others: as the paper's tables."""
    first = ("ResNet", "ViT-T", "ViT-S/16", "ViT-S", "ViT-B", "ViT-L", "ViT", "Swin")
    places = [place for place, name in enumerate(first) if trunk.startswith(name)]
    return (places[0] if places else len(first)), trunk
