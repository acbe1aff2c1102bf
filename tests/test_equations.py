"""Eq. 3-8 against plain loops and cases worked by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from selfpatch.engine.pretrainer import Pretrainer
from selfpatch.models.heads import AggregationHead
from selfpatch.models.neighbours import NO_PATCH, match_positives, neighbour_index
from selfpatch.objectives.dino import DINO
from selfpatch.objectives.selfpatch import SelfPatchLoss


def test_corner_patch_wraps_to_the_opposite_edge():
    assert neighbour_index(rows=3, columns=4)[0].tolist() == [1, 3, 4, 5, 7, 8, 9, 11]


def test_clipped_corner_has_three_neighbours():
    corner = neighbour_index(rows=3, columns=4, border="clip")[0].tolist()
    assert corner == [1, 4, 5] + [NO_PATCH] * 5


def test_a_grid_smaller_than_the_neighbourhood_names_each_patch_once():
    assert neighbour_index(rows=2, columns=2)[0].tolist() == [1, 2, 3] + [NO_PATCH] * 5


@pytest.mark.parametrize(("side", "share"), [(14, 0.265), (6, 0.556)])
def test_share_of_patches_with_a_wrapped_neighbour_is_the_stated_one(side, share):
    wrapped = neighbour_index(side, side) != neighbour_index(side, side, border="clip")
    assert wrapped.any(1).float().mean().item() == pytest.approx(share, abs=5e-4)


@pytest.mark.parametrize("border", ["wrap", "clip"])
@pytest.mark.parametrize("size", [3, 5])
def test_being_neighbours_is_mutual(size, border):
    index = neighbour_index(5, 6, size, border)
    pairs = {(i, j) for i, row in enumerate(index.tolist()) for j in row if j != NO_PATCH}
    assert pairs == {(j, i) for i, j in pairs}
    assert all(i != j for i, j in pairs)


@pytest.mark.parametrize("border", ["wrap", "clip"])
def test_positives_are_the_most_similar_neighbours(border):
    """Eq. 3 in loops, on a grid that is not square."""
    rows, columns, k = 4, 5, 4
    tokens = torch.randn(2, rows * columns, 7)
    index = neighbour_index(rows, columns, border=border)
    positives = match_positives(tokens, index, k)
    for image in range(2):
        for i in range(rows * columns):
            scores = {
                j: float(F.cosine_similarity(tokens[image, i], tokens[image, j], dim=0))
                for j in index[i].tolist()
                if j != NO_PATCH
            }
            best = sorted(scores, key=lambda j: -scores[j])[:k]
            best += [NO_PATCH] * (k - len(best))
            assert positives[image, i].tolist() == best


def naive_summary(head, tokens):
    """Eq. 4 for one set of tokens (n, D): class attention, head by head."""
    summary = head.cls_token[0, 0]
    for block in head.cls_blocks:
        both = block.norm1(torch.cat([summary[None], tokens]))
        query, keys, values = block.attn["q"](both[0]), block.attn["k"](both), block.attn["v"](both)
        width = len(query) // block.num_heads
        outputs = []
        for start in range(0, len(query), width):
            part = slice(start, start + width)
            scores = keys[:, part] @ query[part] / math.sqrt(width)
            outputs.append(scores.softmax(0) @ values[:, part])
        summary = summary + block.attn["proj"](torch.cat(outputs))
        summary = summary + block.mlp(block.norm2(summary))
    return head.norm(summary)


@pytest.mark.parametrize("border", ["wrap", "clip"])
def test_summaries_equal_an_attention_over_each_patch_in_a_loop(border):
    head = AggregationHead(embed_dim=12, num_heads=3).double()
    tokens = torch.randn(2, 12, 12, dtype=torch.float64)
    positives = match_positives(tokens, neighbour_index(3, 4, border=border), k=4)
    image, patches = head.summarize(tokens, positives)
    for b in range(2):
        torch.testing.assert_close(image[b], naive_summary(head, tokens[b]))
        for i in range(12):
            chosen = [j for j in positives[b, i].tolist() if j != NO_PATCH]
            torch.testing.assert_close(patches[b, i], naive_summary(head, tokens[b, chosen]))


def naive_cross_entropy(student, teacher, center, student_temp, teacher_temp) -> float:
    log_p = (student / student_temp).log_softmax(0)
    q = ((teacher - center) / teacher_temp).softmax(0)
    return float(-(q * log_p).sum())


def test_image_loss_equals_a_loop_over_pairs_of_views():
    loss = DINO(num_prototypes=6)
    loss.teacher_temp = 0.07
    loss.center.value.copy_(torch.randn(6))
    student, teacher = torch.randn(4, 3, 6), torch.randn(2, 3, 6)
    pairs = [
        naive_cross_entropy(student[v, b], teacher[t, b], loss.center.value, 0.1, 0.07)
        for t in range(2)
        for v in range(4)
        if v != t
        for b in range(3)
    ]
    expected = sum(pairs) / len(pairs)
    assert float(loss(student, teacher)) == pytest.approx(expected, rel=1e-5)


def test_patch_loss_counts_every_view_alike():
    loss = SelfPatchLoss(num_prototypes=5)
    student = [torch.randn(2, 3, 9, 5), torch.randn(1, 3, 4, 5)]
    teacher = [torch.randn_like(logits) for logits in student]
    per_view = []
    for own, summary in zip(student, teacher, strict=True):
        for view in range(len(own)):
            rows = zip(own[view].flatten(0, 1), summary[view].flatten(0, 1), strict=True)
            values = [naive_cross_entropy(s, t, loss.center.value, 0.1, 0.04) for s, t in rows]
            per_view.append(sum(values) / len(values))
    assert float(loss(student, teacher)) == pytest.approx(sum(per_view) / 3, rel=1e-5)


def test_two_prototypes_by_hand():
    """Equal teacher logits make a target of one half each: the loss is ln 2 for an even student."""
    loss = DINO(num_prototypes=2)
    even = torch.zeros(2, 1, 2)
    assert float(loss(even, even)) == pytest.approx(math.log(2))


def test_center_moves_a_tenth_of_the_way_to_the_mean_of_the_views_it_looks_at():
    teacher = torch.tensor([1.0, 1.0, 4.0]).view(3, 1, 1).expand(3, 2, 5)
    for views, mean in [("all", 2.0), ("global", 1.0)]:
        loss = DINO(num_prototypes=5, center_views=views)
        loss.update(teacher)
        loss.finish_step()
        assert loss.center.value.tolist() == pytest.approx([0.1 * mean] * 5)


@pytest.fixture
def model() -> Pretrainer:
    heads = {"hidden_dim": 8, "bottleneck_dim": 4}
    return Pretrainer(
        backbone={
            "embed_dim": 12, "num_heads": 2, "depth": 2, "patch_size": 8, "image_size": 32
        },
        objective={"name": "dino", "num_prototypes": 6, **heads},
        selfpatch={"weight": 0.5, "patch_head": {"num_prototypes": 5, **heads}},
    )  # fmt: skip


@torch.no_grad()
def test_total_is_image_loss_plus_weighted_patch_loss(model):
    """Eq. 8, and both terms as they come from the parts of the model, view by view (Eq. 6-7)."""
    views = [torch.randn(2, 3, 32, 32), torch.randn(2, 3, 32, 32), torch.randn(2, 3, 16, 24)]
    losses = model(views)
    student, teacher = model.student, model.teacher
    patch, summaries = [], []
    for view in views:
        own, seen = student.backbone(view), teacher.backbone(view)
        grid = (view.shape[2] // 8, view.shape[3] // 8)
        positives = match_positives(seen, neighbour_index(*grid), 4)
        _, targets = teacher.aggregation_head.summarize(seen, positives)
        s = student.patch_head(student.aggregation_head.norm(own)).flatten(0, 1)
        t = teacher.patch_head(targets).flatten(0, 1)
        values = [
            naive_cross_entropy(a, b, torch.zeros(5), 0.1, 0.04) for a, b in zip(s, t, strict=True)
        ]
        patch.append(sum(values) / len(values))
        summaries.append(student.image_head(student.aggregation_head.summarize_image(own)))
    targets = [
        teacher.image_head(teacher.aggregation_head.summarize_image(teacher.backbone(view)))
        for view in views[:2]
    ]
    pairs = [
        naive_cross_entropy(summaries[v][b], targets[t][b], torch.zeros(6), 0.1, 0.04)
        for t in range(2)
        for v in range(3)
        if v != t
        for b in range(2)
    ]
    assert float(losses["patch_loss"]) == pytest.approx(sum(patch) / 3, rel=1e-4)
    assert float(losses["cls_loss"]) == pytest.approx(sum(pairs) / len(pairs), rel=1e-4)
    total = float(losses["cls_loss"]) + 0.5 * float(losses["patch_loss"])
    assert float(losses["loss"]) == pytest.approx(total, rel=1e-6)


def test_gradient_reaches_the_student_and_never_the_teacher(model):
    views = [torch.randn(2, 3, 32, 32) for _ in range(2)]
    model(views)["loss"].backward()
    trained = [p for p in model.student.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in trained)
    assert all(p.grad is None for p in model.teacher.parameters())


def test_teacher_is_the_moving_average_of_the_student(model):
    with torch.no_grad():
        for parameter in model.student.parameters():
            parameter += 1.0
    before = [parameter.clone() for parameter in model.teacher.parameters()]
    model.momentum = 0.9
    model.finish_step()
    for old, new in zip(before, model.teacher.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.1)
