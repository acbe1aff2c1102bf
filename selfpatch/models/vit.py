"""View -> tokens: the Vision Transformer trunk."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import GELUTanh, Mlp, PatchEmbed, QuickGELU, SwiGLUPacked
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from selfpatch.errors import InputError
from selfpatch.models.attention import SelfAttentionBlock
from selfpatch.models.rotary import rotary_periods, rotary_table

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

ACTIVATIONS = {"gelu": nn.GELU, "gelu_tanh": GELUTanh, "quick_gelu": QuickGELU, "swiglu": nn.SiLU}
"""Name -> what stands between the layers of an MLP; in ``swiglu`` half of the channels pass through
it and gate the other half."""

RESIZING: dict[str, dict[str, Any]] = {
    "dino": {"align_corners": False, "antialias": False},
    "bicubic": {"align_corners": False, "antialias": False},
    "antialiased": {"align_corners": False, "antialias": True},
    "aligned": {"align_corners": True, "antialias": False},
}
"""How positions are resized to another grid -> arguments of bicubic interpolation. DINO adds 0.1 to
each side of the grid, which enters the scale; torchvision alone aligns the corners."""


def drop_path_rates(last: float, num_blocks: int) -> list[float]:
    """Rates of stochastic depth, rising linearly from 0 to that of the last block.

    Raises:
        InputError: It is no share of the images from 0 on, below 1.
    """
    if not 0 <= last < 1:
        raise InputError(f"drop_path_rate must lie from 0 to below 1, not be {last}")
    return [last * index / max(num_blocks - 1, 1) for index in range(num_blocks)]


class VisionTransformer(nn.Module):
    """A plain ViT that takes images of any size.

    SelfPatch's own trunk has neither a [CLS] token nor a final norm: its last LayerNorm sits in
    the aggregation head. DINO, MoCo-v3 and their kin have both.

    Args:
        embed_dim: Width D of a token.
        depth: Number of blocks.
        num_heads: Attention heads per block.
        patch_size: Side of a square patch, in pixels.
        image_size: Side of the square image whose grid the positional embedding is stored for, or
            its (height, width).
        mlp_ratio: Hidden width of the MLP over D.
        activation: Of the MLP, see :data:`ACTIVATIONS`.
        qkv_bias: Add a learned bias to queries, keys and values.
        patch_bias: Add one to the embedded patches; CLIP does not.
        class_token: Prepend a learned [CLS] token, which has a positional embedding of its own.
        final_norm: Own a LayerNorm for the last tokens; applied by the caller, ``vit.norm(...)``.
        num_registers: Learned tokens without position between [CLS] and patches, as DINOv2 has.
        layer_scale: Scale what each block adds, per channel, as DINOv2 does.
        pre_norm: Own a LayerNorm for the tokens before the first block, as CLIP does.
        norm_eps: Added to the variance in every LayerNorm.
        resizing: How positions are resized to another grid, see :data:`RESIZING`.
        rotary: Turn queries and keys by their places instead of adding an embedding of them, as
            DINOv3 does; see :mod:`selfpatch.models.rotary`.
        mean: Mean of the images it was trained on, per channel, in units of 0-1.
        std: Their standard deviation, likewise; images are normalised by both before they come in.
        drop_path_rate: Stochastic depth, rising linearly from 0 to this rate at the last block.
        activation_checkpointing: Recompute each block in the backward pass to save memory.
    """

    rotary_periods: Tensor | None
    """Of the angles by which queries and keys are turned: (D / heads / 4,)."""

    def __init__(
        self,
        *,
        embed_dim: int,
        depth: int,
        num_heads: int,
        patch_size: int = 16,
        image_size: int | Sequence[int] = 224,
        mlp_ratio: float = 4.0,
        activation: str = "gelu",
        qkv_bias: bool = True,
        patch_bias: bool = True,
        class_token: bool = False,
        final_norm: bool = False,
        num_registers: int = 0,
        layer_scale: bool = False,
        pre_norm: bool = False,
        norm_eps: float = 1e-6,
        resizing: str = "dino",
        rotary: bool = False,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        drop_path_rate: float = 0.0,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        for value, known in ((activation, ACTIVATIONS), (resizing, RESIZING)):
            if value not in known:
                raise InputError(f"there is no {value!r} here; choose from {', '.join(known)}")
        self.architecture: dict[str, Any] = {
            "family": "vit",
            "embed_dim": embed_dim,
            "depth": depth,
            "num_heads": num_heads,
            "patch_size": patch_size,
            "image_size": image_size if isinstance(image_size, int) else list(image_size),
            "mlp_ratio": mlp_ratio,
            "activation": activation,
            "qkv_bias": qkv_bias,
            "patch_bias": patch_bias,
            "class_token": class_token,
            "final_norm": final_norm,
            "num_registers": num_registers,
            "layer_scale": layer_scale,
            "pre_norm": pre_norm,
            "norm_eps": norm_eps,
            "resizing": resizing,
            "rotary": rotary,
            "mean": list(mean),
            "std": list(std),
        }
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.mean, self.std = tuple(mean), tuple(std)
        self.patch_size = patch_size
        self.num_prefix_tokens = int(class_token) + num_registers
        self.activation_checkpointing = activation_checkpointing
        self.native_grid = grid_of(image_size, patch_size)
        self.resizing = resizing

        norm_layer = partial(nn.LayerNorm, eps=norm_eps)
        self.patch_embed = PatchEmbed(
            img_size=None, patch_size=patch_size, embed_dim=embed_dim, bias=patch_bias
        )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim)) if class_token else None
        self.register_tokens = (
            nn.Parameter(torch.zeros(1, num_registers, embed_dim)) if num_registers else None
        )
        rows, columns = self.native_grid
        positions = torch.zeros(1, rows * columns + int(class_token), embed_dim)
        self.pos_embed = None if rotary else nn.Parameter(positions)
        periods = rotary_periods(embed_dim // num_heads) if rotary else None
        self.register_buffer("rotary_periods", periods)
        self.norm_pre = norm_layer(embed_dim) if pre_norm else nn.Identity()
        self.blocks = nn.ModuleList(
            SelfAttentionBlock(
                embed_dim,
                num_heads,
                mlp_ratio,
                qkv_bias=qkv_bias,
                init_values=1e-5 if layer_scale else None,
                drop_path=rate,
                norm_layer=norm_layer,
                mlp_layer=partial(mlp, activation, round(embed_dim * mlp_ratio)),
            )
            for rate in drop_path_rates(drop_path_rate, depth)
        )
        self.norm = norm_layer(embed_dim) if final_norm else nn.Identity()
        self.init_weights()

    def init_weights(self) -> None:
        """DINO's initialisation: truncated normals of std 0.02, biases 0, norms 1."""
        for token in (self.pos_embed, self.cls_token, self.register_tokens):
            if token is not None:
                nn.init.trunc_normal_(token, std=0.02)
        self.blocks.apply(init_transformer_weights)

    @property
    def num_layers(self) -> int:
        """Blocks that there are; a host deletes those that it does not use."""
        return len(self.blocks)

    @property
    def layer_dims(self) -> tuple[int, ...]:
        """Channels of the map after each block: D."""
        return (self.embed_dim,) * self.num_layers

    @property
    def layer_strides(self) -> tuple[int, ...]:
        """Pixels between two places of the map after each block: the patch size."""
        return (self.patch_size,) * self.num_layers

    @property
    def correspondence_layer(self) -> int:
        """The last block."""
        return self.num_layers - 1

    def grid(self, images: Tensor) -> tuple[int, int]:
        """(rows, columns) of whole patches in ``images`` (B, 3, H, W)."""
        return images.shape[-2] // self.patch_size, images.shape[-1] // self.patch_size

    def position_embedding(self, grid: tuple[int, int]) -> Tensor:
        """The positional embedding for ``grid`` (rows, columns): (1, [CLS] + rows * columns, D)."""
        if self.pos_embed is None:
            raise AssertionError("a trunk with rotary positions adds none")
        own = int(self.cls_token is not None)
        return resized_positions(self.pos_embed, own, self.native_grid, grid, self.resizing)

    def rotary(self, grid: tuple[int, int]) -> Tensor | None:
        """How each token of ``grid`` is turned: (prefix + rows * columns, 2 * D / heads), or None.

        Prefix tokens have no place and are not turned.
        """
        if self.rotary_periods is None:
            return None
        table = rotary_table(grid, self.rotary_periods)
        unturned = torch.zeros_like(table[:1])
        unturned[:, : table.shape[1] // 2] = 1
        return torch.cat([unturned.expand(self.num_prefix_tokens, -1), table])

    def embed(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> input tokens (B, prefix + rows * columns, D).

        Pixels beyond the last whole patch, to the right and at the bottom, are not seen.
        """
        tokens = self.patch_embed(images)
        own = int(self.cls_token is not None)
        if self.cls_token is not None:
            tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        if self.pos_embed is not None:
            tokens = tokens + self.position_embedding(self.grid(images))
        if self.register_tokens is not None:
            registers = self.register_tokens.expand(len(tokens), -1, -1)
            tokens = torch.cat([tokens[:, :own], registers, tokens[:, own:]], dim=1)
        return self.norm_pre(tokens)

    def run_block(
        self, block: Callable[..., Tensor], tokens: Tensor, rotary: Tensor | None
    ) -> Tensor:
        """One block, recomputed in the backward pass where that is asked for."""
        if self.activation_checkpointing and self.training:
            return checkpoint(block, tokens, rotary, use_reentrant=False)
        return block(tokens, rotary)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> tokens after the last block, before any final norm.

        Returns:
            (B, prefix + rows * columns, D), patches in row-major order.
        """
        tokens, rotary = self.embed(images), self.rotary(self.grid(images))
        for block in self.blocks:
            tokens = self.run_block(block, tokens, rotary)
        return tokens

    def layer_maps(self, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
        """Images (B, 3, H, W) -> the patch map (B, D, rows, columns) after each block asked for.

        Blocks are counted from 0, in rising order; those after the last one asked for do not run.
        """
        rows, columns = self.grid(images)
        tokens, rotary = self.embed(images), self.rotary((rows, columns))
        maps = []
        for index, block in enumerate(self.blocks[: max(indices) + 1]):
            tokens = self.run_block(block, tokens, rotary)
            if index in indices:
                patches = tokens[:, self.num_prefix_tokens :]
                maps.append(patches.transpose(1, 2).unflatten(2, (rows, columns)))
        return maps


def init_transformer_weights(module: nn.Module) -> None:
    """Linear weights from a truncated normal of std 0.02, biases 0; for ``Module.apply``."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def sine_cosine_positions(rows: int, columns: int, embed_dim: int) -> Tensor:
    """MoCo-v3's fixed positions: (rows * columns, D), a quarter each sin y, cos y, sin x, cos x.

    Source: ``build_2d_sincos_position_embedding`` of facebookresearch/moco-v3, which calls the row
    ``w``; MAE's positions have the column first.
    """
    frequencies = 10000.0 ** -(torch.arange(embed_dim // 4) / (embed_dim // 4))
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = [side.flatten()[:, None] * frequencies for side in (y, x)]
    return torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1)


def grid_of(image_size: int | Sequence[int], patch_size: int) -> tuple[int, int]:
    """(rows, columns) of whole patches of an image of this side, or (height, width)."""
    height, width = (image_size,) * 2 if isinstance(image_size, int) else image_size
    return height // patch_size, width // patch_size


def mlp(activation: str, hidden: int, in_features: int, **options: Any) -> nn.Module:
    """The MLP of a block, for timm's ``mlp_layer``; ``hidden`` channels between its layers."""
    options |= {"act_layer": ACTIVATIONS[activation]}
    if activation == "swiglu":
        return SwiGLUPacked(in_features, **{**options, "hidden_features": 2 * hidden})
    return Mlp(in_features, **{**options, "hidden_features": hidden})


def resized_positions(
    positions: Tensor,
    num_own: int,
    native: tuple[int, int],
    grid: tuple[int, int],
    resizing: str = "dino",
) -> Tensor:
    """A positional embedding (1, own + n * m, D) for another grid: (1, own + rows * columns, D).

    DINO and DINOv2 without registers add 0.1 to the sides, which shifts the sampling points a
    little; Hugging Face, MAE and DeiT do not. DINOv2 with registers and timm filter against
    aliasing. At the native grid nothing is resized and all agree.

    Args:
        positions: What a ViT stores.
        num_own: Positions before those of the patches: 1 if [CLS] has one, else 0.
        native: (n, m), the grid that they are stored for.
        grid: (rows, columns).
        resizing: One of :data:`RESIZING`.
    """
    if grid == native:
        return positions
    own, patches = positions.split([num_own, native[0] * native[1]], dim=1)
    patches = patches.unflatten(1, native).permute(0, 3, 1, 2)
    how = dict(RESIZING[resizing], size=grid)
    if resizing == "dino":
        factors = [(side + 0.1) / one for side, one in zip(grid, native, strict=True)]
        how |= {"size": None, "scale_factor": factors}
    patches = F.interpolate(patches, mode="bicubic", **how)
    if patches.shape[-2:] != grid:
        raise AssertionError(f"positions resized to {tuple(patches.shape[-2:])}, not {grid}")
    return torch.cat([own, patches.flatten(2).transpose(1, 2)], dim=1)
