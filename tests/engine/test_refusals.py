"""Settings that cannot mean what they say are refused at the start, in one sentence."""

import pytest

from selfpatch.data.draws import View
from selfpatch.engine.schedules import Schedule
from selfpatch.errors import InputError
from selfpatch.objectives.dino import DINO
from selfpatch.objectives.moby import MoBY
from selfpatch.objectives.mocov3 import MoCoV3
from selfpatch.objectives.selfpatch import SelfPatchLoss
from tests.engine.tiny_pretraining import train

SCHEDULE = {
    "num_steps": 30, "steps_per_epoch": 10, "images_per_step": 4, "lr": 1e-3, "start_lr": 0.0,
    "end_lr": 0.0, "warmup_epochs": 1, "weight_decay": (0.0, 0.1), "momentum": (0.9, 1.0),
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"warmup_epochs": 10}, r"warmup_epochs=10 does not fit into a run of 3 epochs; lower it"),
        ({"teacher_temp_warmup_epochs": 4}, "teacher_temp_warmup_epochs=4 does not fit"),
        ({"freeze_last_layer_epochs": -1}, "freeze_last_layer_epochs=-1 does not fit"),
        ({"lr": 0.0}, r"schedule.lr=0.0 must be above 0"),
        ({"start_lr": -1.0}, r"schedule.start_lr=-1.0 must be 0 or above"),
        ({"end_lr": -1.0}, r"schedule.end_lr=-1.0 must be 0 or above"),
        ({"weight_decay": (0.1, -0.1)}, r"schedule.weight_decay=\(0.1, -0.1\) must be 0 or above"),
        ({"momentum": (0.9, 1.1)}, r"schedule.momentum=\(0.9, 1.1\) must be from 0 to 1"),
        ({"momentum": (-0.1, 1.0)}, "must be from 0 to 1"),
        ({"teacher_temp": (0.0, 0.04)}, r"schedule.teacher_temp=\(0.0, 0.04\) must be above 0"),
    ],
)
def test_a_schedule(changed, sentence):
    Schedule(**SCHEDULE)
    with pytest.raises(InputError, match=sentence):
        Schedule(**{**SCHEDULE, **changed})


def test_a_warm_up_of_the_whole_run_is_none_too_many():
    whole = {"warmup_epochs": 3, "teacher_temp_warmup_epochs": 3, "freeze_last_layer_epochs": 3}
    assert Schedule(**{**SCHEDULE, **whole})(29).lr == pytest.approx(1e-3 * 4 / 256)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"size": 11}, "a view's size=11 must be 12 pixels or more"),
        ({"count": 0}, "count=0 must be 1 or more"),
        ({"scale": (0.0, 1.0)}, "must be two shares of an image's area that rise"),
        ({"scale": (0.5, 0.4)}, "that rise"),
        ({"scale": (0.5, 1.1)}, "that rise"),
        ({"blur": 1.1}, "blur=1.1 must be a probability"),
        ({"solarize": -0.1}, "solarize=-0.1 must be a probability"),
        ({"color_jitter": (0.4, 0.4, -0.2, 0.1)}, "four strengths"),
        ({"interpolation": "nearest"}, "interpolation='nearest' must be bicubic or bilinear"),
    ],
)
def test_a_view(changed, sentence):
    with pytest.raises(InputError, match=sentence):
        View(**{"size": 32, "scale": (0.25, 1.0), **changed})


@pytest.mark.parametrize(
    ("objective", "sizes", "sentence"),
    [
        (DINO(4), [32], "DINO compares 2 views of an image or more, and the config makes 1"),
        (DINO(4, num_global=1), [32], "DINO compares 2 views"),
        (DINO(4, num_global=3), [32, 32], "DINO compares 3 views"),
        (DINO(4), [32, 16, 16], "the first 2 views are the global ones"),
        (MoCoV3(4, 4), [16, 32, 32], "the first 2 views are the global ones and must be the"),
        (DINO(4), [16, 16, 32], r"but the sides are \[16, 16, 32\]; put them first in views"),
    ],
)
def test_views_that_an_objective_cannot_compare(objective, sizes, sentence):
    objective.check([32, 32, 32, 16], 4)
    with pytest.raises(InputError, match=sentence):
        objective.check(sizes, 4)


def test_a_queue_that_is_shorter_than_a_batch():
    moby = MoBY(4, 4, queue_size=6)
    moby.check([32, 32], 6)
    with pytest.raises(InputError, match="a queue of 6 keys does not take the 8 images"):
        moby.check([32, 32], 8)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: DINO(4, student_temp=0.0), "student_temp=0.0 must be above 0"),
        (lambda: DINO(4, center_momentum=1.0), "center_momentum=1.0 must lie from 0 to below 1"),
        (lambda: DINO(4, num_global=0), "num_global=0 must be above 0"),
        (lambda: MoBY(4, 4, temperature=-1.0), "temperature=-1.0 must be above 0"),
        (lambda: MoBY(4, 4, queue_size=0), "queue_size=0 must be above 0"),
        (lambda: MoCoV3(4, 4, temperature=float("nan")), "temperature=nan must be above 0"),
        (lambda: SelfPatchLoss(4, student_temp=0.0), "student_temp=0.0 must be above 0"),
        (lambda: SelfPatchLoss(4, center_momentum=-0.1), "center_momentum=-0.1 must lie"),
    ],
)
def test_temperatures_and_momenta(build, sentence):
    with pytest.raises(InputError, match=sentence):
        build()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"train_cfg.schedule.warmup_epochs": 3}, "warmup_epochs=3 does not fit into a run of 2"),
        ({"views.2.size": 64}, "put them first in views"),
        ({"views.0.scale": (0.0, 1.0)}, "a view's scale"),
        ({"activation_checkpointing": ["student.blocks.0"]}, "names 'student.blocks.0', which the"),
    ],
)
def test_a_run_ends_before_its_first_step(options, sentence, images, tmp_path):
    with pytest.raises(InputError, match=sentence):
        train("demo_dino.py", images, tmp_path, **options)
    assert not list(tmp_path.glob("*.pth"))


def test_selfpatch_without_a_patch_head_is_no_selfpatch(images, tmp_path):
    """It trained the image objective alone, and its results said dino+selfpatch."""
    options = {"model.selfpatch": {"_delete_": True, "weight": 0.1}}
    with pytest.raises(InputError, match=r"model\.selfpatch has no patch_head"):
        train("demo_selfpatch.py", images, tmp_path / "run", **options)


@pytest.mark.parametrize("weight", [None, -0.1, float("nan"), float("inf"), "much"])
def test_a_patch_loss_of_no_weight(weight, images, tmp_path):
    with pytest.raises(InputError, match=r"model\.selfpatch\.weight=.* must be 0 or above"):
        train("demo_selfpatch.py", images, tmp_path / "run", model__selfpatch__weight=weight)
