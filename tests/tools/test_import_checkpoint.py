"""`selfpatch import`: reports every key, runs nothing of a file, refuses in a sentence."""

import math
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from selfpatch.backbones.file import read_file
from selfpatch.backbones.loading import load_backbone
from selfpatch.errors import InputError
from tests import ROOT
from tests.published import unpacked


def vit() -> Any:
    """timm's ViT, which has DINO's names."""
    return timm.create_model("vit_tiny_patch16_224", depth=2, img_size=64, num_classes=0)


def write(content: dict, path: Path) -> Path:
    torch.save(content, path)
    return path


@pytest.fixture
def command(programs):
    return partial(programs.run, "-m", "selfpatch", "import")


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
        ("resnet26", "it is a ResNet of .* blocks per stage, and none that is known here"),
        ("vit_small_patch16_dinov3", "it holds neither positions nor rotary periods"),
        ("eva02_tiny_patch14_224", "does not fit the trunk that it describes"),
    ],
)
def test_trunks_of_other_kinds_are_refused(name, sentence, tmp_path):
    """By their weights alone; their folders say whose they are, see test_written.py."""
    path = write(timm.create_model(name).state_dict(), tmp_path / "c.pth")
    with pytest.raises(InputError, match=sentence):
        read_file(path, method="dino")


def test_the_command_reports_every_key_and_every_value(tmp_path, command):
    _, path = unpacked("moby-deit-full", tmp_path)
    done = command(path, tmp_path / "b.safetensors")
    assert done.returncode == 0, done.stderr
    for line in (
        "model.encoder.blocks.*.norm1.weight -> blocks.*.norm1.weight  (2)",
        "model.encoder_k.norm.weight: momentum encoder",
        "model.queue_ptr: queue",
        "config.MODEL.TYPE: lies beside the trunk",
        "norm_eps: published by SwinTransformer/Transformer-SSL",
    ):
        assert line in done.stdout, done.stdout
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
        (["--set", "num_heads=8", "--method", "dino"], 8, "dino"),
    ],
)
def test_what_a_file_does_not_say_is_asked_for(options, heads, method, tmp_path, command):
    """Shapes of 6 and 12 heads agree; nothing would complain."""
    path = write(small_vit(heads), tmp_path / "flat.pth")
    done = command(path, tmp_path / "b.safetensors")
    assert done.returncode == 2
    assert "nothing in it tells its num_heads, norm_eps, activation, resizing" in done.stderr
    assert "import it with --method (one of dino+selfpatch, ijepa, mocov3," in done.stderr
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
        (lambda: vit().state_dict(), ["--method", "dino", "--arch", "vit_small"],
         "no vit_small: its embed_dim is 192"),
        (lambda: vit().state_dict(), ["--method", "dino", "--arch", "resnet50"], "no resnet50"),
        (lambda: vit().state_dict() | {"adapter.0.weight": torch.ones(1)},
         ["--method", "dino"], "left over adapter.0.weight"),
        (lambda: {"model": {"conv.weight": torch.ones(1)}}, [], "it holds: model"),
        (lambda: vit().state_dict(), ["--set", "num_heads"], "'num_heads' is not NAME=VALUE"),
        (lambda: {k: v for k, v in vit().state_dict().items() if "proj.bias" not in k},
         ["--method", "dino"], "missing blocks.0.attn.proj.bias"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(content, options, sentence, tmp_path, command):
    done = command(write(content(), tmp_path / "c.pth"), tmp_path / "b.safetensors", *options)
    assert done.returncode == 2
    assert sentence in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "b.safetensors").exists()
