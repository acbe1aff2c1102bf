"""``selfpatch look``: what the page holds, and what becomes of bad input."""

import argparse
import base64
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.backbones.loading import load_backbone
from selfpatch.commands import look
from selfpatch.data.images import read_image
from selfpatch.errors import InputError
from selfpatch.models.trunks import trunk_from
from selfpatch.report.look import paper_figure
from selfpatch.report.seeing import Settings, find_images, look_at, patches_of
from selfpatch.visualize.tokens import to_input, token_map
from tests.report.pages import check_self_contained

VIT = dict(family="vit", embed_dim=24, depth=2, num_heads=2, patch_size=16, image_size=32)
TRUNKS = {
    "plain": VIT,
    "registers": {**VIT, "patch_size": 8, "class_token": True, "num_registers": 2},
    "swin": dict(family="swin", embed_dim=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> dict[str, Path]:
    folder, files = tmp_path_factory.mktemp("weights"), {}
    torch.manual_seed(0)
    for name, architecture in TRUNKS.items():
        trunk = trunk_from(architecture)
        files[name] = folder / f"{name}.safetensors"
        info = BackboneInfo(trunk.architecture, f"method {name}", "drawn")
        save_backbone(files[name], trunk.state_dict(), info)
    return files


@pytest.fixture
def pictures(tmp_path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    drawn = np.random.default_rng(0)
    for name, size in (("a.png", (60, 90)), ("b <script>alert(1)</script>.png", (90, 60))):
        small = Image.fromarray(drawn.integers(0, 255, (6, 6, 3), dtype=np.uint8))
        small.resize(size).save(folder / name.replace("/", "∕"))
    return folder


def run(*line: object) -> None:
    parser = argparse.ArgumentParser()
    look.add_arguments(parser)
    look.run(parser.parse_args([str(word) for word in line]))


def test_the_page_shows_every_backbone_and_needs_nothing_beside_it(weights, pictures, tmp_path):
    out = tmp_path / "look.html"
    run("--weights", *weights.values(), "--images", pictures, "--size", 96, "--out", out)
    page = out.read_text()
    check_self_contained(page)
    assert page.count("<figure>") == 2 * 3 + 2 * (4 + 5 + 2 * 5 + 3 * 5)
    assert page.count("No patch of a Swin attends to all others") == 2
    for name in TRUNKS:
        assert page.count(f"<h4>method {name}</h4>") == 1 + 2 * 2


def test_names_that_come_from_data_are_escaped(weights, pictures, tmp_path):
    out = tmp_path / "look.html"
    run("--weights", weights["plain"], "--images", pictures, "--size", 64, "--out", out,
        "--titles", "<img src=x onerror=alert(1)>")  # fmt: skip
    page = out.read_text()
    assert "<script>alert" not in page
    assert "b &lt;script&gt;alert(1)" in page
    assert "<img src=x" not in page


def test_the_page_holds_the_tokens_from_which_cosines_are_computed(weights, pictures, tmp_path):
    out = tmp_path / "look.html"
    run("--weights", weights["registers"], "--images", pictures / "a.png", "--size", 96,
        "--out", out)  # fmt: skip
    panel = re.search(r'data-rows="(\d+)" data-columns="(\d+)"\s+data-codes="(.*?)"'
                      r' data-scale="(.*?)"', out.read_text())  # fmt: skip
    codes, scale = (base64.b64decode(panel[i]) for i in (3, 4))
    step = np.frombuffer(scale, "<f4")
    tokens = np.frombuffer(codes, np.int8).reshape(-1, len(step)) * step
    trunk, _ = load_backbone(weights["registers"])
    exact = token_map(trunk, to_input(read_image(pictures / "a.png"), trunk, 96))
    assert exact.shape[:2] == (int(panel[1]), int(panel[2])) == (12, 8)
    flat = exact.flatten(0, 1)
    cosines = F.cosine_similarity(flat[:, None], flat[None], dim=-1)
    assert np.abs(tokens @ tokens.T - cosines.numpy()).max() <= 0.02


def test_a_query_is_the_patch_below_a_pixel(weights, pictures):
    settings = Settings(queries=((0, 0), (59, 89), (30, 20)), long_side=96)
    views, _, _ = look_at([weights["plain"]], [pictures / "a.png"], settings)
    assert patches_of(views[0].points, (9, 6)) == [(0, 0), (8, 5), (2, 3)]


def test_a_query_outside_of_an_image_is_one_sentence(weights, pictures, tmp_path):
    with pytest.raises(InputError, match=r"query 60 5 lies outside .* 60 pixels wide and 90 high"):
        run("--weights", weights["plain"], "--images", pictures / "a.png", "--query", 60, 5,
            "--out", tmp_path / "look.html")  # fmt: skip


def test_a_broken_image_leaves_a_sentence_and_the_others_are_shown(
    weights, pictures, tmp_path, capsys
):
    (pictures / "c.png").write_bytes(b"no image")
    out = tmp_path / "look.html"
    run("--weights", weights["plain"], "--images", pictures, "--size", 64, "--out", out)
    page = out.read_text()
    check_self_contained(page)
    assert re.search(r"<h2>c.png</h2>\s*<p class=.note.>.*cannot be read as an image", page)
    assert "left out: " in capsys.readouterr().out
    for path in pictures.iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(InputError, match="no image is left to look at"):
        run("--weights", weights["plain"], "--images", pictures, "--out", out)


def test_the_figure_has_a_row_for_the_queries_and_one_per_backbone_with_attention(
    weights, pictures, tmp_path
):
    out = tmp_path / "figure.png"
    run("--weights", *weights.values(), "--images", pictures, "--size", 64, "--query", 3, 4,
        "--out", tmp_path / "look.html", "--figure", out)  # fmt: skip
    with Image.open(out) as figure:
        assert figure.height == 6 * (240 + 6) - 6
    views, backbones, _ = look_at([weights["swin"]], [pictures / "a.png"], Settings(long_side=64))
    with pytest.raises(InputError, match="none of the backbones has attention"):
        paper_figure(views, backbones, 0.1)


def test_of_many_frames_as_many_as_asked_for_are_shown_evenly_spaced(tmp_path):
    for number in range(9):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    assert [path.stem for path in find_images([tmp_path], 3)] == ["0", "4", "8"]
    assert len(find_images([tmp_path], 99)) == 9
    with pytest.raises(InputError, match="does not exist"):
        find_images([tmp_path / "no"], 3)
    with pytest.raises(InputError, match="--most 0 leaves no image"):
        find_images([tmp_path], 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--top", 0), "--top 0 is no share"),
        (("--size", 8), "--size 8 is not from 32"),
        (("--titles", "a", "b"), "2 titles do not fit 1 backbones"),
    ],
)
def test_values_that_nothing_can_be_drawn_with_are_one_sentence(weights, tmp_path, words, message):
    with pytest.raises(InputError, match=message):
        run("--weights", weights["plain"], "--images", tmp_path, "--out", tmp_path / "o", *words)
