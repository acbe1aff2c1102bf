"""The cross-entropy in chunks, and its gradients, against autograd on whole logits."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from selfpatch.models.heads import PrototypeLayer, PrototypeLogits
from selfpatch.objectives import distillation
from selfpatch.objectives.distillation import Center, cross_entropy

WIDTH, K = 6, 16


def logits(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> PrototypeLogits:
    torch.manual_seed(seed)
    layer = PrototypeLayer(WIDTH, K, fixed_norm=False).to(dtype)
    torch.nn.init.uniform_(layer.weight_g, 0.5, 2)
    vectors = torch.randn(*shape, WIDTH, dtype=dtype, requires_grad=True)
    return PrototypeLogits(vectors, layer)


def naive(student, teacher, center, student_temp, teacher_temp, pairs):
    """The same on whole logits, pair by pair."""
    targets = ((teacher.whole() - center.value) / teacher_temp).softmax(-1).detach()
    rows = student.layer.weight_g * torch.nn.functional.normalize(student.layer.weight_v, dim=1)
    log_q = (student.vectors @ rows.T / student_temp).log_softmax(-1)
    return -sum(
        pairs[t, v] * (targets[t] * log_q[v]).sum()
        for t in range(len(targets))
        for v in range(len(log_q))
    )


def gradients(loss, student):
    inputs = (student.vectors, student.layer.weight_v, student.layer.weight_g)
    return torch.autograd.grad(3.5 * loss, inputs)


@pytest.mark.parametrize("rows_at_once", [1, 2, 5, 100])
def test_loss_and_gradients_are_those_of_autograd_whatever_the_chunk(rows_at_once, monkeypatch):
    student, teacher = logits(3, 5, seed=0), logits(2, 5, seed=1)
    center = Center(K, 0.9).double()
    center.value.normal_()
    pairs = torch.tensor([[0.0, 0.5, 0.2], [0.4, 0.0, 0.2]], dtype=torch.float64)
    monkeypatch.setitem(distillation.CHUNK, "cpu", rows_at_once * 3 * K)
    found = cross_entropy(student, teacher, center, 0.1, 0.07, pairs)
    expected = naive(student, teacher, center, 0.1, 0.07, pairs)
    torch.testing.assert_close(found, expected)
    for ours, autograds in zip(
        gradients(found, student), gradients(expected, student), strict=True
    ):
        torch.testing.assert_close(ours, autograds)


def test_no_gradient_reaches_the_teacher():
    student, teacher = logits(1, 4, seed=0), logits(1, 4, seed=1)
    pairs = torch.ones(1, 1, dtype=torch.float64)
    cross_entropy(student, teacher, Center(K, 0.9).double(), 0.1, 0.07, pairs).backward()
    assert teacher.vectors.grad is None
    assert teacher.layer.weight_v.grad is None


class Largest(TorchDispatchMode):
    """Notes the most elements of any tensor that an operation makes."""

    most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        self.most = max([self.most, *sizes])
        return out


def test_no_more_logits_are_made_than_a_chunk_takes(monkeypatch):
    monkeypatch.setitem(distillation.CHUNK, "cpu", 2 * K * 10)
    student, teacher = logits(2, 400, seed=0), logits(1, 400, seed=1)
    pairs = torch.ones(1, 2, dtype=torch.float64)
    with Largest() as made:
        cross_entropy(student, teacher, Center(K, 0.9).double(), 0.1, 0.07, pairs).backward()
    assert made.most <= 2 * 400 * WIDTH < 2 * 400 * K


def test_softmax_and_gradients_keep_their_precision_under_autocast():
    student, teacher = (logits(2, 8, seed=s, dtype=torch.float32) for s in (0, 1))
    center, pairs = Center(K, 0.9), torch.full((2, 2), 0.1)
    exact = cross_entropy(student, teacher, center, 0.1, 0.07, pairs)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = cross_entropy(student, teacher, center, 0.1, 0.07, pairs)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0)
    for low, high in zip(gradients(rounded, student), gradients(exact, student), strict=True):
        assert low.dtype == torch.float32
        assert (low - high).norm() < 0.05 * high.norm()


def test_small_gradients_do_not_vanish_in_fp16():
    """A pair weighs little in a large batch; the smallest number of fp16 is 6e-8."""
    student, teacher = (logits(2, 8, seed=s, dtype=torch.float32) for s in (0, 1))
    center, pairs = Center(K, 0.9), torch.full((2, 2), 1e-7)
    exact = gradients(cross_entropy(student, teacher, center, 0.1, 0.07, pairs), student)
    with torch.autocast("cpu", torch.float16):
        rounded = gradients(cross_entropy(student, teacher, center, 0.1, 0.07, pairs), student)
    for low, high in zip(rounded, exact, strict=True):
        assert (low - high).norm() < 0.01 * high.norm()


def test_a_centre_collects_the_mean_of_whole_logits():
    runs = [logits(2, 5, seed=0), logits(1, 3, 4, seed=0)]
    center = Center(K, 0.0).double()
    center.collect(*runs)
    center.step()
    rows = torch.cat([run.whole().flatten(0, -2) for run in runs]).detach()
    torch.testing.assert_close(center.value, rows.mean(0))
