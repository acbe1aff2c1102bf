"""Image -> feature pyramid: pretrained trunks as backbones of mmdetection and mmsegmentation."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from selfpatch.backbones.file import BackboneInfo, State, load_strictly, read_backbone
from selfpatch.errors import InputError
from selfpatch.hosts.pyramid import ToStride
from selfpatch.models.trunks import VARIANTS, trunk_from
from selfpatch.models.windows import windowed_layer_maps


class HostBackbone(BaseModule):
    """A trunk whose weights and architecture a backbone file or a checkpoint decides.

    What the file of ``init_cfg`` says is built and, in :meth:`init_weights`, loaded, strictly. A
    config need not say any of it again; what it says all the same has to agree, except for what
    ``override`` changes on purpose. A fine-tuned checkpoint keeps the architecture and the origin
    of its backbone in the state dict: it decides where no ``init_cfg`` names a file, as in the
    hosts' inferencers.

    The classes below are registered in mmengine's root registry, where mmdetection and
    mmsegmentation both find them.

    Attributes:
        info: What the weights are; method ``random`` before any are loaded, ``unknown`` for a
            checkpoint that does not say.
    """

    family: ClassVar[str]
    default_variant: ClassVar[str]
    built_late = False
    """Whether a checkpoint replaced the trunk; an optimiser would still hold the one before."""

    def __init__(
        self,
        variant: str | None,
        stated: dict[str, Any],
        override: dict[str, Any] | None,
        init_cfg: dict[str, Any] | None,
        **training: Any,
    ) -> None:
        """Args:

        variant: Width and depth by a name of :data:`selfpatch.models.trunks.VARIANTS`.
        stated: Further values of the architecture that the config states.
        override: Values to build the trunk with, whatever the file says.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)``, or None.
        **training: Arguments of the trunk that are no architecture, such as ``drop_path_rate``.
        """
        super().__init__(init_cfg=init_cfg)
        if init_cfg is not None and init_cfg.get("type") != "Pretrained":
            raise InputError(
                f"{type(self).__name__} takes init_cfg=dict(type='Pretrained', checkpoint=FILE)"
            )
        self.stated = {**self.size_of(variant), **stated}
        self.override, self.training_options = override or {}, training
        self.file: tuple[State, BackboneInfo] | None = None
        if init_cfg is not None and Path(init_cfg["checkpoint"]).is_file():
            self.file = read_backbone(init_cfg["checkpoint"])
            self.settle(self.file[1].architecture, init_cfg["checkpoint"])
        else:
            default = {**VARIANTS[variant or self.default_variant], **self.stated}
            self.settle(default, "the config")
        self.info = BackboneInfo(self.architecture, method="random", source="")

    def size_of(self, variant: str | None) -> dict[str, Any]:
        """Width and depth of a variant; its heads are for the file to say."""
        known = [name for name in VARIANTS if VARIANTS[name]["family"] == self.family]
        if variant is not None and variant not in known:
            raise InputError(
                f"there is no variant {variant!r} of {self.family}; choose from {', '.join(known)}"
            )
        size = VARIANTS[variant] if variant else {}
        return {name: size[name] for name in ("embed_dim", "depth", "depths") if name in size}

    def settle(self, architecture: dict[str, Any], source: str | Path) -> None:
        """Build a trunk of this architecture, and what this class adds to it.

        Raises:
            InputError: It is of another family, or the config states something else.
        """
        found = architecture.get("family", self.family)
        if found != self.family:
            raise InputError(
                f"{source} holds a {found}, and {type(self).__name__} is a {self.family};"
                " change one of them"
            )
        whole = {**architecture, **self.override}
        trunk = trunk_from({**whole, **self.training_options})
        for name, value in self.stated.items():
            own = trunk.architecture.get(name)
            if name not in self.override and not same(own, value):
                raise InputError(
                    f"{source} has {words(name, own)}, the config says {words(name, value)};"
                    f" leave it out of the config, or change it on purpose with"
                    f" override=dict({name}={value!r})"
                )
        self.architecture = trunk.architecture
        self.trunk: Any = trunk
        self.complete()
        self.freeze()

    def complete(self) -> None:
        """Build what comes after the trunk."""

    def init_weights(self) -> None:
        """Load the pretrained trunk, strictly; a second call leaves everything as it is.

        Raises:
            InputError: The file is missing, or its weights do not fit what it describes.
        """
        if self.is_init:
            return
        self._is_init = True
        name = type(self).__name__
        if self.init_cfg is None:
            print_log(f"{name} starts from random weights: it has no init_cfg", "current")
            return
        path = self.init_cfg["checkpoint"]
        state, info = self.file or read_backbone(path)
        self.file = None
        used = self.trunk.state_dict()
        whole = trunk_from({**info.architecture, **self.override})
        load_strictly(whole, state, path)
        self.trunk.load_state_dict({n: v for n, v in whole.state_dict().items() if n in used})
        self.info = replace(info, architecture={**info.architecture, **self.override})
        print_log(
            f"{name}: {info.method} from {info.source}, fingerprint {self.info.fingerprint[:12]}",
            "current",
        )

    def get_extra_state(self) -> Tensor:
        """What the weights are, as JSON in bytes: every checkpoint of a model keeps it."""
        text = json.dumps(self.info.described())
        return torch.tensor(list(text.encode()), dtype=torch.uint8)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Take over what the checkpoint says it is, before its weights.

        Raises:
            InputError: The checkpoint does not hold all of this backbone, or another one.
        """
        note = state_dict.pop(f"{prefix}_extra_state", None)
        if note is None:
            info = BackboneInfo(self.architecture, method="unknown", source="")
        else:
            info = BackboneInfo.from_described(json.loads(bytes(note.tolist())))
            if info.architecture != self.architecture:
                device = next(self.parameters()).device
                self.settle(info.architecture, "the checkpoint")
                self.to(device)
                self.built_late = True
        self.refuse_other_weights(state_dict, prefix)
        self.info = info
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def refuse_other_weights(self, state_dict: dict[str, Any], prefix: str) -> None:
        """Raise InputError unless a checkpoint fills this backbone, and nothing is left over."""
        own = {n: v for n, v in self.state_dict().items() if n != "_extra_state"}
        given = {n.removeprefix(prefix): v for n, v in state_dict.items() if n.startswith(prefix)}
        problems = [f"missing {name}" for name in own if name not in given]
        problems += [f"left over {name}" for name in given if name not in own]
        problems += [
            f"{name} is {tuple(given[name].shape)} instead of {tuple(value.shape)}"
            for name, value in own.items()
            if name in given and given[name].shape != value.shape
        ]
        problems = [problem for problem in problems if "num_batches_tracked" not in problem]
        if problems:
            more = f"; and {len(problems) - 4} more" if len(problems) > 4 else ""
            raise InputError(
                f"the checkpoint's backbone is not the one of the config: "
                f"{'; '.join(problems[:4])}{more}"
            )

    def train(self, mode: bool = True) -> "HostBackbone":
        """Switch the mode; what is frozen stays in evaluation mode.

        Raises:
            InputError: To train what a checkpoint has replaced: no optimiser knows its weights.
        """
        if mode and self.built_late:
            raise InputError(
                "the checkpoint's backbone is not the one that was built; to train it on, name its"
                " file in model.backbone.init_cfg or state its architecture in model.backbone"
            )
        super().train(mode)
        self.freeze()
        return self

    def freeze(self) -> None:
        """Take gradients and training mode away from what is frozen."""


WORDS = {
    "num_heads": "{} heads",
    "embed_dim": "width {}",
    "depth": "{} blocks",
    "depths": "{} blocks per stage",
    "patch_size": "patches of {} pixels",
    "num_registers": "{} registers",
}


def words(name: str, value: Any) -> str:
    """A value of an architecture, as people say it."""
    if name == "class_token":
        return "a [CLS] token" if value else "no [CLS] token"
    return WORDS.get(name, f"{name} {{}}").format(value)


def same(one: Any, other: Any) -> bool:
    """Whether two values of an architecture are equal, be they lists or tuples."""
    return (list(one) if isinstance(one, tuple) else one) == (
        list(other) if isinstance(other, tuple) else other
    )


@MODELS.register_module()
class SelfPatchViT(HostBackbone):
    """A ViT and a pyramid of maps made from some of its blocks.

    Args:
        variant: A ViT of :data:`selfpatch.models.trunks.VARIANTS`: its width and depth.
        out_indices: Block after which each level is taken, counted from 0; a block may serve
            several levels. Blocks after the last one are not built. By default those after a
            third, a half, two thirds and all of the depth.
        strides: Stride of each level, in pixels.
        drop_path_rate: Stochastic depth at the last block.
        with_cp: Activation checkpointing.
        frozen_stages: -1 trains everything; 0 freezes embedding and positions; n the first n
            blocks as well.
        norm_cfg: Normalisation within the pyramid.
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
        window_size: int | None = None,
        global_blocks: Collection[int] = (),
        override: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
        **stated: Any,
    ) -> None:
        self.asked_indices, self.strides = out_indices, tuple(strides)
        self.norm_cfg = norm_cfg or {"type": "SyncBN"}
        self.frozen_stages = frozen_stages
        self.window_size, self.global_blocks = window_size, frozenset(global_blocks)
        super().__init__(
            variant,
            stated,
            override,
            init_cfg,
            drop_path_rate=drop_path_rate,
            activation_checkpointing=with_cp,
        )

    def complete(self) -> None:
        """Leave out the blocks and the norm that no level needs, and build the pyramid."""
        depth = len(self.trunk.blocks)
        thirds = (depth // 3 - 1, depth // 2 - 1, 2 * depth // 3 - 1, depth - 1)
        self.out_indices = tuple(thirds if self.asked_indices is None else self.asked_indices)
        if not 0 <= min(self.out_indices) <= max(self.out_indices) < depth:
            raise InputError(
                f"out_indices {self.out_indices} ask for blocks beyond the trunk's {depth}, which"
                " are counted from 0"
            )
        del self.trunk.blocks[max(self.out_indices) + 1 :]
        self.trunk.norm = nn.Identity()
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
        override: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
        **stated: Any,
    ) -> None:
        self.with_cp, self.frozen_stages = with_cp, frozen_stages
        super().__init__(variant, stated, override, init_cfg, drop_path_rate=drop_path_rate)

    def complete(self) -> None:
        """Give each stage a norm of its own."""
        for layer in self.trunk.layers:
            layer.grad_checkpointing = self.with_cp
        self.trunk.norm = nn.Identity()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for dim in self.trunk.layer_dims)

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
