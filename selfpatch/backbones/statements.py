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
        network: Name and options of a network of timm, if it is none of this suite's families.
    """

    source: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    method: str | None = None
    network: tuple[str, dict[str, Any]] | None = None


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
    if isinstance(text := values.get("meta.cfg"), str):
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
        "activation": activation_of(
            vision.get("hidden_act", "quick_gelu" if "clip" in kind else "gelu")
        ),
        "resizing": resizing,
        "image_size": vision.get("image_size"),
        "num_heads": vision.get("num_attention_heads"),
        "rotary_base": vision.get("rope_theta"),
        "mean": images.get("image_mean"),
        "std": images.get("image_std"),
    }
    known = {name: value for name, value in values.items() if value is not None}
    return Statement("config.json", known, method)


def activation_of(name: Any) -> str:
    """An activation under its name here."""
    if name not in ACTIVATIONS:
        raise InputError(f"its config.json states the activation {name!r}, which is not known here")
    return ACTIVATIONS[name]


def of_timm(config: dict[str, Any]) -> Statement:
    """timm's ``config.json``; the network that it names is asked for the rest."""
    name, options = config["architecture"], config.get("model_args", {})
    pretrained = config.get("pretrained_cfg", {})
    method = timm_folder.METHODS.get(str(pretrained.get("tag", "")))
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
    values = {
        "norm_eps": 1e-5,
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
    """The config in a checkpoint of mmengine's: how its ``data_preprocessor`` normalises images.

    The config is Python; it is parsed, and not run.

    Raises:
        InputError: It feeds blue, green and red in this order.
    """
    found = preprocessor_of(text)
    if "mean" not in found or "std" not in found:
        return Statement()
    if not (found.get("to_rgb") or found.get("bgr_to_rgb")):
        raise InputError("it takes images in the order blue, green, red, which no trunk here does")
    values = {name: [value / 255 for value in found[name]] for name in ("mean", "std")}
    return Statement("its config", values)


def preprocessor_of(text: str) -> dict[str, Any]:
    """The plain values in the first ``data_preprocessor = dict(...)`` of a config."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    for node in nodes:
        name = node.targets[0] if isinstance(node, ast.Assign) else node
        given = node.value if isinstance(node, ast.Assign | ast.keyword) else None
        called = getattr(name, "id", getattr(name, "arg", None))
        if called == "data_preprocessor" and isinstance(given, ast.Call):
            literals = {}
            for keyword in given.keywords:
                try:
                    literals[str(keyword.arg)] = ast.literal_eval(keyword.value)
                except ValueError:
                    continue
            return literals
    return {}
