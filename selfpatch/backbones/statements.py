"""What the files beside some weights state -> the values of a trunk that weights do not tell."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from selfpatch.backbones import timm_folder
from selfpatch.errors import InputError

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "silu": "swiglu",
}
"""Names of activations in Hugging Face's and open_clip's configs -> those here."""

MODELS = {
    "vit": (None, "bicubic"),
    "deit": ("deit", "bicubic"),
    "vit_mae": ("mae", "bicubic"),
    "ijepa": ("ijepa", "bicubic"),
    "dinov2": ("dinov2", "bicubic"),
    "dinov2_with_registers": ("dinov2", "antialiased"),
    "dinov3_vit": ("dinov3", "bicubic"),
    "clip": ("clip", "bicubic"),
    "clip_vision_model": ("clip", "bicubic"),
    "siglip": ("siglip", "bicubic"),
    "siglip_vision_model": ("siglip", "bicubic"),
    "swin": (None, "bicubic"),
}
"""``model_type`` of Hugging Face's transformers -> the method that it tells, and how positions are
resized by the code of that model (transformers 5.24)."""


@dataclass(frozen=True)
class Statement:
    """What a file or what lies beside it says of itself.

    Attributes:
        source: Which file says it.
        values: Values of the architecture.
        method: How it was trained, where that is said.
        is_config: Whether a whole config of OpenMMLab's lies in the checkpoint.
        network: Name and options of a network of timm, if it is none of this suite's families.
    """

    source: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    method: str | None = None
    network: tuple[str, dict[str, Any]] | None = None
    is_config: bool = False


def statement_of(stated: Mapping[str, dict[str, Any]], values: Mapping[str, Any]) -> Statement:
    """What a folder's files state, or what a checkpoint's own config does.

    Args:
        stated: Name of a file -> its JSON.
        values: What the weights' file holds.

    Raises:
        InputError: The folder is of a kind of model that is not known here.
    """
    config, images = stated.get("config.json", {}), stated.get("preprocessor_config.json", {})
    if "model_cfg" in stated.get("open_clip_config.json", {}):
        return of_open_clip(stated["open_clip_config.json"])
    if "model_type" in config:
        return of_transformers(config, images)
    if "architecture" in config:
        return of_timm(config)
    text = values.get("meta.cfg", values.get("meta.config"))  # since mmengine, and before
    if isinstance(text, str):
        return of_openmmlab(text)
    return Statement()


def of_transformers(config: dict[str, Any], images: dict[str, Any]) -> Statement:
    """Hugging Face's ``config.json`` and ``preprocessor_config.json``."""
    kind = config["model_type"]
    if kind not in MODELS:
        raise InputError(
            f"its config.json says that it is a {kind}, and none of {', '.join(MODELS)}"
        )
    method, resizing = MODELS[kind]
    vision = config.get("vision_config", config)
    values = {
        "norm_eps": vision.get("layer_norm_eps"),
        "activation": activation_in(vision),
        "resizing": resizing,
        "image_size": vision.get("image_size"),
        "num_heads": vision.get("num_attention_heads"),
        "rotary_base": vision.get(
            "rope_theta", vision.get("rope_parameters", {}).get("rope_theta")
        ),
        "mean": images.get("image_mean"),
        "std": images.get("image_std"),
    }
    known = {name: value for name, value in values.items() if value is not None}
    return Statement("config.json", known, method)


def activation_in(vision: dict[str, Any]) -> str | None:
    """The activation of a Hugging Face model; None where its config leaves it to the class."""
    if vision.get("use_swiglu_ffn"):
        return "swiglu"
    return activation_of(vision["hidden_act"]) if "hidden_act" in vision else None


def activation_of(name: Any) -> str:
    """An activation under its name here."""
    if name not in ACTIVATIONS:
        raise InputError(f"its config.json states the activation {name!r}, which is not known here")
    return ACTIVATIONS[name]


def of_timm(config: dict[str, Any]) -> Statement:
    """timm's ``config.json``; the network that it names is asked for the rest."""
    name, options = config["architecture"], config.get("model_args", {})
    pretrained = config.get("pretrained_cfg", config)  # beside it in older ones
    method = timm_folder.method_of(str(name), str(pretrained.get("tag", "")))
    return of_network(str(name), options, pretrained, "config.json", method)


def of_network(
    name: str, options: dict[str, Any], images: dict[str, Any], source: str, method: str | None
) -> Statement:
    """A network of timm; ``images`` has its mean and standard deviation."""
    try:
        values = timm_folder.values_of(name, options)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise InputError(f"timm cannot build the {name} of its {source} ({error})") from None
    stated = {**(values or {}), "mean": images.get("mean"), "std": images.get("std")}
    known = {key: value for key, value in stated.items() if value is not None}
    return Statement(source, known, method, None if values is not None else (name, options))


def of_open_clip(config: dict[str, Any]) -> Statement:
    """``open_clip_config.json`` of an image tower, open_clip's own ViT or a network of timm."""
    model, images = config["model_cfg"], config.get("preprocess_cfg", {})
    vision, source = model["vision_cfg"], "open_clip_config.json"
    if "timm_model_name" in vision:
        name, options = vision["timm_model_name"], vision.get("timm_model_kwargs", {})
        method = "siglip" if "siglip" in name else "openclip"
        return of_network(name, options, images, source, method)
    if vision.get("act_kwargs"):
        raise InputError(f"its {source} changes the activation, which is not known here")
    values = {
        "norm_eps": (vision.get("norm_kwargs") or {}).get("eps", 1e-5),
        "activation": "quick_gelu" if model.get("quick_gelu") else "gelu",
        "resizing": "antialiased",
        "image_size": vision.get("image_size"),
        "num_heads": vision["width"] // vision.get("head_width", 64),
        "mean": images.get("mean"),
        "std": images.get("std"),
    }
    known = {name: value for name, value in values.items() if value is not None}
    return Statement(source, known, "openclip")


def of_openmmlab(text: str) -> Statement:
    """The config in a checkpoint of mmengine's; it is Python, and parsed instead of run.

    Raises:
        InputError: It feeds blue, green and red in this order, or strides in another layer.
    """
    config = literals_of(text)
    model = config.get("model", {})
    backbone = found_in(model, "backbone")
    values: dict[str, Any] = {}
    images = found_in(model, "data_preprocessor") or config.get("data_preprocessor") or {}
    in_rgb = images.get("to_rgb") or images.get("bgr_to_rgb")
    if not images and isinstance(older := config.get("img_norm_cfg"), dict):  # before mmengine
        images, in_rgb = older, older.get("to_rgb", True)
    if "mean" in images and "std" in images:
        if not in_rgb:
            raise InputError("it takes images in the order blue, green, red, as no trunk here does")
        scale = 255 if max(images["mean"]) > 1 else 1
        values |= {name: [value / scale for value in images[name]] for name in ("mean", "std")}
    if backbone.get("style") == "caffe":
        raise InputError("its ResNet is of Caffe's style, with the stride in the first convolution")
    plain = {"strides": [1, 2, 2, 2], "dilations": [1, 1, 1, 1], "deep_stem": False}
    for name, value in plain.items():
        if "ResNet" in backbone.get("type", "") and backbone.get(name, value) != value:
            raise InputError(f"its ResNet has {name}={backbone[name]}, unlike torchvision's")
    if backbone.get("type", "").rsplit(".", 1)[-1] == "VisionTransformer":
        values |= of_openmmlabs_vit(backbone)
    method = MODELS_OF_MMPRETRAIN.get(model.get("type", ""))
    return Statement("its config", values, method, is_config=True)


def found_in(config: dict[str, Any], name: str) -> dict[str, Any]:
    """The first dict of this name in a config, however deep; models lie within models."""
    if isinstance(config.get(name), dict):
        return config[name]
    parts = [value for value in config.values() if isinstance(value, dict)]
    return next((found for part in parts if (found := found_in(part, name))), {})


MODELS_OF_MMPRETRAIN = {
    "MAE": "mae", "MoCoV3": "mocov3", "MoCo": "mocov2", "DenseCL": "densecl", "SwAV": "swav"
}  # fmt: skip
"""mmpretrain's self-supervised models -> the method."""

HEADS_OF_MMPRETRAIN = {
    "deit-t": 3, "deit-tiny": 3, "deit-s": 6, "deit-small": 6, "dinov2-s": 6, "dinov2-small": 6,
    "s": 8, "small": 8, "b": 12, "base": 12, "deit-b": 12, "deit-base": 12, "mocov3-s": 12,
    "mocov3-small": 12, "l": 16, "large": 16, "h": 16, "huge": 16,
}  # fmt: skip
"""mmpretrain's names of ViTs -> attention heads; its ``small`` is 768 wide."""


def of_openmmlabs_vit(backbone: dict[str, Any]) -> dict[str, Any]:
    """mmpretrain's or mmsegmentation's VisionTransformer; defaults are those of the two classes."""
    arch, norm = backbone.get("arch"), backbone.get("norm_cfg", {})
    heads = arch.get("num_heads") if isinstance(arch, dict) else HEADS_OF_MMPRETRAIN.get(str(arch))
    if backbone.get("interpolate_mode", "bicubic") != "bicubic":
        raise InputError(f"it resizes positions by {backbone['interpolate_mode']} interpolation")
    act = (backbone.get("layer_cfgs") or {}).get("act_cfg") or backbone.get("act_cfg") or {}
    kind = str(act.get("type", "GELU")).rsplit(".", 1)[-1].lower()
    of_mmpretrain = arch is not None or backbone["type"].startswith("MoCoV3")
    values = {
        "num_heads": heads or backbone.get("num_heads"),
        "norm_eps": norm.get("eps", 1e-6 if of_mmpretrain else 1e-5),
        "activation": activation_of({"quickgelu": "quick_gelu"}.get(kind, kind)),
        "resizing": "bicubic",
    }
    return {name: value for name, value in values.items() if value is not None}


def literals_of(text: str) -> dict[str, Any]:
    """The assignments of a config whose values are literals, or ``dict(...)`` of such."""
    try:
        statements = ast.parse(text).body
        return {
            node.targets[0].id: literal(node.value)
            for node in statements
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}


def literal(node: ast.expr) -> Any:
    """The value of an expression of a config; None for what is no literal."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "dict":
        return {str(keyword.arg): literal(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        return {
            literal(key): literal(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }
    if isinstance(node, ast.List | ast.Tuple):
        return [literal(element) for element in node.elts]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
