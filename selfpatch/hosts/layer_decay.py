"""Learning rates that fall from the last block of a trunk to its first, in both hosts."""

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from selfpatch.models.trunks import Trunk


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecay(DefaultOptimWrapperConstructor):
    """mmengine's optimiser for which block i of n learns at ``decay_rate ** (n - i)`` of the rate.

    What comes before the first block learns at ``decay_rate ** (n + 1)``, what follows the trunk at
    the whole rate, as in BEiT, MAE and ViTDet. The hosts' own constructors know only their own
    backbones by the names of their weights; this one asks the trunk.

    Args:
        optim_wrapper_cfg: The optimiser wrapper and its optimiser.
        paramwise_cfg: ``decay_rate``, and what mmengine's default constructor takes.
    """

    def __init__(
        self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None
    ) -> None:
        options = dict(paramwise_cfg or {})
        self.decay_rate = options.pop("decay_rate")
        options.setdefault("bypass_duplicate", False)  # so that each parameter is a group
        super().__init__(optim_wrapper_cfg, options)

    def add_params(
        self, params: list[dict[str, Any]], module: nn.Module, prefix: str = "", **kwargs: Any
    ) -> None:
        """Add a group per parameter of ``module``, its rate scaled by the place in the trunk."""
        super().add_params(params, module, prefix, **kwargs)
        if prefix:  # a part of the model
            return
        model: Any = module
        scales = layer_scales(model.backbone.trunk, self.decay_rate)
        for group in params:
            scale = scales.get(id(group["params"][0]), 1.0)
            rate: Any = group.get("lr", self.base_lr)
            group["lr"] = rate * scale


def layer_scales(trunk: Trunk, decay_rate: float) -> dict[int, float]:
    """``id`` of each of a trunk's parameters -> its share of the learning rate.

    A parameter between two blocks, such as those that merge a Swin's patches, belongs to the one
    that follows.
    """
    blocks = list(trunk.blocks)
    place = {id(p): i for i, block in enumerate(blocks) for p in block.parameters()}
    scales, following = {}, len(blocks)
    for parameter in reversed(list(trunk.parameters())):
        following = place.get(id(parameter), following)
        scales[id(parameter)] = decay_rate ** (len(blocks) - following)
    for parameter in trunk.parameters():
        if id(parameter) in place:
            break
        scales[id(parameter)] = decay_rate ** (len(blocks) + 1)
    return scales
