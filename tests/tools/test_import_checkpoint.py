"""`selfpatch import`: reports every key, runs nothing of a file, refuses in a sentence."""

import math
import os
import re
import subprocess
import sys
import types
from functools import partial

import pytest
import timm
import torch

from selfpatch.backbones.loading import load_backbone
from selfpatch.errors import InputError
from tests import ROOT
from tests.backbones.published_layouts import (
    LAYOUTS,
    junk,
    official_swin,
    prefixed,
    swin,
    vit,
    write,
)


@pytest.fixture
def command(programs):
    return partial(programs.run, "-m", "selfpatch", "import")


def test_the_configuration_in_a_moby_checkpoint_is_read_without_yacs(tmp_path, monkeypatch):
    module = types.ModuleType("yacs.config")
    module.CfgNode = type("CfgNode", (dict,), {"__module__": "yacs.config"})
    monkeypatch.setitem(sys.modules, "yacs", types.ModuleType("yacs"))
    monkeypatch.setitem(sys.modules, "yacs.config", module)
    config = module.CfgNode(MODEL=module.CfgNode(TYPE="moby"))
    config.frozen = True  # in its __dict__, as yacs keeps its own flags
    content = {"model": prefixed("encoder.", official_swin(swin())), "config": config}
    path = write(content, tmp_path / "moby.pth")
    monkeypatch.delitem(sys.modules, "yacs.config")
    assert load_backbone(path)[1].method == "moby"


class Hostile:
    """Would run code if it were unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("ran",))


def test_no_checkpoint_is_one_sentence_and_nothing_of_it_is_run(tmp_path, command):
    write(vit().state_dict(), tmp_path / "cut.pth")
    whole = (tmp_path / "cut.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><html></html>")
    torch.save({"model": vit().state_dict(), "config": Hostile()}, tmp_path / "hostile.pth")
    for name, sentence in [
        ("cut.pth", "not all of one"),
        ("page.pth", "not a safe checkpoint|no PyTorch file"),
        ("hostile.pth", "it wants to run [a-z]+.mkdir"),
        ("missing.pth", "does not exist"),
    ]:
        done = command(tmp_path / name, tmp_path / "b.safetensors")
        assert done.returncode == 2
        assert re.search(sentence, done.stderr), done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert not (ROOT / "ran").exists()
    assert not (tmp_path / "b.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("swinv2_tiny_window8_256", "its Swin is of another kind"),
        ("resnet18", "not one with 50 layers"),
        ("deit_tiny_distilled_patch16_224", "it has a distillation token"),
        ("vit_small_patch16_dinov3", "it holds no ViT"),
    ],
)
def test_trunks_of_other_kinds_are_refused(name, sentence, tmp_path):
    state = timm.create_model(name).state_dict()
    with pytest.raises(InputError, match=sentence):
        load_backbone(write(state, tmp_path / "c.pth"))


@pytest.mark.slow
def test_the_command_reports_every_key(tmp_path):
    content = LAYOUTS["MoBY, Swin"][1](swin())
    path = write(content, tmp_path / "moby.pth")
    line = [sys.executable, "-m", "selfpatch", "import", path, tmp_path / "b.safetensors"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "method moby" in done.stdout
    for line in (
        "encoder.layers.*.downsample.norm.weight -> layers.*.downsample.norm.weight",
        "encoder_k.norm.weight: momentum encoder",
        "queue_ptr: queue",
        "encoder.layers.*.blocks.*.attn_mask: follows from the window size",
    ):
        assert line in done.stdout
    assert load_backbone(tmp_path / "b.safetensors")[1].method == "moby"


def test_a_method_that_the_keys_do_not_tell_can_be_stated(tmp_path, command):
    path = write(vit().state_dict(), tmp_path / "deit.pth")
    done = command(path, tmp_path / "b.safetensors", "--arch", "vit_tiny", "--method", "deit")
    assert done.returncode == 2, "two blocks are no vit_tiny"
    assert "its depth is 2, not 12" in done.stderr
    done = command(path, tmp_path / "b.safetensors", "--method", "deit")
    assert done.returncode == 0, done.stderr
    assert load_backbone(tmp_path / "b.safetensors")[1].method == "deit"


def small_vit(num_heads: int, positions: torch.Tensor | None = None) -> dict:
    """The flat state dict of a ViT-S, as MoCo-v3's and iBOT's scripts write it."""
    model = timm.create_model("vit_small_patch16_224", depth=1, num_heads=num_heads, num_classes=0)
    if positions is not None:
        model.pos_embed.data[:, 1:] = positions
    return model.state_dict()


def mocov3_positions() -> torch.Tensor:
    """Row by row from the formula: sines and cosines of the row, then of the column."""
    frequencies = [10000 ** (-i / 96) for i in range(96)]
    places = [(row, column) for row in range(14) for column in range(14)]
    return torch.tensor(
        [
            [wave(side * f) for side in place for wave in (math.sin, math.cos) for f in frequencies]
            for place in places
        ]
    )


@pytest.mark.parametrize(
    ("options", "heads", "method"),
    [
        (["--method", "mocov3"], 12, "mocov3"),
        (["--method", "dino"], 6, "dino"),
        (["--num-heads", "8"], 8, "unknown"),
    ],
)
def test_what_a_file_does_not_say_is_asked_for(options, heads, method, tmp_path, command):
    """Shapes of 6 and 12 heads agree; nothing would complain."""
    path = write(small_vit(heads), tmp_path / "flat.pth")
    done = command(path, tmp_path / "b.safetensors")
    assert done.returncode == 2
    assert "a ViT of width 384 has 6 heads, but 12 with mocov3; import it with" in done.stderr
    assert command(path, tmp_path / "b.safetensors", *options).returncode == 0
    _, info = load_backbone(tmp_path / "b.safetensors")
    assert (info.architecture["num_heads"], info.method) == (heads, method)


def test_mocov3s_fixed_positions_tell_its_heads(tmp_path):
    path = write(small_vit(12, mocov3_positions()), tmp_path / "flat.pth")
    _, info = load_backbone(path)
    assert (info.architecture["num_heads"], info.method) == (12, "mocov3")


def test_maes_fixed_positions_are_the_transposed_ones(tmp_path):
    positions = mocov3_positions().view(14, 14, 384).transpose(0, 1).flatten(0, 1)
    _, info = load_backbone(write(small_vit(6, positions), tmp_path / "flat.pth"))
    assert (info.architecture["num_heads"], info.method) == (6, "mae")


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        (lambda: vit().state_dict(), ["--arch", "vit_small"], "no vit_small: its embed_dim is 192"),
        (lambda: vit().state_dict(), ["--arch", "resnet50"], "no resnet50"),
        (lambda: vit().state_dict() | junk("adapter.0.weight"), [], "left over adapter.0.weight"),
        (lambda: {"model": junk("conv.weight", "other")}, [], "it holds: conv, other"),
        (lambda: {k: v for k, v in vit().state_dict().items() if "qkv.bias" not in k}, [],
         "missing blocks.0.attn.qkv.bias"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(content, options, sentence, tmp_path, command):
    done = command(write(content(), tmp_path / "c.pth"), tmp_path / "b.safetensors", *options)
    assert done.returncode == 2
    assert sentence in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "b.safetensors").exists()
