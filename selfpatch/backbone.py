"""Image -> feature pyramid: the pretrained ViT as a backbone of mmdetection and mmsegmentation."""

import math
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from selfpatch.checkpoint import BackboneInfo, load_into
from selfpatch.models.vit import build_vit


class ToStride(nn.Module):
    """A map of one token per patch -> a map of a given stride.

    Upwards by deconvolutions, each doubling the size, downwards by max-pooling; between a patch
    size and a stride that are no power of two apart, bilinearly.

    Args:
        embed_dim: Channels, in and out.
        patch_size: Stride of the input, in pixels.
        stride: Stride of the output, in pixels.
        norm_cfg: Normalisation between two deconvolutions.
    """

    def __init__(
        self, embed_dim: int, patch_size: int, stride: int, norm_cfg: dict[str, Any]
    ) -> None:
        super().__init__()
        self.stride = stride
        doublings = math.log2(patch_size / stride)
        self.bilinear = not doublings.is_integer()
        layers: list[nn.Module] = []
        if not self.bilinear and doublings < 0:
            layers.append(nn.MaxPool2d(stride // patch_size, ceil_mode=True))
        for index in range(0 if self.bilinear else max(int(doublings), 0)):
            if index:
                layers += [build_norm_layer(norm_cfg, embed_dim)[1], nn.GELU()]
            layers.append(nn.ConvTranspose2d(embed_dim, embed_dim, kernel_size=2, stride=2))
        self.layers = nn.Sequential(*layers)

    def forward(self, patches: Tensor, image_size: tuple[int, int]) -> Tensor:
        """(B, D, rows, columns) -> (B, D, ceil(H / stride), ceil(W / stride))."""
        height, width = (math.ceil(side / self.stride) for side in image_size)
        if self.bilinear:
            return F.interpolate(patches, (height, width), mode="bilinear")
        # What lies beyond the image comes from padding it to whole patches.
        return self.layers(patches)[..., :height, :width]


@MODELS.register_module()
class SelfPatchViT(BaseModule):
    """The trunk and a pyramid of four maps made from four of its blocks.

    Registered in mmengine's root registry, where mmdetection and mmsegmentation both find it.

    Args:
        variant: A key of :data:`selfpatch.models.vit.VARIANTS`.
        patch_size: Side of a patch, in pixels; any.
        image_size: Side of the image whose grid the positional embedding is stored for.
        class_token: The trunk has a [CLS] token, as DINO's and MoCo-v3's have.
        out_indices: Block after which each level is taken, counted from 0, in rising order.
            Later blocks are not built.
        strides: Stride of each level, in pixels.
        drop_path_rate: Stochastic depth at the last block.
        with_cp: Activation checkpointing.
        frozen_stages: -1 trains everything; 0 freezes embedding and positions; n the first n
            blocks as well.
        norm_cfg: Normalisation within the pyramid.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)`` with any file that
            :func:`selfpatch.checkpoint.read_backbone` knows; None starts from random weights.
        **overrides: Further arguments of the trunk, such as ``num_heads``.

    Raises:
        InputError: The checkpoint does not fit the trunk; lists what does not.
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
        init_cfg: dict[str, Any] | None = None,
        **overrides: Any,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.trunk = build_vit(
            variant,
            patch_size=patch_size,
            image_size=image_size,
            class_token=class_token,
            drop_path_rate=drop_path_rate,
            activation_checkpointing=with_cp,
            **overrides,
        )
        del self.trunk.blocks[max(out_indices) + 1 :]
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.info = BackboneInfo(self.trunk.architecture, method="random", source="")
        norm_cfg = norm_cfg or {"type": "SyncBN"}
        self.pyramid = nn.ModuleList(
            ToStride(self.trunk.embed_dim, patch_size, stride, norm_cfg) for stride in strides
        )
        self._freeze()

    def init_weights(self) -> None:
        """Load the pretrained trunk, strictly; a second call leaves everything as it is."""
        if self.is_init:
            return
        self._is_init = True
        if self.init_cfg is None:
            print_log("SelfPatchViT starts from random weights: it has no init_cfg", "current")
            return
        if self.init_cfg.get("type") != "Pretrained":
            raise ValueError("SelfPatchViT takes init_cfg=dict(type='Pretrained', checkpoint=FILE)")
        architecture = {**self.trunk.architecture, "final_norm": False}
        whole = build_vit(**architecture)
        self.info = load_into(whole, self.init_cfg["checkpoint"])
        used = self.trunk.state_dict()
        self.trunk.load_state_dict({n: v for n, v in whole.state_dict().items() if n in used})
        info = self.info
        print_log(
            f"SelfPatchViT: {info.method} from {info.source}, fingerprint {info.fingerprint[:12]}",
            "current",
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (B, 3, H, W) of any size -> a map (B, D, ceil(H / s), ceil(W / s)) per stride s.

        Images are padded with zeros, to the right and at the bottom, to whole patches.
        """
        height, width = images.shape[-2:]
        patch_size = self.trunk.patch_size
        padded = F.pad(images, (0, -width % patch_size, 0, -height % patch_size))
        maps = self.trunk.intermediate(padded, self.out_indices)
        levels = zip(self.pyramid, maps, strict=True)
        return tuple(to_stride(patches, (height, width)) for to_stride, patches in levels)

    def train(self, mode: bool = True) -> "SelfPatchViT":
        """Switch the mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        for parameter in (self.trunk.pos_embed, self.trunk.cls_token):
            if parameter is not None:
                parameter.requires_grad_(False)
        for module in (self.trunk.patch_embed, *self.trunk.blocks[: self.frozen_stages]):
            module.eval().requires_grad_(False)
