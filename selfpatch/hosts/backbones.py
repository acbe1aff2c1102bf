"""Image -> feature pyramid: pretrained trunks as backbones of mmdetection and mmsegmentation."""

from collections.abc import Collection, Sequence
from typing import Any

import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from selfpatch.backbones.file import BackboneInfo, load_into
from selfpatch.errors import InputError
from selfpatch.hosts.pyramid import ToStride
from selfpatch.models.trunks import VARIANTS, Trunk, build_trunk, trunk_from
from selfpatch.models.windows import windowed_layer_maps


class HostBackbone(BaseModule):
    """A trunk that starts from a backbone file, strictly, and knows where it comes from.

    The classes below are registered in mmengine's root registry, where mmdetection and
    mmsegmentation both find them.

    Attributes:
        info: What was loaded; ``random`` where nothing was.
    """

    def __init__(self, trunk: Trunk, init_cfg: dict[str, Any] | None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.trunk: Any = trunk
        self.info = BackboneInfo(trunk.architecture, method="random", source="")

    def init_weights(self) -> None:
        """Load the pretrained trunk, strictly; a second call leaves everything as it is.

        Raises:
            InputError: The checkpoint does not fit the trunk; lists what does not.
        """
        if self.is_init:
            return
        self._is_init = True
        name = type(self).__name__
        if self.init_cfg is None:
            print_log(f"{name} starts from random weights: it has no init_cfg", "current")
            return
        if self.init_cfg.get("type") != "Pretrained":
            raise ValueError(f"{name} takes init_cfg=dict(type='Pretrained', checkpoint=FILE)")
        architecture = dict(self.trunk.architecture)
        if "final_norm" in architecture:
            architecture["final_norm"] = False
        whole = trunk_from(architecture)
        self.info = load_into(whole, self.init_cfg["checkpoint"])
        used = self.trunk.state_dict()
        self.trunk.load_state_dict({n: v for n, v in whole.state_dict().items() if n in used})
        info = self.info
        print_log(
            f"{name}: {info.method} from {info.source}, fingerprint {info.fingerprint[:12]}",
            "current",
        )

    def train(self, mode: bool = True) -> "HostBackbone":
        """Switch the mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        self.freeze()
        return self

    def freeze(self) -> None:
        """Take gradients and training mode away from what is frozen."""


def build_variant_of(family: str, variant: str, **overrides: Any) -> Any:
    """Build a variant whose family is ``ViT`` or ``Swin``; ``overrides`` are the trunk's arguments.

    Raises:
        InputError: The family has no such variant.
    """
    known = [name for name in VARIANTS if VARIANTS[name]["family"] == family.lower()]
    if variant not in known:
        raise InputError(
            f"there is no {family} variant {variant!r}; choose from {', '.join(known)}"
        )
    return build_trunk(variant, **overrides)


@MODELS.register_module()
class SelfPatchViT(HostBackbone):
    """A ViT and a pyramid of maps made from some of its blocks.

    Args:
        variant: A ViT of :data:`selfpatch.models.trunks.VARIANTS`.
        patch_size: Side of a patch, in pixels; any.
        image_size: Side of the image whose grid the positional embedding is stored for.
        class_token: The trunk has a [CLS] token, as DINO's and MoCo-v3's have.
        out_indices: Block after which each level is taken, counted from 0; a block may serve
            several levels. Blocks after the last one are not built.
        strides: Stride of each level, in pixels.
        drop_path_rate: Stochastic depth at the last block.
        with_cp: Activation checkpointing.
        frozen_stages: -1 trains everything; 0 freezes embedding and positions; n the first n
            blocks as well.
        norm_cfg: Normalisation within the pyramid.
        window_size: Side of the windows, in patches, that blocks attend within; None: no windows.
        global_blocks: Blocks that attend to the whole image all the same.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)`` with any file that
            :func:`selfpatch.backbones.file.read_backbone` knows; None starts from random weights.
        **overrides: Further arguments of the trunk, such as ``num_heads``.
    """

    def __init__(
        self,
        variant: str = "vit_small",
        patch_size: int = 16,
        image_size: int = 224,
        class_token: bool = False,
        out_indices: Sequence[int] = (3, 5, 7, 11),
        strides: Sequence[int] = (4, 8, 16, 32),
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        frozen_stages: int = -1,
        norm_cfg: dict[str, Any] | None = None,
        window_size: int | None = None,
        global_blocks: Collection[int] = (),
        init_cfg: dict[str, Any] | None = None,
        **overrides: Any,
    ) -> None:
        trunk = build_variant_of(
            "ViT",
            variant,
            patch_size=patch_size,
            image_size=image_size,
            class_token=class_token,
            drop_path_rate=drop_path_rate,
            activation_checkpointing=with_cp,
            **overrides,
        )
        super().__init__(trunk, init_cfg)
        if not 0 <= min(out_indices) <= max(out_indices) < len(self.trunk.blocks):
            raise InputError(
                f"out_indices {tuple(out_indices)} ask for blocks beyond the trunk's"
                f" {len(self.trunk.blocks)}, which are counted from 0"
            )
        del self.trunk.blocks[max(out_indices) + 1 :]
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.window_size, self.global_blocks = window_size, frozenset(global_blocks)
        self.pyramid = nn.ModuleList(
            ToStride(trunk.embed_dim, patch_size, stride, norm_cfg or {"type": "SyncBN"})
            for stride in strides
        )
        self.freeze()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (B, 3, H, W) of any size -> a map (B, D, ceil(H / s), ceil(W / s)) per stride s.

        Images are padded with zeros, to the right and at the bottom, to whole patches.
        """
        height, width = images.shape[-2:]
        patch_size = self.trunk.patch_size
        padded = F.pad(images, (0, -width % patch_size, 0, -height % patch_size))
        blocks = sorted(set(self.out_indices))
        if self.window_size is None:
            found = self.trunk.layer_maps(padded, blocks)
        else:
            found = windowed_layer_maps(
                self.trunk, padded, blocks, self.window_size, self.global_blocks
            )
        maps = dict(zip(blocks, found, strict=True))
        levels = zip(self.pyramid, self.out_indices, strict=True)
        return tuple(to_stride(maps[block], (height, width)) for to_stride, block in levels)

    def freeze(self) -> None:
        """Freeze as ``frozen_stages`` says."""
        if self.frozen_stages < 0:
            return
        trunk = self.trunk
        for parameter in (trunk.pos_embed, trunk.cls_token, trunk.register_tokens):
            if parameter is not None:
                parameter.requires_grad_(False)
        for module in (self.trunk.patch_embed, *self.trunk.blocks[: self.frozen_stages]):
            module.eval().requires_grad_(False)


@MODELS.register_module()
class SelfPatchSwin(HostBackbone):
    """A Swin Transformer and its four stages, each through a LayerNorm of its own.

    The norms are new, as in Swin's detection recipe; the trunk's final norm is not used.

    Args:
        variant: A Swin of :data:`selfpatch.models.trunks.VARIANTS`.
        drop_path_rate: Stochastic depth at the last block.
        with_cp: Activation checkpointing.
        frozen_stages: -1 trains everything; 0 freezes the embedding; n the first n stages with
            their norms as well.
        init_cfg: What :class:`SelfPatchViT` starts from.
        **overrides: Further arguments of the trunk, such as ``depths``.
    """

    def __init__(
        self,
        variant: str = "swin_tiny",
        drop_path_rate: float = 0.2,
        with_cp: bool = False,
        frozen_stages: int = -1,
        init_cfg: dict[str, Any] | None = None,
        **overrides: Any,
    ) -> None:
        trunk = build_variant_of("Swin", variant, drop_path_rate=drop_path_rate, **overrides)
        super().__init__(trunk, init_cfg)
        for layer in self.trunk.layers:
            layer.grad_checkpointing = with_cp
        self.frozen_stages = frozen_stages
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for dim in trunk.layer_dims)
        self.freeze()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (B, 3, H, W) of any size -> maps (B, C_i, ceil(H / s), ceil(W / s)), s 4 to 32."""
        maps = zip(self.norms, self.trunk.layer_maps(images, range(4)), strict=True)
        return tuple(
            norm(stage.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).contiguous() for norm, stage in maps
        )

    def freeze(self) -> None:
        """Freeze as ``frozen_stages`` says."""
        if self.frozen_stages < 0:
            return
        stages, norms = (m[: self.frozen_stages] for m in (self.trunk.layers, self.norms))
        for module in (self.trunk.patch_embed, *stages, *norms):
            module.eval().requires_grad_(False)


@MODELS.register_module()
class SelfPatchResNet(HostBackbone):
    """A ResNet-50 and its four stages.

    Args:
        frozen_stages: -1 trains everything; 0 freezes the stem; n the first n stages as well.
        norm_eval: Batch norms use the statistics of pretraining, as with few images per GPU.
        norm_cfg: ``dict(type='SyncBN')`` makes the batch norms synchronised ones.
        init_cfg: What :class:`SelfPatchViT` starts from.
    """

    def __init__(
        self,
        frozen_stages: int = 0,
        norm_eval: bool = False,
        norm_cfg: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(build_trunk("resnet50"), init_cfg)
        if (norm_cfg or {}).get("type") == "SyncBN":
            self.trunk = nn.SyncBatchNorm.convert_sync_batchnorm(self.trunk)
        self.frozen_stages, self.norm_eval = frozen_stages, norm_eval
        self.freeze()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (B, 3, H, W) of any size -> maps (B, C_i, ceil(H / s), ceil(W / s)), s 4 to 32."""
        return tuple(self.trunk.layer_maps(images, range(4)))

    def freeze(self) -> None:
        """Freeze as ``frozen_stages`` and ``norm_eval`` say."""
        if self.norm_eval:
            for module in self.trunk.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        if self.frozen_stages < 0:
            return
        trunk = self.trunk
        for module in (trunk.conv1, trunk.bn1, *trunk.stages[: self.frozen_stages]):
            module.eval().requires_grad_(False)
