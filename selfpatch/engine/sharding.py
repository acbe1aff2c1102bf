"""Parameters, gradients and optimiser state shared out over processes (FSDP), and back."""

from typing import Any

import torch
from mmengine.dist import get_world_size
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from selfpatch.engine.pretrainer import Pretrainer
from selfpatch.models.networks import ImageNetwork, SelfPatchNetwork


def shard(model: Pretrainer) -> Pretrainer:
    """Shard a model in place: each block of student and teacher by itself, then the rest."""
    device_type = next(model.parameters()).device.type
    mesh = init_device_mesh(device_type, (get_world_size(),))
    for network in (model.student, model.teacher):
        for block in network.trunk.blocks:
            fully_shard(block, mesh=mesh)
    # Gathered weights are given up after each use: what update() leaves would be stale in a step.
    fully_shard(model, mesh=mesh, reshard_after_forward=True)
    for method in ("look", "update"):  # what needs whole weights, beside the forward pass
        register_fsdp_forward_method(model, method)
    return model


def is_sharded(model: nn.Module) -> bool:
    """Whether :func:`shard` was applied."""
    return isinstance(model, FSDPModule)


def whole_weights(module: nn.Module) -> dict[str, Tensor]:
    """A state dict of whole tensors, in the first process's memory; all processes have to call it.

    The other processes get an empty one.
    """
    whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights: dict[str, Any] = get_model_state_dict(module, options=whole)
    return weights


def gathered(tree: Any) -> Any:
    """An optimiser's state with all sharded tensors whole; all processes have to call it.

    ``get_optimizer_state_dict`` would also invent a state for what has not moved yet, such as the
    prototypes in their frozen epochs, and a resumed run would no longer equal an uninterrupted one.
    """
    if isinstance(tree, DTensor):
        return tree.full_tensor().cpu()
    if isinstance(tree, dict):
        return type(tree)((key, gathered(value)) for key, value in tree.items())
    if isinstance(tree, list | tuple):
        return type(tree)(gathered(value) for value in tree)
    return tree


def scattered(whole: Tensor, like: Tensor) -> Tensor:
    """The inverse of :func:`gathered` for one tensor."""
    if not isinstance(like, DTensor):
        return whole
    device = like.to_local().device
    return distribute_tensor(whole.to(device), like.device_mesh, like.placements)


def scatter_checkpoint(
    checkpoint: dict[str, Any], model: Pretrainer, optimizer: torch.optim.Optimizer
) -> None:
    """Shard the weights and the optimiser state of a checkpoint, in place, as the model is."""
    state = checkpoint["state_dict"]
    for name, value in model.state_dict().items():
        state[name] = scattered(state[name], value)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, moments in checkpoint["optimizer"]["state"].items():
        for name, value in moments.items():
            if value.ndim:  # the count of steps is a scalar, and not sharded
                moments[name] = scattered(value, parameters[index])


def whole_teacher(model: Pretrainer) -> ImageNetwork | SelfPatchNetwork:
    """The teacher as the first process can run it by itself; all processes have to call it."""
    if not is_sharded(model):
        return model.teacher
    teacher = model.build_teacher().to(model.data_preprocessor.device)
    if weights := whole_weights(model.teacher):
        teacher.load_state_dict(weights)
    return teacher
