"""Hugging Face's transformers: folders of ``save_pretrained``, with the images' preprocessing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers  # type: ignore[import-not-found]
from torch import Tensor, nn

from tests.published import fill
from tests.published.writers import writer

WIDTH = 96
VIT = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 4 * WIDTH,
    "image_size": 64,
    "patch_size": 16,
}
DINOV2 = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "image_size": 56,
    "patch_size": 14,
}
TEXT = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 8,
    "projection_dim": 32,
}
SIZES = [(64, 64), (48, 80)]
SIZES_14 = [(56, 56), (42, 70)]
BIT = {  # as dinov2-base states it
    "size": {"shortest_edge": 256},
    "crop_size": {"height": 224, "width": 224},
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


def saved(
    folder: Path,
    model: Any,
    processor: Any,
    method: str,
    tokens: Callable[[Tensor], Tensor],
    trunk: nn.Module | None = None,
    sizes: list[tuple[int, int]] = SIZES,
    told: bool = False,
    **kwargs: Any,
) -> dict[str, Any]:
    """Save a model and its image processor as one does for the Hub.

    ``told``: the method has to be told, as the configuration does not imply it.
    """
    model.eval().save_pretrained(folder, **kwargs)
    processor.save_pretrained(folder)
    return {
        "file": ".",
        "code": f"{type(model).__name__}.save_pretrained, {type(processor).__name__}",
        "method": method,
        "options": {"method": method} if told else {},
        "parameters": sum(p.numel() for p in (trunk or model).parameters()),
        "tokens": tokens,
        "sizes": sizes,
    }


def filled(model: Any) -> Any:
    """A model whose weights :func:`tests.published.fill` drew."""
    fill(model)
    return model.eval()


def last(model: Any, **kwargs: Any) -> Callable[[Tensor], Tensor]:
    """The tokens after the last norm, as a model returns them."""

    def tokens(images: Tensor) -> Tensor:
        state: Tensor = model(pixel_values=images, **kwargs).last_hidden_state
        return state

    return tokens


@writer("transformers-vit", "transformers")
def vit(folder: Path) -> dict[str, Any]:
    """DINO's ViT, such as facebook/dino-vits16: no pooler."""
    model = filled(transformers.ViTModel(transformers.ViTConfig(**VIT), add_pooling_layer=False))
    tokens = last(model, interpolate_pos_encoding=True)
    processor = transformers.ViTImageProcessor(
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    )
    return saved(folder, model, processor, "dino", tokens, told=True)


@writer("transformers-vit-classifier", "transformers")
def classifier(folder: Path) -> dict[str, Any]:
    """A supervised classifier, such as google/vit-base-patch16-224, in several files."""
    config = transformers.ViTConfig(**VIT, num_labels=10)
    model = filled(transformers.ViTForImageClassification(config))
    tokens = last(model.vit, interpolate_pos_encoding=True)
    processor = transformers.ViTImageProcessor()
    return saved(
        folder, model, processor, "supervised", tokens, model.vit, told=True,
        max_shard_size="400KB",
    )  # fmt: skip


@writer("transformers-dinov2", "transformers")
def dinov2(folder: Path) -> dict[str, Any]:
    """Such as facebook/dinov2-base."""
    model = filled(transformers.Dinov2Model(transformers.Dinov2Config(**DINOV2)))
    processor = transformers.BitImageProcessor(**BIT)
    return saved(folder, model, processor, "dinov2", last(model), sizes=SIZES_14)


@writer("transformers-dinov2-giant", "transformers")
def giant(folder: Path) -> dict[str, Any]:
    """Such as facebook/dinov2-giant, whose feed-forward layers are gated."""
    config = transformers.Dinov2Config(**DINOV2, use_swiglu_ffn=True)
    model = filled(transformers.Dinov2Model(config))
    processor = transformers.BitImageProcessor(**BIT)
    return saved(folder, model, processor, "dinov2", last(model), sizes=SIZES_14)


@writer("transformers-dinov2-registers", "transformers")
def registers(folder: Path) -> dict[str, Any]:
    """Such as facebook/dinov2-with-registers-base."""
    config = transformers.Dinov2WithRegistersConfig(**DINOV2, num_register_tokens=4)
    model = filled(transformers.Dinov2WithRegistersModel(config))
    processor = transformers.BitImageProcessor(**BIT)
    return saved(folder, model, processor, "dinov2", last(model), sizes=SIZES_14)


def dinov3(folder: Path, **kwargs: Any) -> dict[str, Any]:
    """A DINOv3 ViT with what the published ones have in common."""
    config = transformers.DINOv3ViTConfig(**VIT, num_register_tokens=4, **kwargs)
    model = filled(transformers.DINOv3ViTModel(config))
    processor = transformers.DINOv3ViTImageProcessor()
    return saved(folder, model, processor, "dinov3", last(model))


@writer("transformers-dinov3", "transformers")
def dinov3_vit(folder: Path) -> dict[str, Any]:
    """Such as facebook/dinov3-vits16-pretrain-lvd1689m."""
    return dinov3(folder)


@writer("transformers-dinov3-plus", "transformers")
def dinov3_plus(folder: Path) -> dict[str, Any]:
    """Such as facebook/dinov3-vits16plus-pretrain-lvd1689m, whose feed-forward layers are gated."""
    return dinov3(folder, use_gated_mlp=True, hidden_act="silu")


@writer("transformers-ijepa", "transformers")
def ijepa(folder: Path) -> dict[str, Any]:
    """Such as facebook/ijepa_vith14_1k: no [CLS]."""
    config = transformers.IJepaConfig(**VIT)
    model = filled(transformers.IJepaModel(config, add_pooling_layer=False))
    tokens = last(model, interpolate_pos_encoding=True)
    return saved(folder, model, transformers.ViTImageProcessor(), "ijepa", tokens)


@writer("transformers-mae", "transformers")
def mae(folder: Path) -> dict[str, Any]:
    """Such as facebook/vit-mae-base: encoder and decoder; tokens are of all patches in order.

    The encoder drops a share of the patches and shuffles the rest, by a noise that it can be given.
    """
    config = transformers.ViTMAEConfig(
        **VIT, decoder_hidden_size=64, decoder_num_hidden_layers=1,
        decoder_num_attention_heads=4, decoder_intermediate_size=128,
    )  # fmt: skip
    model = transformers.ViTMAEForPreTraining(config)
    patches = model.vit.embeddings.patch_embeddings
    patches.projection._is_hf_initialized = False  # which kept the fixed positions from being set
    model.vit.embeddings.initialize_weights()
    model.decoder.initialize_weights(patches.num_patches)
    fill(model)

    def tokens(images: Tensor) -> Tensor:
        _, _, height, width = images.shape
        model.config.mask_ratio = 0.0
        noise = torch.arange(height // 16 * (width // 16)).unsqueeze(0) / 1000
        found = model.vit(images, noise=noise, interpolate_pos_encoding=True)
        assert torch.equal(found.ids_restore, noise.argsort(dim=1))
        state: Tensor = found.last_hidden_state
        return state

    processor = transformers.ViTImageProcessor(
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    )
    return saved(folder, model, processor, "mae", tokens, model.vit)


def normed(vision: Any) -> Callable[[Tensor], Tensor]:
    """All tokens of a CLIP-like tower after its last norm, which CLIP applies to [CLS] alone."""

    def tokens(images: Tensor) -> Tensor:
        state = vision(pixel_values=images, interpolate_pos_encoding=True).last_hidden_state
        found: Tensor = vision.post_layernorm(state)
        return found

    return tokens


@writer("transformers-clip-vision", "transformers")
def clip_vision(folder: Path) -> dict[str, Any]:
    """CLIP's image tower alone."""
    model = filled(transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VIT)))
    return saved(folder, model, transformers.CLIPImageProcessor(), "clip", normed(model))


@writer("transformers-clip", "transformers")
def clip(folder: Path) -> dict[str, Any]:
    """Such as openai/clip-vit-base-patch16: both towers."""
    config = transformers.CLIPConfig(text_config=TEXT, vision_config=VIT, projection_dim=32)
    model = filled(transformers.CLIPModel(config))
    tower = model.vision_model
    return saved(folder, model, transformers.CLIPImageProcessor(), "clip", normed(tower), tower)


@writer("transformers-siglip-vision", "transformers")
def siglip_vision(folder: Path) -> dict[str, Any]:
    """SigLIP's image tower alone."""
    model = filled(transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**VIT)))
    tokens = last(model, interpolate_pos_encoding=True)
    return saved(folder, model, transformers.SiglipImageProcessor(), "siglip", tokens)


@writer("transformers-siglip", "transformers")
def siglip(folder: Path) -> dict[str, Any]:
    """Such as google/siglip-base-patch16-224, and siglip2-base-patch16-224, which is one, too."""
    model = filled(
        transformers.SiglipModel(transformers.SiglipConfig(text_config=TEXT, vision_config=VIT))
    )
    tokens = last(model.vision_model, interpolate_pos_encoding=True)
    processor = transformers.SiglipImageProcessor()
    return saved(folder, model, processor, "siglip", tokens, model.vision_model)


@writer("transformers-swin", "transformers")
def swin(folder: Path) -> dict[str, Any]:
    """A supervised Swin, such as microsoft/swin-tiny-patch4-window7-224."""
    config = transformers.SwinConfig(
        image_size=64, embed_dim=24, depths=[2, 2], num_heads=[2, 4], window_size=4, num_labels=10
    )
    model = filled(transformers.SwinForImageClassification(config))
    tokens = last(model.swin)
    processor = transformers.ViTImageProcessor(
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    )
    return saved(folder, model, processor, "supervised", tokens, model.swin, told=True)
