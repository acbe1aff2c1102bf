"""Image -> feature pyramid: pretrained trunks as backbones of mmdetection and mmsegmentation.

They are registered in mmengine's root registry, where both hosts find them.
"""

from collections.abc import Collection, Sequence
from typing import Any

import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn

from selfpatch.backbones.families import State
from selfpatch.errors import InputError
from selfpatch.hosts.host_backbone import HostBackbone
from selfpatch.hosts.pyramid import ToStride
from selfpatch.models.vit import VisionTransformer, grid_of, resized_positions
from selfpatch.models.windows import windowed_layer_maps


@MODELS.register_module()
class SelfPatchViT(HostBackbone):
    """A ViT and a pyramid of maps made from some of its blocks.

    Args:
        variant: A ViT of :data:`selfpatch.models.variants.VARIANTS`: its width and depth.
        out_indices: Block after which each level is taken, counted from 0; a block may serve
            several levels. Blocks after the last one are not built. By default those after a
            third, a half, two thirds and all of the depth.
        strides: Stride of each level, in pixels.
        drop_path_rate: Stochastic depth at the last block.
        with_cp: Activation checkpointing.
        frozen_stages: -1 trains everything; 0 freezes embedding and positions; n the first n
            blocks as well.
        norm_cfg: Normalisation within the pyramid.
        normalized: Read each block's tokens after the trunk's final norm, as linear evaluations do.
        window_size: Side of the windows, in patches, that blocks attend within; None: no windows.
        global_blocks: Blocks that attend to the whole image all the same.
        override: Values of the architecture to compute with, whatever the file says.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)`` with any file that
            :func:`selfpatch.backbones.file.read_backbone` knows; None starts from random weights.
        **stated: Values of the architecture, such as ``num_heads``, that the file has to agree
            with; without a file the trunk is built from them.
    """

    family = "vit"
    default_variant = "vit_small"

    def __init__(
        self,
        variant: str | None = None,
        out_indices: Sequence[int] | None = None,
        strides: Sequence[int] = (4, 8, 16, 32),
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        frozen_stages: int = -1,
        norm_cfg: dict[str, Any] | None = None,
        normalized: bool = False,
        window_size: int | None = None,
        global_blocks: Collection[int] = (),
        override: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
        **stated: Any,
    ) -> None:
        self.asked_indices, self.strides = out_indices, tuple(strides)
        self.norm_cfg = norm_cfg or {"type": "SyncBN"}
        self.frozen_stages, self.normalized = frozen_stages, normalized
        self.window_size, self.global_blocks = window_size, frozenset(global_blocks)
        super().__init__(
            variant,
            stated,
            override,
            init_cfg,
            drop_path_rate=drop_path_rate,
            activation_checkpointing=with_cp,
        )

    def adapted(
        self, weights: State, architecture: dict[str, Any], trunk: VisionTransformer
    ) -> State:
        """The positions, resized once for another ``image_size``; they are then trained there."""
        if "image_size" not in self.override or "pos_embed" not in weights:
            return weights
        own = int(trunk.cls_token is not None)
        native = grid_of(architecture["image_size"], architecture["patch_size"])
        resized = resized_positions(
            weights["pos_embed"], own, native, trunk.native_grid, trunk.resizing
        )
        return {**weights, "pos_embed": resized}

    def complete(self) -> None:
        """Leave out the blocks and the norm that no level needs, and build the pyramid.

        Raises:
            InputError: A block is asked for that there is not, or a norm.
        """
        if self.normalized:
            check_final_norm(self.architecture)
        else:
            self.trunk.norm = nn.Identity()
        depth = len(self.trunk.blocks)
        asked = self.asked_indices
        self.out_indices = thirds_of(depth) if asked is None else tuple(asked)
        if not 0 <= min(self.out_indices) <= max(self.out_indices) < depth:
            raise InputError(
                f"out_indices {self.out_indices} ask for blocks beyond the trunk's {depth}, which"
                " are counted from 0"
            )
        del self.trunk.blocks[max(self.out_indices) + 1 :]
        self.pyramid = nn.ModuleList(
            ToStride(self.trunk.embed_dim, self.trunk.patch_size, stride, self.norm_cfg)
            for stride in self.strides
        )

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
        if self.normalized:
            found = [normed(self.trunk.norm, tokens) for tokens in found]
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
        if self.frozen_stages >= self.architecture["depth"]:
            self.trunk.norm.requires_grad_(False)


def thirds_of(depth: int) -> tuple[int, ...]:
    """The layers after which a third, a half, two thirds and all of a trunk have run."""
    return tuple(max(end - 1, 0) for end in (depth // 3, depth // 2, 2 * depth // 3, depth))


@MODELS.register_module()
class SelfPatchSwin(HostBackbone):
    """A Swin Transformer and its four stages, each through a LayerNorm of its own.

    Equal weights give what the hosts' own ``SwinTransformer`` gives. The norms are new, as in
    Swin's detection recipe; the trunk's final norm is not used, unless that is asked for.

    Args:
        variant: A Swin of :data:`selfpatch.models.variants.VARIANTS`.
        drop_path_rate: Stochastic depth at the last block.
        with_cp: Activation checkpointing.
        frozen_stages: -1 trains everything; 0 freezes the embedding; n the first n stages with
            their norms as well.
        normalized: Read the last stage after the trunk's final norm, as linear evaluations do.
        override: As in :class:`SelfPatchViT`.
        init_cfg: What :class:`SelfPatchViT` starts from.
        **stated: As in :class:`SelfPatchViT`, for example ``depths``.
    """

    family = "swin"
    default_variant = "swin_tiny"

    def __init__(
        self,
        variant: str | None = None,
        drop_path_rate: float = 0.2,
        with_cp: bool = False,
        frozen_stages: int = -1,
        normalized: bool = False,
        override: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
        **stated: Any,
    ) -> None:
        self.frozen_stages, self.normalized = frozen_stages, normalized
        super().__init__(
            variant,
            stated,
            override,
            init_cfg,
            drop_path_rate=drop_path_rate,
            always_shift=True,
            activation_checkpointing=with_cp,
        )

    def complete(self) -> None:
        """Give each stage a norm of its own."""
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for dim in self.trunk.layer_dims)
        if self.normalized:
            check_final_norm(self.architecture)
            self.norms[-1] = self.trunk.norm
        self.trunk.norm = nn.Identity()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (B, 3, H, W) of any size -> maps (B, C_i, ceil(H / s), ceil(W / s)), s 4 to 32."""
        maps = zip(self.norms, self.trunk.layer_maps(images, range(4)), strict=True)
        return tuple(normed(norm, stage) for norm, stage in maps)

    def freeze(self) -> None:
        """Freeze as ``frozen_stages`` says."""
        if self.frozen_stages < 0:
            return
        stages, norms = (m[: self.frozen_stages] for m in (self.trunk.layers, self.norms))
        for module in (self.trunk.patch_embed, *stages, *norms):
            module.eval().requires_grad_(False)


def normed(norm: nn.Module, patches: Tensor) -> Tensor:
    """A map (B, C, rows, columns), each place normalised over its channels."""
    return norm(patches.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).contiguous()


def check_final_norm(architecture: dict[str, Any]) -> None:
    """Raise InputError for a trunk whose file holds no final norm."""
    if not architecture["final_norm"]:
        raise InputError(
            "normalized=True reads tokens after the trunk's final norm, and this one has none"
        )


@MODELS.register_module()
class SelfPatchResNet(HostBackbone):
    """A ResNet-50 and its four stages.

    Args:
        frozen_stages: -1 trains everything; 0 freezes the stem; n the first n stages as well.
        norm_eval: Batch norms use the statistics of pretraining, as with few images per GPU.
        norm_cfg: ``type``: ``BN`` or ``SyncBN``, the batch norms over all processes;
            ``requires_grad``: whether their scale and shift are trained.
        init_cfg: What :class:`SelfPatchViT` starts from.

    Raises:
        InputError: Another norm was asked for: the pretrained one is a batch norm.
    """

    family = "resnet"
    default_variant = "resnet50"

    def __init__(
        self,
        frozen_stages: int = 0,
        norm_eval: bool = False,
        norm_cfg: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        norm = {"type": "BN", "requires_grad": True, **(norm_cfg or {})}
        if norm["type"] not in ("BN", "SyncBN") or set(norm) != {"type", "requires_grad"}:
            raise InputError(
                "SelfPatchResNet takes norm_cfg=dict(type='BN' or 'SyncBN', requires_grad=...),"
                f" not {norm_cfg}: its weights are those of batch norms"
            )
        self.norm, self.frozen_stages, self.norm_eval = norm, frozen_stages, norm_eval
        super().__init__(None, {}, None, init_cfg)

    def complete(self) -> None:
        """Synchronise the batch norms, if that is asked for."""
        if self.norm["type"] == "SyncBN":
            self.trunk = nn.SyncBatchNorm.convert_sync_batchnorm(self.trunk)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (B, 3, H, W) of any size -> maps (B, C_i, ceil(H / s), ceil(W / s)), s 4 to 32."""
        return tuple(self.trunk.layer_maps(images, range(4)))

    def freeze(self) -> None:
        """Freeze as ``frozen_stages``, ``norm_eval`` and ``norm_cfg`` say."""
        for module in self.trunk.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.requires_grad_(self.norm["requires_grad"])
                if self.norm_eval:
                    module.eval()
        if self.frozen_stages < 0:
            return
        trunk = self.trunk
        for module in (trunk.conv1, trunk.bn1, *trunk.stages[: self.frozen_stages]):
            module.eval().requires_grad_(False)


@MODELS.register_module()
class SelfPatchTimm(HostBackbone):
    """A network of timm and maps of four strides, made from those of its layers.

    Where all layers have one stride, as in a ViT, maps are made as in :class:`SelfPatchViT`; else
    each is made from the last layer that is as fine, or of the finest.

    Args:
        channels: Of each map; the neck has to be told them, too, and a file has to agree.
        strides: Stride of each map, in pixels.
        frozen: Train nothing of the trunk.
        norm_cfg: Normalisation within the pyramid.
        normalized: Read maps after the network's last norm, as linear evaluations do.
        init_cfg: What :class:`SelfPatchViT` starts from.
        **stated: As in :class:`SelfPatchViT`: ``name`` and ``options`` of the network.
    """

    family = "timm"
    default_variant = "vit_small_patch16_224"

    def __init__(
        self,
        channels: Sequence[int] | None = None,
        strides: Sequence[int] = (4, 8, 16, 32),
        frozen: bool = False,
        norm_cfg: dict[str, Any] | None = None,
        normalized: bool = False,
        init_cfg: dict[str, Any] | None = None,
        **stated: Any,
    ) -> None:
        self.channels, self.strides = channels, tuple(strides)
        self.frozen, self.normalized = frozen, normalized
        self.norm_cfg = norm_cfg or {"type": "SyncBN"}
        super().__init__(None, stated, None, init_cfg)

    def default_architecture(self, variant: str | None) -> dict[str, Any]:
        """A ViT-S/16 of timm's."""
        return {"family": self.family, "name": self.default_variant}

    def complete(self) -> None:
        """Choose the layers, and build the pyramid.

        Raises:
            InputError: The maps have other channels than the config says, or no norm that fits.
        """
        trunk = self.trunk
        count, own = trunk.num_layers, trunk.layer_strides
        if len(set(own)) == 1:
            self.out_indices = thirds_of(count)
        else:
            finest = own.index(min(own))
            fine = [[i for i, s in enumerate(own) if s <= stride] for stride in self.strides]
            self.out_indices = tuple(indices[-1] if indices else finest for indices in fine)
        dims = [trunk.layer_dims[index] for index in self.out_indices]
        if self.channels is not None and list(self.channels) != dims:
            raise InputError(
                f"the maps of {self.architecture['name']} have {dims} channels, the config says"
                f" {list(self.channels)}; set model.backbone.channels and model.neck.in_channels"
            )
        if self.normalized and (isinstance(trunk.norm, nn.Identity) or {*dims} != {dims[-1]}):
            raise InputError(f"{self.architecture['name']} has no last norm that fits every map")
        if not self.normalized and not isinstance(trunk.norm, nn.Identity):
            trunk.model.norm = nn.Identity()
        self.pyramid = nn.ModuleList(
            ToStride(dim, own[index], stride, self.norm_cfg)
            for dim, index, stride in zip(dims, self.out_indices, self.strides, strict=True)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (B, 3, H, W) -> a map (B, channels, ceil(H / s), ceil(W / s)) per stride s.

        Images are padded with zeros, to the right and at the bottom, to whole places of the
        coarsest layer.
        """
        height, width = images.shape[-2:]
        side = max(self.trunk.layer_strides)
        padded = F.pad(images, (0, -width % side, 0, -height % side))
        layers = sorted(set(self.out_indices))
        found = self.trunk.layer_maps(padded, layers)
        if self.normalized:
            found = [normed(self.trunk.norm, tokens) for tokens in found]
        maps = dict(zip(layers, found, strict=True))
        levels = zip(self.pyramid, self.out_indices, strict=True)
        return tuple(to_stride(maps[layer], (height, width)) for to_stride, layer in levels)

    def freeze(self) -> None:
        """Freeze as ``frozen`` says."""
        if self.frozen:
            self.trunk.eval().requires_grad_(False)
