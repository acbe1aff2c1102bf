"""Gradients -> an optimiser step: two decay groups, per-parameter clipping, precision."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from selfpatch.errors import InputError
from selfpatch.models.distributed import local, sum_over_processes, unwrapped

FUSED = ("AdamW", "Adam")
"""What is fused where the config does not say how it steps. torch's fused SGD is not: after a first
step that was held back its momentum is whatever the memory held, and a parameter that joins later,
as prototypes do, makes it raise.
"""

HOW_TO_STEP = {"fused", "foreach", "differentiable"}
"""An optimiser's settings of which one excludes the others."""

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@OPTIM_WRAPPERS.register_module()
class PretrainOptimWrapper(OptimWrapper):
    """mmengine's optimiser wrapper with DINO's clipping, frozen last layer and autocast.

    Args:
        optimizer: The optimiser.
        clip_norm: Gradients are clipped at this norm; 0 leaves them.
        clip: ``each`` parameter's gradient by itself, as DINO does, or ``all`` of them as one.
        precision: ``fp32``, ``bf16`` or ``fp16`` autocast; fp16 with a dynamic loss scale.
        last_layer: The prototypes, which may stand still for a while.
        **kwargs: Those of mmengine's wrapper, such as ``accumulative_counts``.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        clip_norm: float,
        clip: str = "each",
        precision: str = "fp32",
        last_layer: tuple[nn.Parameter, ...] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(optimizer, **kwargs)
        self.base_param_settings = None  # mmengine's own group, which only its schedulers need
        for name, value, known in (("clip", clip, CLIPS), ("precision", precision, PRECISIONS)):
            if value not in known:
                raise InputError(
                    f"optim_wrapper.{name} must be one of {', '.join(known)}, not {value!r}"
                )
        self.clip_norm, self.clip = float(clip_norm), CLIPS[clip]
        self.dtype = PRECISIONS[precision]
        self.last_layer = last_layer
        self.device_type = optimizer.param_groups[0]["params"][0].device.type
        self.scaler = torch.GradScaler(self.device_type, enabled=precision == "fp16")

    @property
    def accumulative_counts(self) -> int:
        """Batches whose gradients make up a step."""
        return self._accumulative_counts

    def set_rates(self, lr: float, weight_decay: float) -> None:
        """Give every parameter this learning rate, and those that decay this weight decay."""
        for group in self.param_groups:
            group["lr"] = lr
            group["weight_decay"] = weight_decay if group["decays"] else 0.0

    @contextmanager
    def optim_context(self, model: nn.Module, sync: bool = True) -> Iterator[None]:
        """Autocast the forward pass; without ``sync``, its gradients stay with this process."""
        alone: AbstractContextManager = nullcontext()
        if isinstance(model, DistributedDataParallel) and not sync:
            alone = model.no_sync()
        enabled = self.dtype != torch.float32
        with alone, torch.autocast(self.device_type, self.dtype, enabled):
            yield

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Add the gradients of a share of a batch's loss to those of the step.

        Those of a loss that is not finite are not, in any process, even where they are computed
        beside it, so that they hold back the step.
        """
        one = 1 + 0 * loss.detach()
        self.scaler.scale(loss * one / self.accumulative_counts).backward(**kwargs)

    def clip_gradients(self) -> Tensor:
        """Take the loss scale out of the gradients and clip them; returns their largest norm."""
        self.scaler.unscale_(self.optimizer)
        parameters = [p for group in self.param_groups for p in group["params"]]
        norm = self.clip(parameters, self.clip_norm)
        self.not_finite = (~norm.isfinite()).float()
        return norm

    def drop_last_layer_gradients(self) -> None:
        """Let the prototypes stand still in this step."""
        for parameter in self.last_layer:
            parameter.grad = None

    def step(self, **kwargs: Any) -> None:
        """Update the weights, unless a loss or a gradient is not finite.

        A fused optimiser finds that out on the device; for another one the host has to wait.
        """
        if getattr(self.optimizer, "_step_supports_amp_scaling", False):
            self.optimizer.found_inf = self.not_finite
            self.scaler.step(self.optimizer, **kwargs)
        elif not self.not_finite:
            self.scaler.step(self.optimizer, **kwargs)
        self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """State of the optimiser and of the loss scale."""
        return {**super().state_dict(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the optimiser and the loss scale; how it steps stays as it was built."""
        state_dict = dict(state_dict)
        self.scaler.load_state_dict(state_dict.pop("scaler"))
        # Before torch loads it, since a fused optimiser counts its steps on the device.
        state_dict["param_groups"] = [
            {**saved, **{name: own[name] for name in HOW_TO_STEP & own.keys()}}
            for saved, own in zip(state_dict["param_groups"], self.param_groups, strict=True)
        ]
        super().load_state_dict(state_dict)


def clip_each(parameters: list[nn.Parameter], clip_norm: float) -> Tensor:
    """Scale each gradient to at most ``clip_norm``; returns the largest norm before."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    parts = [local(gradient) for gradient in gradients]
    norms = torch.stack(torch._foreach_norm(parts))
    if isinstance(gradients[0], DTensor):  # all of them are shared out, or none
        norms = sum_over_processes(norms**2).sqrt()
    if clip_norm > 0:
        scales = (clip_norm / (norms + 1e-6)).clamp(max=1.0)
        torch._foreach_mul_(parts, list(scales.unbind()))
    return norms.max()


def clip_all(parameters: list[nn.Parameter], clip_norm: float) -> Tensor:
    """Scale all gradients to a joint norm of at most ``clip_norm``; returns the norm before."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = get_total_norm(gradients)
    norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
    if clip_norm > 0:
        clip_grads_with_norm_(parameters, clip_norm, norm)
    return norm


CLIPS = {"each": clip_each, "all": clip_all}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DecayGroups:
    """Two parameter groups: what decays, and biases and 1-d parameters, which do not.

    Args:
        optim_wrapper_cfg: ``optimizer`` and arguments of :class:`PretrainOptimWrapper`.
        paramwise_cfg: Not used; mmengine passes it.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        self.cfg = optim_wrapper_cfg

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build optimiser and wrapper for everything in ``model`` that is trained."""
        cfg = dict(self.cfg)
        named = unwrapped(model).named_parameters()
        trained = [(name, p) for name, p in named if p.requires_grad]
        groups = [
            {"params": [p for name, p in trained if self.decays(name, p) is decays],
             "decays": decays}
            for decays in (True, False)
        ]  # fmt: skip
        optimizer_cfg = {**cfg.pop("optimizer"), "params": groups}
        if optimizer_cfg.get("type") in FUSED and not optimizer_cfg.keys() & HOW_TO_STEP:
            optimizer_cfg["fused"] = True  # one pass over the weights
        optimizer = OPTIMIZERS.build(optimizer_cfg)
        last_layer = tuple(p for name, p in trained if ".last_layer." in name)
        return OPTIM_WRAPPERS.build({**cfg, "optimizer": optimizer, "last_layer": last_layer})

    def decays(self, name: str, parameter: nn.Parameter) -> bool:
        """Whether weight decay applies (DINO's ``get_params_groups``; MoBY's is the same)."""
        return parameter.ndim > 1 and not name.endswith(".bias")


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class AllDecay(DecayGroups):
    """Every parameter decays, norms and biases too, as in MoCo-v3's ``main_moco.py``."""

    def decays(self, name: str, parameter: nn.Parameter) -> bool:
        """Always."""
        return True
