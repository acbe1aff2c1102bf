"""MoBY, MoCo-v3, Swin and the ablations, against loops written from the formulas and timm."""

import math

import pytest
import timm
import torch
import torch.nn.functional as F

from selfpatch.engine.pretrainer import Pretrainer
from selfpatch.errors import InputError
from selfpatch.models.heads import EmbeddingHead
from selfpatch.models.neighbours import NO_PATCH, mean_of_positives, neighbour_index
from selfpatch.models.swin import SWIN_VARIANTS, Swin
from selfpatch.models.vit import sine_cosine_positions
from selfpatch.objectives.moby import MoBY
from selfpatch.objectives.mocov3 import MoCoV3

HEADS = {"hidden_dim": 8, "bottleneck_dim": 4}


def nearest(query, keys, right: int, temperature: float) -> float:
    """-log of the softmax share of ``keys[right]``, by hand."""
    scores = [math.exp(float(F.cosine_similarity(query, key, dim=0)) / temperature) for key in keys]
    return -math.log(scores[right] / sum(scores))


@torch.no_grad()
def test_moby_looks_for_the_other_views_key_among_that_views_queue():
    moby = MoBY(hidden_dim=6, out_dim=5, queue_size=8)
    student, teacher = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    queries = moby.predictor(student)
    losses = []
    for query, key in ((0, 1), (1, 0)):
        rows = [
            nearest(queries[query, b], [teacher[key, b], *moby.queues[key]], 0, 0.2)
            for b in range(3)
        ]
        losses.append(sum(rows) / 3)
    assert float(moby(student, teacher)) == pytest.approx(sum(losses), rel=1e-4)


def test_moby_queues_keep_the_newest_keys_of_each_view():
    moby = MoBY(hidden_dim=6, out_dim=5, queue_size=8)
    keys = [torch.randn(2, 3, 5) for _ in range(4)]
    for step in keys:
        moby.update(step)
    newest = F.normalize(torch.cat(keys, dim=1)[:, -8:], dim=-1)
    places = [(4 * 3 - 8 + i) % 8 for i in range(8)]
    torch.testing.assert_close(moby.queues[:, places], newest)
    assert int(moby.position) == 4 * 3 % 8


@torch.no_grad()
def test_mocov3_looks_for_the_other_views_key_in_the_batch():
    moco = MoCoV3(hidden_dim=6, out_dim=5)
    student, teacher = torch.randn(2, 4, 5), torch.randn(2, 4, 5)
    queries = moco.predictor(student)
    rows = [
        nearest(queries[query, b], list(teacher[key]), b, 0.2)
        for query, key in ((0, 1), (1, 0))
        for b in range(4)
    ]
    assert float(moco(student, teacher)) == pytest.approx(2 * 0.2 * sum(rows) / 4, rel=1e-4)


def test_embedding_head_normalises_each_view_by_its_own_statistics():
    head = EmbeddingHead(4, num_layers=2, hidden_dim=8, out_dim=3, last_norm=True)
    out = head(torch.stack([torch.randn(16, 4), 5 + 3 * torch.randn(16, 4)]))
    torch.testing.assert_close(out.mean(1), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(1, unbiased=False), torch.ones(2, 3), atol=1e-2, rtol=0)


@torch.no_grad()
def test_swin_gives_timms_tokens():
    swin = Swin(**SWIN_VARIANTS["swin_tiny"], final_norm=True).eval()
    theirs = timm.create_model("swin_tiny_patch4_window7_224", num_classes=0).eval()
    theirs.load_state_dict(swin.state_dict())
    images = torch.randn(1, 3, 224, 224)
    expected = theirs.forward_features(images)
    torch.testing.assert_close(swin.norm(swin(images)).view_as(expected), expected)
    assert swin(torch.randn(2, 3, 96, 64)).shape == (2, 3 * 2, 768)
    with pytest.raises(InputError, match="multiples of 32"):
        swin(torch.randn(1, 3, 100, 96))


def test_positions_of_sines_and_cosines_by_hand():
    positions = sine_cosine_positions(2, 3, 8).view(2, 3, 8)
    frequencies = [1.0, 10000.0**-0.5]
    waves = [f(2 * w) for f in (math.sin, math.cos) for w in frequencies]
    waves += [f(1 * w) for f in (math.sin, math.cos) for w in frequencies]
    assert positions[1, 2].tolist() == pytest.approx(waves, abs=1e-6)


def test_every_other_patch_is_a_neighbour_when_asked_for_all():
    index = neighbour_index(2, 3, "all")
    assert index[2].tolist() == [0, 1, 3, 4, 5]
    assert index.shape == (6, 5)


def test_mean_of_positives_leaves_out_places_without_a_patch():
    tokens = torch.arange(6.0).view(1, 3, 2)
    positives = torch.tensor([[[1, 2], [0, NO_PATCH], [0, 1]]])
    expected = torch.stack([tokens[0, 1:].mean(0), tokens[0, 0], tokens[0, :2].mean(0)])
    torch.testing.assert_close(mean_of_positives(tokens, positives)[0], expected)


def tiny(objective: str, selfpatch: dict | None = None, **backbone) -> Pretrainer:
    arguments = {
        "dino": {"num_prototypes": 6, **HEADS},
        "moby": {"hidden_dim": 8, "out_dim": 4, "queue_size": 8},
        "mocov3": {"hidden_dim": 8, "out_dim": 4},
    }[objective]
    sizes = {"embed_dim": 12, "num_heads": 2, "depth": 2, "patch_size": 8, "image_size": 32}
    if selfpatch is not None:
        selfpatch = {"weight": 0.1, "patch_head": {"num_prototypes": 5, **HEADS}, **selfpatch}
    return Pretrainer({**sizes, **backbone}, {"name": objective, **arguments}, selfpatch)


@pytest.mark.parametrize("patches", [None, {}], ids=["alone", "selfpatch"])
@pytest.mark.parametrize("objective", ["dino", "moby", "mocov3"])
def test_every_objective_trains_every_part_of_its_student(objective, patches):
    model = tiny(objective, patches)
    views = [torch.randn(4, 3, 32, 32) for _ in range(2)]
    losses = model(views)
    losses["loss"].backward()
    assert losses["loss"].isfinite()
    assert ("patch_loss" in losses) == (patches is not None)
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
        losses.append(model(views))
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
         "fixed_positions": True},
        {"name": "mocov3", "hidden_dim": 8, "out_dim": 4},
        freeze_patch_embed=True,
    )  # fmt: skip
    frozen = {n for n, p in model.student.backbone.named_parameters() if not p.requires_grad}
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
