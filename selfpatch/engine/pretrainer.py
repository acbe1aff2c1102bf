"""Views -> loss: student, teacher and the total loss of a step (Eq. 8)."""

from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.registry import MODELS
from torch import Tensor

from selfpatch.models.networks import ImageNetwork, SelfPatchNetwork
from selfpatch.objectives.dino import DINOLoss
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


@MODELS.register_module()
class Pretrainer(BaseModel):
    """DINO, with or without SelfPatch.

    Args:
        backbone: Arguments of :func:`selfpatch.models.vit.build_vit`.
        image_head: Arguments of the image's projection head; ``num_prototypes`` at least.
        image_loss: Further arguments of :class:`DINOLoss`.
        selfpatch: Arguments of SelfPatch: ``weight`` (lambda of Eq. 8), ``patch_head``, and those
            of :class:`SelfPatchNetwork`. None trains the host method alone.
        data_preprocessor: See :class:`ViewPreprocessor`.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        image_head: dict[str, Any],
        image_loss: dict[str, Any] | None = None,
        selfpatch: dict[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.momentum = 1.0  # both are set before each iteration, see PretrainSchedules
        self.teacher_temp = 0.04
        self.image_loss = DINOLoss(image_head["num_prototypes"], **(image_loss or {}))
        teacher_backbone = {**backbone, "drop_path_rate": 0.0}
        if selfpatch is None:
            self.patch_loss, self.patch_weight = None, 0.0
            self.student: ImageNetwork | SelfPatchNetwork = ImageNetwork(backbone, image_head)
            self.teacher: ImageNetwork | SelfPatchNetwork
            self.teacher = ImageNetwork(teacher_backbone, image_head)
        else:
            options = dict(selfpatch)
            self.patch_weight = options.pop("weight")
            self.patch_loss = SelfPatchLoss(options["patch_head"]["num_prototypes"])
            self.student = SelfPatchNetwork(backbone, image_head, **options)
            self.teacher = SelfPatchNetwork(teacher_backbone, image_head, **options)
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False)

    @property
    def method(self) -> str:
        """Name of the method, for the backbone file."""
        return "dino" if self.patch_loss is None else "dino+selfpatch"

    def forward(self, views: list[Tensor], mode: str = "loss") -> dict[str, Tensor]:
        """V views, each (B, 3, h, w), global ones first -> total loss and its terms."""
        student = self.student(views)
        with torch.no_grad():
            teacher = self.teacher.targets(self.teacher_views(views))
        losses = {"cls_loss": self.image_loss(student.image, teacher.image, self.teacher_temp)}
        self.image_loss.update_center(teacher.image)
        total = losses["cls_loss"]
        if self.patch_loss is not None:
            losses["patch_loss"] = self.patch_loss(
                student.patches, teacher.patches, self.teacher_temp
            )
            self.patch_loss.update_center(teacher.patches)
            total = total + self.patch_weight * losses["patch_loss"]
        return {"loss": total, **losses}

    def teacher_views(self, views: list[Tensor]) -> list[Tensor]:
        """The views the teacher has to see: all for the patch loss, else the global ones."""
        return views if self.patch_loss is not None else views[: self.image_loss.num_global]

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to minimise, and what to log; mmengine would add the terms up once more."""
        return losses["loss"], {name: value.detach() for name, value in losses.items()}

    @torch.no_grad()
    def update_teacher(self) -> None:
        """Move the teacher towards the student: an exponential moving average."""
        teacher: list[Tensor] = list(self.teacher.parameters())
        student: list[Tensor] = list(self.student.parameters())
        torch._foreach_lerp_(teacher, student, 1 - self.momentum)
