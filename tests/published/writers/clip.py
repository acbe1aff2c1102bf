"""CLIP: OpenAI's files, and open_clip's."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.published import fill
from tests.published.writers import writer

OPENAI = {"context_length": 8, "vocab_size": 64, "transformer_width": 64}
"""Published: 77, 49408, 512. Heads are of width 64 in both towers."""
TEXT = {"context_length": 8, "vocab_size": 64, "width": 64, "heads": 1, "layers": 1}
SIZES = [(64, 64), (48, 80)]


def normed(visual: Any) -> Callable[[Tensor], Tensor]:
    """All tokens after the last norm, which CLIP itself applies to [CLS] alone."""

    def tokens(images: Tensor) -> Tensor:
        states: list[Tensor] = []
        hook = visual.transformer.register_forward_hook(
            lambda module, given, output: states.append(output)
        )
        visual(images)
        hook.remove()
        state = states[0] if states[0].shape[0] == 1 else states[0].transpose(0, 1)
        found: Tensor = visual.ln_post(state)
        return found

    return tokens


def openai() -> Any:
    """A ViT-B/16 of two blocks for images of 64 pixels, with a text encoder, in half precision."""
    from clip.model import CLIP, convert_weights  # type: ignore[import-not-found]

    model = CLIP(
        embed_dim=32, image_resolution=64, vision_layers=2, vision_width=768,
        vision_patch_size=16, transformer_heads=1, transformer_layers=1, **OPENAI,
    )  # fmt: skip
    fill(model)
    convert_weights(model)
    return model.eval()


def read(model: Any, file: str, code: str, note: str, **more: Any) -> dict[str, Any]:
    """What is known of a file of OpenAI's, once its weights are read as ``clip.load`` does."""
    from clip.model import build_model

    visual = build_model(model.state_dict()).float().visual
    return {
        "file": file,
        "code": code,
        "method": "clip",
        "parameters": sum(p.numel() for p in visual.parameters()),
        "tokens": normed(visual),
        "sizes": SIZES[:1],
        "note": f"{note} The code has no way to resize positions.".strip(),
        **more,
    }


@writer("clip-openai", "openai/CLIP")
def archive(folder: Path) -> dict[str, Any]:
    """What one downloads: an archive of TorchScript, with three numbers beside the weights."""
    model = openai()
    for name in ("context_length", "vocab_size"):
        delattr(model, name)
        model.register_buffer(name, torch.tensor(OPENAI[name]))
    model.register_buffer("input_resolution", torch.tensor(64))
    inputs = torch.zeros(1, 3, 64, 64), torch.zeros(1, 8, dtype=torch.int64)
    scripted = torch.jit.trace(model, inputs, check_trace=False)
    torch.jit.save(scripted, folder / "ViT-B-16.pt")
    note = "The published archives are of TorchScript, made by code that is not published."
    return read(scripted, "ViT-B-16.pt", "torch.jit.trace of model.CLIP", note)


@writer("clip-openai-state", "openai/CLIP")
def state(folder: Path) -> dict[str, Any]:
    """The weights alone, which ``clip.load`` takes, too."""
    model = openai()
    torch.save(model.state_dict(), folder / "clip.pt")
    code = "state_dict of model.CLIP after convert_weights"
    return read(model, "clip.pt", code, "", options={"method": "clip"})


class Tokenizer:
    """Stands for the tokenizer, which is downloaded, and whose files are nothing of the trunk."""

    def save_pretrained(self, folder: Path) -> None:
        """Write nothing."""


def open_clip_model(config: dict[str, Any], image_size: Any = 64) -> Any:
    """A model of open_clip for images of a size, built of a configuration as its factory does."""
    if not sys.path[0].endswith("src"):
        sys.path.insert(0, str(Path(sys.path[0]) / "src"))
    from open_clip.model import CLIP, CustomTextCLIP  # type: ignore[import-not-found]

    given = {key: value for key, value in config.items() if key != "custom_text"}
    given["vision_cfg"] = given["vision_cfg"] | {"image_size": image_size}
    model = (CustomTextCLIP if "custom_text" in config else CLIP)(**given)
    return model.eval()


def open_clip(config: dict[str, Any], mean: Any, std: Any) -> Any:
    """A filled model, which knows what its images' channels are normalised with."""
    model = open_clip_model(config)
    from open_clip.model import set_model_preprocess_cfg

    set_model_preprocess_cfg(model, {"mean": mean, "std": std})
    fill(model)
    return model


def at_any_size(config: dict[str, Any], model: Any) -> Callable[[Tensor], Tensor]:
    """Tokens by a model of the images' size, its positions resized by the code that loads it."""

    def tokens(images: Tensor) -> Tensor:
        from open_clip.model import resize_pos_embed

        sized = open_clip_model(config, tuple(images.shape[-2:]))
        state = model.state_dict()
        resize_pos_embed(state, sized)
        sized.load_state_dict(state)
        return normed(sized.visual)(images)

    return tokens


VIT = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 192, "patch_size": 16},
    "text_cfg": TEXT,
}
OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


def known(model: Any, file: str, code: str, method: str, **more: Any) -> dict[str, Any]:
    """What is known of a file of open_clip's."""
    trunk = getattr(model.visual, "trunk", model.visual)
    parameters = sum(p.numel() for p in trunk.parameters())
    return {"file": file, "code": code, "method": method, "parameters": parameters, **more}


@writer("open_clip-folder", "mlfoundations/open_clip")
def vit(folder: Path) -> dict[str, Any]:
    """What lies on the Hub, such as laion/CLIP-ViT-B-16-laion2B-s34B-b88K: exact GELU."""
    model = open_clip(VIT, OPENAI_MEAN, OPENAI_STD)
    from open_clip.push_to_hf_hub import save_for_hf  # type: ignore[import-not-found]

    save_for_hf(model, Tokenizer(), VIT, folder, safe_serialization=True)
    code = "push_to_hf_hub.save_for_hf of model.CLIP"
    note = "The other size by model.resize_pos_embed, into a model of that size."
    tokens = at_any_size(VIT, model)
    return known(model, ".", code, "openclip", tokens=tokens, sizes=SIZES, note=note)


@writer("open_clip-folder-quickgelu", "mlfoundations/open_clip")
def quick(folder: Path) -> dict[str, Any]:
    """Such as apple/DFN2B-CLIP-ViT-B-16: ``quick_gelu`` is in the configuration."""
    config = VIT | {"quick_gelu": True}
    model = open_clip(config, OPENAI_MEAN, OPENAI_STD)
    from open_clip.push_to_hf_hub import save_for_hf

    save_for_hf(model, Tokenizer(), config, folder, safe_serialization=True)
    code = "push_to_hf_hub.save_for_hf of model.CLIP"
    tokens = at_any_size(config, model)
    return known(model, ".", code, "openclip", tokens=tokens, sizes=SIZES)


@writer("open_clip-training", "mlfoundations/open_clip")
def training(folder: Path) -> dict[str, Any]:
    """A checkpoint of the training; its keys are those of the model itself."""
    model = open_clip(VIT, OPENAI_MEAN, OPENAI_STD)
    from open_clip.task import CLIPTask, save_checkpoint  # type: ignore[import-not-found]

    optimizer = torch.optim.AdamW(model.parameters())
    content = save_checkpoint(CLIPTask(model, loss=nn.Identity()), optimizer, 3, name="vit")
    torch.save(content, folder / "epoch_3.pt")
    code = "task.save_checkpoint of a CLIPTask"
    tokens = at_any_size(VIT, model)
    told = {"options": {"method": "openclip"}}  # nor does anything tell the activation
    return known(model, "epoch_3.pt", code, "openclip", tokens=tokens, sizes=SIZES, **told)


@writer("open_clip-siglip", "mlfoundations/open_clip")
def siglip(folder: Path) -> dict[str, Any]:
    """Such as timm/ViT-B-16-SigLIP: the image tower is timm's."""
    small = {"img_size": 64, "embed_dim": 192, "depth": 2, "num_heads": 3}
    config = {
        "embed_dim": 192,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 64, "timm_model_name": "vit_base_patch16_siglip_224",
            "timm_model_pretrained": False, "timm_pool": "map", "timm_proj": "none",
            "timm_model_kwargs": small,
        },
        "text_cfg": TEXT
        | {"width": 192, "heads": 3, "no_causal_mask": True, "proj_bias": True}
        | {"pool_type": "last", "norm_kwargs": {"eps": 1e-6}},
    }  # fmt: skip
    model = open_clip(config, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    from open_clip.push_to_hf_hub import save_for_hf

    save_for_hf(model, Tokenizer(), config, folder, safe_serialization=True)
    trunk = model.visual.trunk

    def tokens(images: Tensor) -> Tensor:
        trunk.set_input_size(images.shape[-2:])
        found: Tensor = trunk.forward_features(images)
        return found

    code = "push_to_hf_hub.save_for_hf of model.CustomTextCLIP with timm's tower"
    note = "The other size by timm's set_input_size; the tokens are those that are pooled."
    return known(model, ".", code, "siglip", tokens=tokens, sizes=SIZES, note=note)
