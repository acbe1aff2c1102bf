"""What an image objective has to bring."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from selfpatch.errors import InputError
from selfpatch.models.trunks import Transformer


class Objective(nn.Module, ABC):
    """The loss of an image-level method, with the head and the memory that it needs.

    A subclass states the name that a config gives it, ``class DINO(Objective, name="dino")``, and
    :func:`build_objective` finds it once its file is imported. In a step, for each of its batches:
    the loss, size of views by size of views (:meth:`forward`, which changes nothing), then
    :meth:`update`; and once for the whole step, after the student has moved, :meth:`finish_step`.

    Attributes:
        num_views: The first so many views are the ones whose targets the loss needs.
        compares_all_views: Whether the loss looks at the student's other views as well.
        centers_all_views: Whether :meth:`update` looks at the teacher's other views as well.
    """

    known: ClassVar[dict[str, type["Objective"]]] = {}
    num_views = 2
    compares_all_views = False
    centers_all_views = False

    def __init_subclass__(cls, name: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Objective.known[name] = cls

    def prepare(self, trunk: Transformer) -> None:
        """Draw a new trunk's weights as the method's authors do; by default as DINO does."""

    def check(self, view_sizes: Sequence[int], num_images: int) -> None:
        """Refuse a run that could not compute the loss.

        Args:
            view_sizes: Side of each view, in pixels.
            num_images: Images of a batch, over all processes.

        Raises:
            InputError: There are too few views, or the first ones are not the largest.
        """
        first = view_sizes[: self.num_views]
        if len(view_sizes) < max(self.num_views, 2):
            raise InputError(
                f"{type(self).__name__} compares {max(self.num_views, 2)} views of an image or"
                f" more, and the config makes {len(view_sizes)}; add to views"
            )
        if len(set(first)) > 1 or first[0] < max(view_sizes):
            raise InputError(
                f"the first {self.num_views} views are the global ones and must be the largest,"
                f" but the sides are {list(view_sizes)}; put them first in views"
            )

    @abstractmethod
    def build_head(self, embed_dim: int) -> nn.Module:
        """The head g that student and teacher each have one of: (V, B, embed_dim) -> (V, B, K)."""

    @abstractmethod
    def forward(
        self, student: Any, teacher: Any, teacher_temp: float, first: int, num_views: int
    ) -> Tensor:
        """The share that v equally sized views have in a batch's loss, a scalar.

        The shares of all views add up to the loss. The first ``num_views`` of the class come
        together, so that an objective that compares no others is only called with ``first`` = 0.

        Args:
            student: Outputs of the student's head (v, B, K), :class:`PrototypeLogits` if it has
                prototypes.
            teacher: Outputs of the teacher's head (``num_views`` of the class or more, B, K), no
                gradient.
            teacher_temp: Temperature of the targets in this step, for objectives that sharpen
                them.
            first: Number of the first of the student's views.
            num_views: All views of an image.
        """

    def update(self, teacher: Any) -> None:
        """Take a batch's teacher outputs into the memory, of all processes; nothing by default."""

    def finish_step(self) -> None:
        """Do what happens once per optimiser step; nothing by default."""


def check_positive(**values: float) -> None:
    """Raise InputError for a value that is not above 0."""
    for name, value in values.items():
        if not value > 0:
            raise InputError(f"{name}={value} must be above 0")


def build_objective(name: str, **arguments: Any) -> Objective:
    """Build the objective of this name."""
    if name not in Objective.known:
        known = ", ".join(Objective.known)
        raise InputError(f"there is no objective {name!r}; choose from {known}")
    return Objective.known[name](**arguments)
