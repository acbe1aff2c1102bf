"""Views -> losses: student, teacher and the total loss of a step (Eq. 8)."""

import math
from functools import partial
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import Tensor

from selfpatch.errors import InputError
from selfpatch.models.distributed import local
from selfpatch.models.heads import ProjectionHead
from selfpatch.models.networks import ImageNetwork, Logits, SelfPatchNetwork, runs_of_equal_size
from selfpatch.models.trunks import build_trunk
from selfpatch.objectives import dino, moby, mocov3  # noqa: F401 (makes them known)
from selfpatch.objectives.objective import build_objective
from selfpatch.objectives.selfpatch import SelfPatchLoss

Network = ImageNetwork | SelfPatchNetwork


@MODELS.register_module()
class Pretrainer(BaseModel):
    """An image objective, with or without SelfPatch.

    Args:
        trunk: Arguments of :func:`selfpatch.models.trunks.build_trunk`.
        objective: ``name`` of the image objective (``dino``, ``moby``, ``mocov3``) and its
            arguments.
        selfpatch: ``weight`` (lambda of Eq. 8), ``patch_head``, ``views`` that the patch loss
            looks at (``all`` or ``global``), and arguments of :class:`SelfPatchNetwork` and
            :class:`SelfPatchLoss`. None trains the image objective alone.
        data_preprocessor: See :class:`selfpatch.engine.preprocessor.ViewPreprocessor`.
    """

    def __init__(
        self,
        trunk: dict[str, Any],
        objective: dict[str, Any],
        selfpatch: dict[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.objective = build_objective(**objective)
        options = dict(selfpatch or {})
        self.patch_weight = options.pop("weight", 0.0)
        if not isinstance(self.patch_weight, int | float) or not 0 <= self.patch_weight < math.inf:
            raise InputError(f"model.selfpatch.weight={self.patch_weight!r} must be 0 or above")
        self.patch_views = options.pop("views", "all")
        if self.patch_views not in ("all", "global"):
            raise InputError(f"views must be 'all' or 'global', not {self.patch_views!r}")
        if selfpatch is not None and "patch_head" not in options:
            raise InputError("model.selfpatch has no patch_head; give it, or set selfpatch=None")
        of_loss = {n: options.pop(n) for n in ("student_temp", "center_momentum") if n in options}
        self.patch_loss = (
            SelfPatchLoss(options["patch_head"]["num_prototypes"], **of_loss) if options else None
        )
        self.method = objective["name"] + "+selfpatch" * (selfpatch is not None)
        self.student = self._network(trunk, options)
        self.build_teacher = partial(self._network, {**trunk, "drop_path_rate": 0.0}, options)
        self.teacher = self.build_teacher()
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False)

    def _network(self, trunk: dict[str, Any], selfpatch: dict[str, Any]) -> Network:
        """The network of student or teacher: with SelfPatch's heads if there are options for it.

        Raises:
            InputError: The features would go through no last norm, or through two.
        """
        built = build_trunk(**trunk)
        if selfpatch and built.architecture["final_norm"]:
            raise InputError(
                "SelfPatch's aggregation head has the last norm; leave model.trunk.final_norm out"
            )
        if not selfpatch and not built.architecture.get("final_norm", True):
            raise InputError(
                "without SelfPatch the trunk's own norm is read; set model.trunk.final_norm=True"
                " and, for a ViT, model.trunk.class_token=True"
            )
        self.objective.prepare(built)
        if not selfpatch:
            return ImageNetwork(built, self.objective.build_head(built.embed_dim))
        patch_head = ProjectionHead(built.embed_dim, **selfpatch["patch_head"])
        image_head = self.objective.build_head(built.embed_dim)
        return SelfPatchNetwork(built, image_head, **{**selfpatch, "patch_head": patch_head})

    @torch.no_grad()
    def look(self, views: list[Tensor]) -> Logits:
        """What the teacher says of V views, each (B, 3, h, w), global ones first.

        It sees those of the patch loss, else the global ones.
        """
        if self.patch_loss is None or self.patch_views == "global":
            views = views[: self.objective.num_views]
        num_images = None if self.objective.centers_all_views else self.objective.num_views
        return self.teacher.targets(runs_of_equal_size(views), num_images)

    def runs(self, views: list[Tensor]) -> list[tuple[int, Tensor]]:
        """The views that a loss compares, as runs (v, B, 3, h, w) of equal size.

        The global ones come first, while no gradients take memory; but last where only they reach
        every parameter, since processes average what all runs have added up in the last one.
        """
        patches_of_all = self.patch_loss is not None and self.patch_views == "all"
        images_of_all = self.objective.compares_all_views
        if not (patches_of_all or images_of_all):
            views = views[: self.objective.num_views]
        runs = runs_of_equal_size(views)
        reached_by_all = images_of_all and (patches_of_all or self.patch_loss is None)
        return runs if reached_by_all else runs[::-1]

    def forward(
        self, views: Tensor, first: int, num_views: int, teacher: Logits, teacher_temp: float
    ) -> dict[str, Tensor]:
        """The share of v equally sized views in a batch's losses; changes nothing.

        Args:
            views: (v, B, 3, h, w).
            first: Number of the first one.
            num_views: V, all views of an image.
            teacher: What the teacher said of the batch, see :meth:`look`.
            teacher_temp: Temperature of its targets.

        Returns:
            The total ``loss`` and its terms.
        """
        patches = teacher.patches.get(first)
        compared = first == 0 or self.objective.compares_all_views
        image, own = self.student(views, compared, patches is not None)
        total = views.new_zeros(())
        losses = {"cls_loss": total}
        if compared:
            total = self.objective(image, teacher.image, teacher_temp, first, num_views)
            losses["cls_loss"] = total
        if patches is not None and self.patch_loss is not None:
            seen = sum(len(run) for run in teacher.patches.values())
            losses["patch_loss"] = self.patch_loss(own, patches, teacher_temp, seen)
            total = total + self.patch_weight * losses["patch_loss"]
        return {"loss": total, **losses}

    def update(self, teacher: Logits) -> None:
        """Take what the teacher said of a batch into queues, and into the sums for the centres."""
        self.objective.update(teacher.image)
        if self.patch_loss is not None:
            self.patch_loss.update(list(teacher.patches.values()))

    def move_centers(self) -> None:
        """Move the centres towards the mean of what the teacher said in this step."""
        self.objective.finish_step()
        if self.patch_loss is not None:
            self.patch_loss.finish_step()

    @torch.no_grad()
    def move_teacher(self, momentum: float) -> None:
        """Let the teacher follow the student, as a moving average of its weights."""
        teacher, student = (
            [local(parameter) for parameter in network.parameters()]
            for network in (self.teacher, self.student)
        )
        torch._foreach_lerp_(teacher, student, 1 - momentum)
