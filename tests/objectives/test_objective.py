"""An image objective is one file and one config."""

import pytest
import torch

from selfpatch.backbones.loading import load_backbone
from selfpatch.engine.launch import pretrain, read_config
from selfpatch.errors import InputError
from selfpatch.objectives.distillation import Center
from selfpatch.objectives.objective import build_objective
from tests.engine.tiny_pretraining import CONFIG_OPTIONS, CONFIGS
from tests.objectives.naive import as_logits


@pytest.mark.parametrize("base", CONFIG_OPTIONS)
def test_an_objective_of_ones_own_trains_alone_and_with_selfpatch(base, images, tmp_path):
    config = tmp_path / "config.py"
    config.write_text(
        f"_base_ = [{str(CONFIGS / base)!r}]\n"
        "custom_imports = dict(imports=['selfpatch.engine', 'tests.objectives.cosine'])\n"
        "model = dict(objective=dict(_delete_=True, name='cosine', out_dim=8))\n"
    )
    options = {n: v for n, v in CONFIG_OPTIONS[base].items() if "model.objective" not in n}
    options["experiment_name"] = str(tmp_path)
    cfg = read_config(str(config), options, str(images), str(tmp_path / "run"))
    pretrain(cfg)
    _, info = load_backbone(tmp_path / "run/backbone.safetensors")
    assert info.method == ("cosine" if "dino" in base else "cosine+selfpatch")
    state = torch.load(tmp_path / "run/epoch_2.pth", weights_only=True)["state_dict"]
    assert state["objective.center"].abs().sum() > 0


def test_an_unknown_objective_is_named_with_the_known_ones():
    with pytest.raises(InputError, match=r"no objective 'byol'; choose from .*dino"):
        build_objective("byol")


def test_a_centre_keeps_no_gradients_and_moves_once_for_all_that_it_collected():
    center = Center(2, momentum=0.5)
    for rows in ([[1.0, 2.0], [3.0, 4.0]], [[8.0, 9.0]]):
        center.collect(as_logits(torch.tensor(rows, requires_grad=True)))
    assert center.pending_sum is not None
    assert not center.pending_sum.requires_grad
    center.step()
    assert center.value.tolist() == [2.0, 2.5]
    center.step()
    assert center.value.tolist() == [2.0, 2.5]
