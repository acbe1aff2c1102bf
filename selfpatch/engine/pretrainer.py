"""Views -> loss: student, teacher and the total loss of a step (Eq. 8)."""

import math
from functools import partial
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.registry import MODELS
from torch import Tensor

from selfpatch.errors import InputError
from selfpatch.models.distributed import local
from selfpatch.models.heads import ProjectionHead
from selfpatch.models.networks import ImageNetwork, SelfPatchNetwork
from selfpatch.models.swin import SWIN_VARIANTS
from selfpatch.models.trunks import build_trunk
from selfpatch.objectives.dino import DINO
from selfpatch.objectives.moby import MoBY
from selfpatch.objectives.mocov3 import MoCoV3
from selfpatch.objectives.selfpatch import SelfPatchLoss


@MODELS.register_module()
class ViewPreprocessor(BaseDataPreprocessor):
    """uint8 views -> normalised views on the device.

    Args:
        mean: Per channel, in units of 0-255.
        std: Per channel, in units of 0-255.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__(non_blocking=True)
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """A collated batch -> the arguments of :meth:`Pretrainer.forward`."""
        views = self.cast_data(data["views"])
        return {"views": [(view.float() - self.mean) / self.std for view in views]}


OBJECTIVES = {"dino": DINO, "moby": MoBY, "mocov3": MoCoV3}
"""Image objectives by the name that a config gives them."""


class NonFiniteLossError(Exception):
    """A loss is infinite or not a number.

    Attributes:
        losses: The total loss and its terms.
    """

    def __init__(self, losses: dict[str, float]) -> None:
        terms = {name: value for name, value in losses.items() if name != "loss"}
        bad = {name: value for name, value in terms.items() if not math.isfinite(value)} or losses
        super().__init__(" and ".join(f"{name} is {value}" for name, value in bad.items()))
        self.losses = losses


@MODELS.register_module()
class Pretrainer(BaseModel):
    """An image objective, with or without SelfPatch.

    Args:
        backbone: Arguments of :func:`selfpatch.models.trunks.build_trunk`.
        objective: ``name`` of the image objective (``dino``, ``moby``, ``mocov3``) and its
            arguments.
        selfpatch: ``weight`` (lambda of Eq. 8), ``patch_head``, ``views`` that the patch loss
            looks at (``all`` or ``global``), and arguments of :class:`SelfPatchNetwork`. None
            trains the host method alone.
        freeze_patch_embed: Keep the patch projection as it was initialised, as MoCo-v3 does.
        data_preprocessor: See :class:`ViewPreprocessor`.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        objective: dict[str, Any],
        selfpatch: dict[str, Any] | None = None,
        freeze_patch_embed: bool = False,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.momentum = 1.0  # set before each iteration, see PretrainSchedules
        arguments = dict(objective)
        name = arguments.pop("name")
        if name not in OBJECTIVES:
            raise InputError(f"there is no objective {name!r}; choose from {', '.join(OBJECTIVES)}")
        self.objective = OBJECTIVES[name](**arguments)
        options = dict(selfpatch or {})
        self.patch_weight = options.pop("weight", 0.0)
        self.patch_views = options.pop("views", "all")
        if self.patch_views not in ("all", "global"):
            raise InputError(f"views must be 'all' or 'global', not {self.patch_views!r}")
        self.patch_loss = (
            SelfPatchLoss(options["patch_head"]["num_prototypes"]) if options else None
        )
        self.method = name if selfpatch is None else f"{name}+selfpatch"
        self.student = self._network(backbone, options)
        self.build_teacher = partial(self._network, {**backbone, "drop_path_rate": 0.0}, options)
        self.teacher = self.build_teacher()
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False)
        if freeze_patch_embed:
            self.student.backbone.patch_embed.requires_grad_(False)

    def _network(
        self, backbone: dict[str, Any], selfpatch: dict[str, Any]
    ) -> ImageNetwork | SelfPatchNetwork:
        """The network of student or teacher: with SelfPatch's heads if there are options for it."""
        if not selfpatch:
            own: dict[str, Any] = {"final_norm": True}
            if backbone.get("variant") not in SWIN_VARIANTS:
                own["class_token"] = True
            trunk = build_trunk(**{**backbone, **own})
            return ImageNetwork(trunk, self.objective.build_head(trunk.embed_dim))
        trunk = build_trunk(**backbone)
        patch_head = ProjectionHead(trunk.embed_dim, **selfpatch["patch_head"])
        image_head = self.objective.build_head(trunk.embed_dim)
        return SelfPatchNetwork(trunk, image_head, **{**selfpatch, "patch_head": patch_head})

    def forward(self, views: list[Tensor], mode: str = "loss") -> dict[str, Tensor]:
        """V views, each (B, 3, h, w), global ones first -> total loss and its terms."""
        student = self.student(views)
        with torch.no_grad():
            teacher = self.teacher.targets(self.teacher_views(views))
        losses = {"cls_loss": self.objective(student.image, teacher.image)}
        self.objective.update(teacher.image)
        total = losses["cls_loss"]
        if self.patch_loss is not None:
            losses["patch_loss"] = self.patch_loss(student.patches, teacher.patches)
            self.patch_loss.update(teacher.patches)
            total = total + self.patch_weight * losses["patch_loss"]
        return {"loss": total, **losses}

    def teacher_views(self, views: list[Tensor]) -> list[Tensor]:
        """The views the teacher has to see: those of the patch loss, else the global ones."""
        if self.patch_loss is not None and self.patch_views == "all":
            return views
        return views[: self.objective.num_views]

    def set_teacher_temp(self, value: float) -> None:
        """Sharpen the targets of every loss that has some with this temperature."""
        for loss in (self.objective, self.patch_loss):
            if isinstance(loss, DINO | SelfPatchLoss):
                loss.teacher_temp = value

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to minimise, and what to log; mmengine would add the terms up once more.

        Raises:
            NonFiniteLossError: The loss is infinite or not a number; nothing has moved yet.
        """
        if not losses["loss"].isfinite():
            raise NonFiniteLossError({name: value.item() for name, value in losses.items()})
        return losses["loss"], {name: value.detach() for name, value in losses.items()}

    @torch.no_grad()
    def finish_step(self) -> None:
        """The student has moved: so do the centres, and the teacher, by a moving average."""
        self.objective.finish_step()
        if self.patch_loss is not None:
            self.patch_loss.finish_step()
        teacher, student = (
            [local(parameter) for parameter in network.parameters()]
            for network in (self.teacher, self.student)
        )
        torch._foreach_lerp_(teacher, student, 1 - self.momentum)
