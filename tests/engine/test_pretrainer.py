"""Eq. 8 from its parts, what is trained with each objective, and the ablations."""

import pytest
import torch

from selfpatch.engine.pretrainer import Pretrainer
from selfpatch.errors import InputError
from selfpatch.models.neighbours import (
    match_positives,
    neighbour_index,
)
from tests.objectives.naive import naive_cross_entropy

HEADS = {"hidden_dim": 8, "bottleneck_dim": 4}
TEMP = 0.04


def tiny(objective: str, selfpatch: dict | None = None, **trunk) -> Pretrainer:
    arguments = {
        "dino": {"num_prototypes": 6, **HEADS},
        "moby": {"hidden_dim": 8, "out_dim": 4, "queue_size": 8},
        "mocov3": {"hidden_dim": 8, "out_dim": 4},
    }[objective]
    own = {"class_token": selfpatch is None, "final_norm": selfpatch is None}
    sizes = {"embed_dim": 12, "num_heads": 2, "depth": 2, "patch_size": 8, "image_size": 32}
    if selfpatch is not None:
        selfpatch = {"weight": 0.1, "patch_head": {"num_prototypes": 5, **HEADS}, **selfpatch}
    return Pretrainer({**sizes, **own, **trunk}, {"name": objective, **arguments}, selfpatch)


def losses_of(model: Pretrainer, views: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """The losses of a batch: the shares of its runs of equal views added up."""
    teacher = model.look(views)
    shares = [model(run, first, len(views), teacher, TEMP) for first, run in model.runs(views)]
    return {name: torch.stack([share[name] for share in shares if name in share]).sum()
            for name in shares[-1]}  # fmt: skip


@pytest.mark.parametrize("patches", [None, {}], ids=["alone", "selfpatch"])
@pytest.mark.parametrize("objective", ["dino", "moby", "mocov3"])
def test_every_objective_trains_every_part_of_its_student(objective, patches):
    model = tiny(objective, patches)
    views = [torch.randn(4, 3, 32, 32) for _ in range(2)]
    losses = losses_of(model, views)
    losses["loss"].backward()
    assert losses["loss"].isfinite()
    assert ("patch_loss" in losses) == (patches is not None)
    trained = [*model.student.named_parameters(), *model.objective.named_parameters()]
    assert [name for name, p in trained if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize("patches", [None, {}, {"views": "global"}], ids=str)
@pytest.mark.parametrize("objective", ["dino", "moby", "mocov3"])
def test_the_last_run_reaches_every_parameter_for_processes_to_average(objective, patches):
    model = tiny(objective, patches)
    views = [torch.randn(4, 3, side, side) for side in (32, 32, 16)]
    teacher = model.look(views)
    first, run = model.runs(views)[-1]
    model(run, first, len(views), teacher, TEMP)["loss"].backward()
    trained = [*model.student.named_parameters(), *model.objective.named_parameters()]
    assert [name for name, p in trained if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize(
    "ablation",
    [
        {"neighbourhood": 5},
        {"neighbourhood": 7},
        {"neighbourhood": "all", "k": "all"},
        {"border": "clip"},
        {"k": 1},
        {"aggregation": "mean"},
        {"aggregation": "none"},
        {"views": "global"},
        {"weight": 1.0},
    ],
    ids=str,
)
def test_every_ablation_changes_the_patch_loss_and_nothing_else(ablation):
    losses: list[dict[str, torch.Tensor]] = []
    for options in ({}, ablation):
        torch.manual_seed(1)
        model = tiny("dino", options)
        with torch.no_grad():  # fresh weights are so small that all summaries look alike
            for parameter in model.parameters():
                parameter *= 8
        views = [torch.randn(2, 3, 64, 64) for _ in range(2)] + [torch.randn(2, 3, 32, 32)]
        losses.append(losses_of(model, views))
    default, changed = losses
    torch.testing.assert_close(default["cls_loss"], changed["cls_loss"])
    if "weight" in ablation:
        torch.testing.assert_close(changed["loss"], changed["cls_loss"] + changed["patch_loss"])
    else:
        assert abs((default["patch_loss"] - changed["patch_loss"]).item()) > 1e-4
    assert changed["loss"].isfinite()


def test_a_frozen_patch_projection_and_fixed_positions_are_not_trained():
    model = Pretrainer(
        {"embed_dim": 12, "num_heads": 2, "depth": 1, "patch_size": 8, "image_size": 32,
         "final_norm": True},
        {"name": "mocov3", "hidden_dim": 8, "out_dim": 4},
    )  # fmt: skip
    frozen = {n for n, p in model.student.trunk.named_parameters() if not p.requires_grad}
    assert frozen == {"pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"k": 0}, "k must be 'all' or lie from 1 to the 8 neighbours, not 0"),
        ({"k": 9}, "not 9"),
        ({"neighbourhood": 4}, "odd and at least 3"),
        ({"border": "foo"}, "border must be"),
        ({"aggregation": "foo"}, "attention, mean, none"),
        ({"views": "foo"}, "views must be"),
    ],
)
def test_an_ablation_that_means_nothing_is_refused(options, sentence):
    selfpatch = {"weight": 0.1, "patch_head": {"num_prototypes": 6, **HEADS}, **options}
    with pytest.raises(InputError, match=sentence):
        Pretrainer(
            {"variant": "vit_tiny", "depth": 1, "image_size": 32},
            {"name": "dino", "num_prototypes": 6, **HEADS},
            selfpatch,
        )


@pytest.fixture
def model() -> Pretrainer:
    heads = {"hidden_dim": 8, "bottleneck_dim": 4}
    return Pretrainer(
        trunk={
            "embed_dim": 12, "num_heads": 2, "depth": 2, "patch_size": 8, "image_size": 32
        },
        objective={"name": "dino", "num_prototypes": 6, **heads},
        selfpatch={"weight": 0.5, "patch_head": {"num_prototypes": 5, **heads}},
    )  # fmt: skip


@torch.no_grad()
def test_total_is_image_loss_plus_weighted_patch_loss(model):
    """Eq. 8, and both terms as they come from the parts of the model, view by view (Eq. 6-7)."""
    views = [torch.randn(2, 3, 32, 32), torch.randn(2, 3, 32, 32), torch.randn(2, 3, 16, 24)]
    losses = losses_of(model, views)
    student, teacher = model.student, model.teacher
    patch, summaries = [], []
    for view in views:
        own, seen = student.trunk(view), teacher.trunk(view)
        grid = (view.shape[2] // 8, view.shape[3] // 8)
        positives = match_positives(seen, neighbour_index(*grid), 4)
        _, targets = teacher.aggregation_head.summarize(seen, positives)
        s = student.patch_head(student.aggregation_head.norm(own)).whole().flatten(0, 1)
        t = teacher.patch_head(targets).whole().flatten(0, 1)
        values = [
            naive_cross_entropy(a, b, torch.zeros(5), 0.1, 0.04) for a, b in zip(s, t, strict=True)
        ]
        patch.append(sum(values) / len(values))
        summaries.append(student.image_head(student.aggregation_head.summarize_image(own)).whole())
    targets = [
        teacher.image_head(teacher.aggregation_head.summarize_image(teacher.trunk(view))).whole()
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
    # Here the image loss happens to be 2e-4: a logarithm's rounding in single precision shows.
    assert float(losses["cls_loss"]) == pytest.approx(sum(pairs) / len(pairs), rel=1e-4, abs=1e-6)
    total = float(losses["cls_loss"]) + 0.5 * float(losses["patch_loss"])
    assert float(losses["loss"]) == pytest.approx(total, rel=1e-6)


def test_gradient_reaches_the_student_and_never_the_teacher(model):
    views = [torch.randn(2, 3, 32, 32) for _ in range(2)]
    losses_of(model, views)["loss"].backward()
    trained = [p for p in model.student.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in trained)
    assert all(p.grad is None for p in model.teacher.parameters())


def test_teacher_is_the_moving_average_of_the_student(model):
    with torch.no_grad():
        for parameter in model.student.parameters():
            parameter += 1.0
    before = [parameter.clone() for parameter in model.teacher.parameters()]
    model.move_teacher(momentum=0.9)
    for old, new in zip(before, model.teacher.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.1)


@pytest.mark.parametrize(
    ("trunk", "selfpatch", "sentence"),
    [
        ({"class_token": True, "final_norm": False}, None, "set model.trunk.final_norm=True"),
        ({"final_norm": True}, {}, "leave model.trunk.final_norm out"),
    ],
)
def test_features_pass_one_last_norm(trunk, selfpatch, sentence):
    """With none, or with two, a run trained all the same, and its numbers were of another model."""
    with pytest.raises(InputError, match=sentence):
        tiny("dino", selfpatch, **trunk)


@pytest.mark.parametrize("patches", [None, {}], ids=["alone", "selfpatch"])
def test_one_global_view_is_compared_with_the_local_ones_alone(patches):
    """Its own run of views has no pair, and a share of 0."""
    model = tiny("dino", patches)
    model.objective.num_views = 1
    views = [torch.randn(4, 3, side, side) for side in (32, 16, 16)]
    teacher = model.look(views)
    shares = [model(run, first, 3, teacher, TEMP) for first, run in model.runs(views)]
    assert shares[0]["cls_loss"] == 0
    assert shares[1]["cls_loss"] > 0
    sum(share["loss"] for share in shares).backward()
    assert all(p.grad.isfinite().all() for p in model.student.parameters() if p.requires_grad)


@pytest.mark.parametrize("objective", ["moby", "mocov3"])
def test_an_image_head_sees_no_view_that_is_not_compared(objective):
    """Its batch statistics would be those of views that the loss does not know."""
    model = tiny(objective, {})
    seen = {"student": [], "teacher": []}
    for name, views in seen.items():
        head = getattr(model, name).image_head
        head.register_forward_pre_hook(lambda _, given, views=views: views.append(given[0].shape))
    losses_of(model, [torch.randn(4, 3, side, side) for side in (32, 32, 16, 16, 16)])
    assert seen == {"student": [(2, 4, 12)], "teacher": [(2, 4, 12)]}


def test_patches_of_an_earlier_stage_of_a_swin_are_places_of_its_grid():
    """MoBY + SelfPatch on 64 pixels: stage 3 has 4 x 4 places of width 96, the last one 2 x 2."""
    heads = {"num_prototypes": 5, **HEADS}
    model = Pretrainer(
        {"variant": "swin_tiny", "embed_dim": 24, "depths": (1, 1, 1, 1),
         "num_heads": (1, 2, 3, 4), "image_size": 64},
        {"name": "moby", "hidden_dim": 8, "out_dim": 4, "queue_size": 8},
        {"weight": 0.1, "patch_head": heads, "patch_layer": 2},
    )  # fmt: skip
    views = [torch.randn(2, 3, 64, 64) for _ in range(2)]
    ((first, run),) = model.runs(views)
    image, patches = model.student(run)
    teacher = model.look(views)
    assert patches.whole().shape == teacher.patches[first].whole().shape == (2, 2, 4 * 4, 5)
    tokens, places, grid = model.student.tokens(views[0])
    stage, last = model.student.trunk.layer_maps(views[0], [2, 3])
    assert grid == (4, 4)
    assert tokens.equal(last.flatten(2).transpose(1, 2))
    assert places.equal(model.student.widen(stage.flatten(2).transpose(1, 2)))
    torch.testing.assert_close(
        image, model.student.image_head(
            torch.stack([model.student.aggregation_head.summarize_image(
                model.student.trunk(view)) for view in views])
        ),
    )  # fmt: skip
    losses = losses_of(model, views)
    losses["loss"].backward()
    trained = [*model.student.named_parameters(), *model.objective.named_parameters()]
    assert [name for name, p in trained if p.requires_grad and p.grad is None] == []


def test_a_layer_that_the_trunk_does_not_have_is_refused():
    with pytest.raises(InputError, match="patch_layer must lie from 0 to 1, or be -1, not 2"):
        tiny("dino", {"patch_layer": 2})
