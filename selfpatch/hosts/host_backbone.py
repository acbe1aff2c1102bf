"""Backbone file or checkpoint -> the trunk of a host's model, strictly."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor

from selfpatch.backbones.checks import misfit
from selfpatch.backbones.doors import is_elsewhere
from selfpatch.backbones.families import State
from selfpatch.backbones.file import BackboneInfo, read_backbone, trunk_weights
from selfpatch.errors import InputError
from selfpatch.models.trunks import trunk_from
from selfpatch.models.variants import VARIANTS


class HostBackbone(BaseModule):
    """A trunk whose weights and architecture a backbone file or a checkpoint decides.

    What the file of ``init_cfg`` says is built, and its weights are loaded, strictly. A config need
    not say any of it again; what it says all the same has to agree, except for what ``override``
    changes on purpose. A fine-tuned checkpoint keeps the architecture and the origin of its
    backbone in the state dict: it decides where no ``init_cfg`` names a file, as in the hosts'
    inferencers.

    Args:
        variant: Width and depth by a name of :data:`selfpatch.models.variants.VARIANTS`.
        stated: Further values of the architecture that the config states.
        override: Values to build the trunk with, whatever the file says.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)``, or None.
        **training: Arguments of the trunk that are no architecture, such as ``drop_path_rate``.

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
        super().__init__(init_cfg=init_cfg)
        if init_cfg is not None and init_cfg.get("type") != "Pretrained":
            raise InputError(
                f"{type(self).__name__} takes init_cfg=dict(type='Pretrained', checkpoint=FILE)"
            )
        self.stated = {**self.size_of(variant), **stated}
        self.override, self.training_options = override or {}, training
        source = "" if init_cfg is None else init_cfg["checkpoint"]
        if source and (is_elsewhere(source) or Path(source).exists()):
            state, info = read_backbone(source)
            self.settle(info.architecture, source, state)
            self.info = replace(info, architecture={**info.architecture, **self.override})
        else:
            self.settle({**self.default_architecture(variant), **self.stated}, "the config")
            self.info = BackboneInfo(self.architecture, method="random", source="")

    def default_architecture(self, variant: str | None) -> dict[str, Any]:
        """What is built where no file says what."""
        return VARIANTS[variant or self.default_variant]

    def size_of(self, variant: str | None) -> dict[str, Any]:
        """Width and depth of a variant; its heads are for the file to say."""
        known = [name for name in VARIANTS if VARIANTS[name]["family"] == self.family]
        if variant is not None and variant not in known:
            raise InputError(
                f"there is no variant {variant!r} of {self.family}; choose from {', '.join(known)}"
            )
        size = VARIANTS[variant] if variant else {}
        return {name: size[name] for name in ("embed_dim", "depth", "depths") if name in size}

    def settle(
        self, architecture: dict[str, Any], source: str | Path, weights: State | None = None
    ) -> None:
        """Build a trunk of this architecture, with these weights, and what this class adds to it.

        Raises:
            InputError: It is of another family, the config states something else, or the weights
                do not fit.
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
        if weights is not None:
            own = self.adapted(trunk_weights(weights), architecture, trunk)
            if problems := misfit(own, trunk.state_dict()):
                raise InputError(f"{source} does not fit what override makes of it: {problems}")
            trunk.load_state_dict(own)
        self.architecture = trunk.architecture
        self.trunk: Any = trunk
        self.complete()
        self.freeze()

    def adapted(self, weights: State, architecture: dict[str, Any], trunk: Any) -> State:
        """The weights of a file of that architecture, as ``override`` wants them; as they are."""
        return weights

    def complete(self) -> None:
        """Build what comes after the trunk."""

    def init_weights(self) -> None:
        """Say what training starts from; the weights were loaded when the trunk was built.

        Raises:
            InputError: The file of ``init_cfg`` is missing: only a checkpoint can fill this
                backbone.
        """
        if self.is_init:
            return
        self._is_init = True
        name, info = type(self).__name__, self.info
        if self.init_cfg is None:
            print_log(f"{name} starts from random weights: it has no init_cfg", "current")
            return
        if info.method == "random":
            path = self.init_cfg["checkpoint"]
            raise InputError(f"{path} does not exist; give a backbone file or a checkpoint")
        print_log(
            f"{name}: {info.method} from {info.source}, fingerprint {info.fingerprint[:12]}",
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
        own = {n: v for n, v in self.state_dict().items() if n != "_extra_state"}
        given = {n.removeprefix(prefix): v for n, v in state_dict.items() if n.startswith(prefix)}
        counters = {name for name in own if name.endswith("num_batches_tracked")}  # read by nothing
        problems = misfit(
            {name: value for name, value in given.items() if name not in counters},
            {name: value for name, value in own.items() if name not in counters},
            most=4,
        )
        if problems:
            raise InputError(f"the checkpoint's backbone is not the one of the config: {problems}")
        self.info = info
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

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
    if name == "rotary":
        return "rotary positions" if value else "no rotary positions"
    return WORDS.get(name, f"{name} {{}}").format(value)


def same(one: Any, other: Any) -> bool:
    """Whether two values of an architecture are equal, be they lists or tuples."""
    return (list(one) if isinstance(one, tuple) else one) == (
        list(other) if isinstance(other, tuple) else other
    )
