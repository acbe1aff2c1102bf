"""VISSL: the checkpoints of its training task, of a transformer (DINO) and a ResNet (SwAV)."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.published import fill
from tests.published.writers import writer

AMP = "config.MODEL.AMP_PARAMS.USE_AMP=false"  # for GPUs alone


def configuration(name: str, *changes: str) -> Any:
    """A published configuration, composed as VISSL's commands do."""
    from vissl.utils.hydra_config import (  # type: ignore[import-not-found]
        compose_hydra_configuration,
        convert_to_attrdict,
    )

    composed = compose_hydra_configuration(
        [f"config=pretrain/{name}", "config.MACHINE.DEVICE=cpu", AMP, *changes]
    )
    return convert_to_attrdict(composed, dump_config=False)[1]


def network(config: Any) -> Any:
    """Trunk and heads, drawn."""
    from vissl.models import build_model  # type: ignore[import-not-found]

    model = build_model(config["MODEL"], config["OPTIMIZER"]).eval()
    fill(model)
    return model


def save(folder: Path, config: Any, model: Any, loss: nn.Module) -> str:
    """Let the hook of the last epoch write a checkpoint."""
    from vissl.hooks.log_hooks import (  # type: ignore[import-not-found]
        LogLossMetricsCheckpointHook,
    )
    from vissl.trainer.train_task import SelfSupervisionTask  # type: ignore[import-not-found]

    task = SelfSupervisionTask.from_config(config)
    task.base_model, task.base_loss, task.meters, task.datasets = model, loss, [], {}
    task.train, task.checkpoint_folder = True, str(folder)
    task.phase_idx = task.train_phase_idx = last = task.num_train_phases - 1
    LogLossMetricsCheckpointHook.checkpoint_model(task, 1, 1, last, "phase")
    (folder / "checkpoint.torch").unlink()  # a link to the file
    return f"model_final_checkpoint_phase{last}.torch"


@writer("vissl-dino", "facebookresearch/vissl")
def dino(folder: Path) -> dict[str, Any]:
    """DINO's DeiT-S/16: the student is the task's model, the teacher lies in the loss."""
    from vissl.losses.dino_loss import DINOLoss  # type: ignore[import-not-found]

    trunk = "config.MODEL.TRUNK.VISION_TRANSFORMERS"
    config = configuration(
        "dino/dino_16gpus_deits16", f"{trunk}.NUM_LAYERS=2", f"{trunk}.IMAGE_SIZE=64"
    )
    config.MODEL.HEAD.PARAMS[0][1] |= {"num_clusters": [32], "hidden_dim": 64}
    student, teacher = network(config), network(config)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.mul_(0.5)
    loss = DINOLoss(config.LOSS.dino_loss | {"output_dim": 32})
    loss.momentum_teacher = nn.DataParallel(teacher)

    def tokens(images: Tensor) -> Tensor:
        return teacher.trunk.forward_features(images, only_class_token=False)

    return {
        "file": save(folder, config, student, loss),
        "code": "LogLossMetricsCheckpointHook.checkpoint_model; the trunk vision_transformer",
        "method": "dino",
        "parameters": sum(p.numel() for p in teacher.trunk.parameters()),
        "tokens": tokens,
        "sizes": [(64, 64), (96, 96)],
        "note": "Its code takes other sizes only if they are square.",
    }


@writer("vissl-swav", "facebookresearch/vissl")
def swav(folder: Path) -> dict[str, Any]:
    """SwAV's ResNet-50, whose stages lie among the feature blocks."""
    from vissl.losses.swav_loss import SwAVLoss  # type: ignore[import-not-found]

    config = configuration("swav/swav_8node_resnet")
    config.MODEL.HEAD.PARAMS[0][1] |= {"dims": [2048, 64, 32], "num_clusters": [32]}
    model = network(config)
    config.LOSS.swav_loss |= {"num_prototypes": [32], "embedding_dim": 32, "output_dir": folder}

    def tokens(images: Tensor) -> Tensor:
        return model.trunk(images, ["res5"])[0].flatten(2).transpose(1, 2)

    return {
        "file": save(folder, config, model, SwAVLoss(config.LOSS.swav_loss)),
        "code": "LogLossMetricsCheckpointHook.checkpoint_model; the trunk resnet",
        "method": "swav",
        "parameters": sum(p.numel() for p in model.trunk.parameters()),
        "tokens": tokens,
        "sizes": [(64, 64), (64, 96)],
    }
