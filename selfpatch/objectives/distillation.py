"""Vectors and prototypes -> the loss of self-distillation with a centre (DINO).

With 65,536 prototypes the logits of a batch are larger than all activations of a ViT-S, so they are
made chunk by chunk, and only once: the loss's gradient is known in closed form, softmax(s) - t, and
is taken in the forward pass, while a chunk's logits are at hand.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from selfpatch.errors import InputError
from selfpatch.models.distributed import mean_over_processes
from selfpatch.models.heads import PrototypeLogits, factors, products_of

CHUNK = {"cpu": 2**22, "cuda": 2**25}
"""Logits that are made at once: what fits a processor's caches, what keeps a GPU busy."""


class Center(nn.Module):
    """A running mean of the teacher's logits, subtracted so that no prototype wins them all.

    It moves once per optimiser step, towards the mean of all batches of that step.

    Args:
        num_prototypes: K.
        momentum: Share of the old centre that an update keeps.
    """

    value: Tensor

    def __init__(self, num_prototypes: int, momentum: float) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise InputError(f"center_momentum={momentum} must lie from 0 to below 1")
        self.momentum = momentum
        self.register_buffer("value", torch.zeros(num_prototypes))
        self.pending_sum: Tensor | None = None  # of the rows collected since the last step
        self.pending_rows = 0

    def targets(self, products: Tensor, scale: Tensor, teacher_temp: float) -> Tensor:
        """The teacher's logits -> centred and sharpened distributions (..., K), in fp32.

        Args:
            products: (..., K), see :func:`products_of`.
            scale: (K,), times which they are the logits.
            teacher_temp: Temperature.
        """
        centred = torch.addcmul(-self.value / teacher_temp, products, scale / teacher_temp)
        return centred.softmax(-1)

    @torch.no_grad()
    def collect(self, *teacher: PrototypeLogits) -> None:
        """Add all rows of a batch's ``teacher`` to those of this step.

        Logits are linear in the vectors, so that the sum of the vectors gives that of the logits.
        """
        for logits in teacher:
            rows = logits.vectors.float().flatten(0, -2)
            rows_sum = logits.layer(rows.sum(0))
            self.pending_sum = rows_sum if self.pending_sum is None else self.pending_sum + rows_sum
            self.pending_rows += len(rows)

    @torch.no_grad()
    def step(self) -> None:
        """Move towards the mean of the rows collected, over all processes."""
        if self.pending_sum is None:
            return
        mean = mean_over_processes(self.pending_sum / self.pending_rows)
        self.value.lerp_(mean, 1 - self.momentum)
        self.pending_sum, self.pending_rows = None, 0


def cross_entropy(
    student: PrototypeLogits,
    teacher: PrototypeLogits,
    center: Center,
    student_temp: float,
    teacher_temp: float,
    pairs: Tensor,
) -> Tensor:
    """Weighted sum of the cross-entropies of each student view with each target of the same row.

    Args:
        student: (V, R, K).
        teacher: (T, R, K).
        center: Of the teacher's logits.
        student_temp: Temperature of the student.
        teacher_temp: Temperature of the targets.
        pairs: (T, V), the weight of view v's cross-entropy with target t, in every row.

    Returns:
        A scalar, in fp32.
    """
    # Taken out, lest gradients of fp16 vanish, which are below it; 0 if no view has a target.
    unit = pairs.sum(0).max().clamp(min=torch.finfo(pairs.dtype).tiny)
    pairs = pairs / unit
    layer = student.layer
    prototypes, scale = factors(teacher.layer.weight_v, teacher.layer.weight_g)

    def targets(part: slice) -> Tensor:
        products = products_of(teacher.vectors[:, part], prototypes)
        distributions = center.targets(products, scale, teacher_temp).flatten(1)
        return pairs.T @ distributions

    loss: Tensor = CrossEntropy.apply(
        student.vectors, layer.weight_v, layer.weight_g, targets, pairs.sum(0), student_temp
    )
    return unit * loss


class CrossEntropy(torch.autograd.Function):
    """Cross-entropy of logits with distributions, both made in chunks; gradients along the way.

    The targets t of a row add up to its ``mass`` m, so that the gradient with respect to its logits
    is m softmax(s) - t.
    """

    @staticmethod
    def forward(
        ctx: Any,
        vectors: Tensor,
        weight_v: Tensor,
        weight_g: Tensor,
        targets: Callable[[slice], Tensor],
        mass: Tensor,
        temp: float,
    ) -> Tensor:
        """Sum over all rows.

        Args:
            ctx: Keeps the gradients.
            vectors: (V, R, width).
            weight_v: (K, width), see :class:`PrototypeLayer`.
            weight_g: (K, 1), likewise.
            targets: Rows r -> what each view's distribution should be there, (V, r * K).
            mass: (V,), what each row of a view's targets adds up to.
            temp: Temperature of the logits.
        """
        prototypes, scale = factors(weight_v, weight_g)
        scale = scale / temp
        loss = torch.zeros_like(mass[0])
        of_vectors = torch.empty_like(vectors, dtype=weight_v.dtype)
        of_prototypes = torch.empty_like(weight_v)
        with torch.autocast(vectors.device.type, enabled=False):
            for part in chunks(vectors, len(prototypes)):
                rows = vectors[:, part].to(prototypes.dtype)
                wanted = targets(part).view(*rows.shape[:2], -1)
                log_q = (products_of(rows, prototypes) * scale).log_softmax(-1)
                loss -= wanted.flatten() @ log_q.flatten()
                descent = wanted.addcmul_(log_q.exp_(), mass[:, None, None], value=-1)
                gradient = descent.mul_(-scale).flatten(0, 1).to(prototypes.dtype)
                of_vectors[:, part] = (gradient @ prototypes).view_as(rows)
                add_product(of_prototypes, gradient.T, rows.flatten(0, 1), first=part.start == 0)
        ctx.gradients = (
            of_vectors.to(vectors.dtype),
            *through_norm(of_prototypes, weight_v, weight_g),
        )
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """What was computed with the loss, times the loss's own gradient; works once."""
        gradients, ctx.gradients = ctx.gradients, None
        return *(gradient.mul_(grad) for gradient in gradients), None, None, None


def chunks(vectors: Tensor, num_prototypes: int) -> Iterator[slice]:
    """Parts of the rows of (V, R, width) whose logits are few enough to be made at once."""
    per_row = len(vectors) * num_prototypes
    size = max(CHUNK.get(vectors.device.type, CHUNK["cpu"]) // per_row, 1)
    return (slice(start, start + size) for start in range(0, vectors.shape[1], size))


def add_product(total: Tensor, a: Tensor, b: Tensor, first: bool) -> None:
    """Add ``a @ b`` to ``total``, which may be of higher precision and has nothing at ``first``."""
    if a.dtype == total.dtype:
        total.addmm_(a, b, beta=0 if first else 1)
    elif first:
        total.copy_(a @ b)
    else:
        total += a @ b


def through_norm(gradient: Tensor, weight_v: Tensor, weight_g: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient with respect to prototypes -> those with respect to what they are made of.

    Args:
        gradient: (K, width), with respect to ``weight_v`` if its rows' norms were constants;
            overwritten.
        weight_v: (K, width), see :class:`PrototypeLayer`.
        weight_g: (K, 1), likewise.
    """
    along = torch.linalg.vecdot(gradient, weight_v)[:, None]
    norm = torch.linalg.vector_norm(weight_v, dim=1, keepdim=True)
    gradient.addcmul_(weight_v, along / norm**2, value=-1)
    return gradient, along / weight_g
