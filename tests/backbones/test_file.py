"""Reading trunks: every known layout gives equal tokens; everything else is one sentence."""

import argparse
import pickle
import time
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from selfpatch.atomic import atomic_write
from selfpatch.backbones.file import BackboneInfo, digest, read_backbone, read_file, save_backbone
from selfpatch.backbones.fingerprint import fingerprint
from selfpatch.backbones.loading import load_backbone, load_features, trunk_of
from selfpatch.errors import InputError, exit_with_sentence
from selfpatch.models.heads import AggregationHead
from selfpatch.models.networks import features_of
from selfpatch.models.trunks import build_trunk
from selfpatch.models.vit import VisionTransformer

SIZES = {"depth": 2, "patch_size": 16, "image_size": 64}


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 96)


def trunk(**options) -> VisionTransformer:
    return build_trunk("vit_tiny", **{**SIZES, "final_norm": True, **options}).eval()


def write(vit: VisionTransformer, path) -> BackboneInfo:
    return save_backbone(path, vit.state_dict(), BackboneInfo(vit.architecture, "dino", "test"))


def test_a_backbone_file_gives_back_the_trunk(tmp_path, images):
    vit = trunk(num_heads=6)
    info = write(vit, tmp_path / "b.safetensors")
    again, read = load_backbone(tmp_path / "b.safetensors")
    assert again(images).equal(vit(images))
    assert again.norm(again(images)).equal(vit.norm(vit(images)))
    assert read == info
    assert read.weights == digest(vit.state_dict())
    assert not again.training


def reference_layout(vit: VisionTransformer) -> dict:
    state = {f"module.backbone.{n}": v for n, v in vit.state_dict().items() if "norm." not in n[:5]}
    state |= {f"module.ca_head.norm.{n}": v for n, v in vit.norm.state_dict().items()}
    state["module.c_head.mlp.0.weight"] = torch.zeros(3, 3)
    student = {name: value + 1 for name, value in state.items()}
    args = argparse.Namespace(arch="vit_tiny", patch_size=16)
    return {"student": student, "teacher": state, "epoch": 3, "args": args}


@pytest.mark.parametrize("class_token", [False, True])
@pytest.mark.parametrize(
    "layout",
    [
        reference_layout,
        lambda vit: vit.state_dict(),
        lambda vit: {"state_dict": OrderedDict(vit.state_dict())},
        lambda vit: {"model": vit.state_dict(), "epoch": 1},
        lambda vit: {"net": {f"_orig_mod.trunk.{n}": v for n, v in vit.state_dict().items()}},
    ],
    ids=["reference", "bare", "state_dict", "model", "unheard of"],
)
def test_every_known_layout_gives_the_same_tokens(layout, class_token, tmp_path, images):
    vit = trunk(class_token=class_token)
    torch.save(layout(vit), tmp_path / "c.pth")
    state, info, _ = read_file(tmp_path / "c.pth", method="dino+selfpatch")
    assert trunk_of(info, state)(images).equal(vit(images))
    assert info.architecture == vit.architecture
    assert info.weights == digest(vit.state_dict())


def test_equal_weights_with_other_heads_are_another_backbone(tmp_path):
    """Shapes do not tell heads apart: it is the architecture that the fingerprint has to cover."""
    six, twelve = (trunk(num_heads=heads) for heads in (6, 12))
    twelve.load_state_dict(six.state_dict())
    infos = [write(vit, tmp_path / "b.safetensors") for vit in (six, twelve)]
    assert infos[0].weights == infos[1].weights
    assert infos[0].fingerprint != infos[1].fingerprint


def test_a_fingerprint_does_not_depend_on_the_order_in_which_facts_are_stated():
    facts = {"embed_dim": 192, "depth": 12}
    assert fingerprint("a", facts) == fingerprint("a", dict(reversed(facts.items())))


def test_local_paths_do_not_travel_in_a_backbone_file(tmp_path):
    recipe = "folder = '/home/me/secret/imagenet/train'\ndata = \"~/mine/davis\"\nlr = 1 / 2"
    info = BackboneInfo(trunk().architecture, "dino", "test", recipe=recipe)
    save_backbone(tmp_path / "b.safetensors", trunk().state_dict(), info)
    _, read = read_backbone(tmp_path / "b.safetensors")
    assert read.recipe == "folder = 'train'\ndata = \"davis\"\nlr = 1 / 2"


class Hostile:
    """Would run code if it were unpickled."""

    def __reduce__(self):
        return (print, ("run",))


def test_what_is_no_checkpoint_is_one_sentence(tmp_path, capsys):
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><html></html>")
    (tmp_path / "page.safetensors").write_text("<!DOCTYPE html><html></html>")
    (tmp_path / "hostile.pth").write_bytes(pickle.dumps({"state_dict": Hostile()}))
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    torch.save(torch.zeros(1), tmp_path / "tensor.pth")
    torch.save(trunk().state_dict(), tmp_path / "cut.pth")
    whole = (tmp_path / "cut.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    write(trunk(), tmp_path / "cut.safetensors")
    whole = (tmp_path / "cut.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-100])
    files = sorted(tmp_path.iterdir())
    assert len(files) == 8
    for file in [*files, tmp_path / "missing.pth"]:
        with pytest.raises(InputError) as caught:
            read_backbone(file)
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert "run" not in capsys.readouterr().out


def test_a_changed_weight_does_not_pass_for_the_file_it_was(tmp_path):
    path = tmp_path / "b.safetensors"
    write(trunk(), path)
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_backbone(path)


def test_digest_sees_names_and_values_but_not_order():
    a, b = torch.arange(3.0), torch.arange(4.0)
    assert digest({"a": a, "b": b}) == digest({"b": b, "a": a})
    assert digest({"a": a, "b": b}) != digest({"a": b, "b": a})
    assert digest({"a": a}) != digest({"a": a + 1e-7})


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "folder" / "file"
    with atomic_write(path, "w") as file:
        file.write("old")

    def fail() -> None:
        with atomic_write(path, "w") as file:
            file.write("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_an_input_error_ends_a_command_with_its_sentence_alone(capsys):

    @exit_with_sentence()
    def command() -> None:
        raise InputError("Traceback ...\nselfpatch.errors.InputError: x is missing; give one")

    with pytest.raises(SystemExit) as exit_:
        command()
    assert exit_.value.code == 2
    assert capsys.readouterr().err == "error: x is missing; give one\n"


def timm_like(positions: int, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    vit = build_trunk("vit_tiny", depth=1, class_token=True, final_norm=True)
    return {**vit.state_dict(), "pos_embed": torch.randn(1, positions, 192), **more}


@pytest.mark.parametrize(
    ("positions", "sentence"),
    [
        (196, "nothing in it tells which; import it with --set image_size="),  # 1 + 13 x 15
        (1 + 12 * 15, "those of a grid that is not square"),
    ],
)
def test_a_grid_that_may_not_be_square_is_refused(positions, sentence, tmp_path):
    """1 + 13 x 15 positions were taken for 14 x 14 without [CLS], each one place too far."""
    torch.save({"model": timm_like(positions)}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=sentence):
        read_file(tmp_path / "c.pth", method="dino")


def test_a_cls_token_without_a_position_is_known_by_registers_or_a_layer_scale(tmp_path):
    scale = {f"blocks.0.ls{i}.gamma": torch.ones(192) for i in (1, 2)}
    torch.save(timm_like(196, **scale), tmp_path / "c.pth")
    state, info, _ = read_file(tmp_path / "c.pth", method="dino")
    assert state["pos_embed"].shape == (1, 197, 192)
    assert not state["pos_embed"][0, 0].any()
    assert info.architecture["image_size"] == 224


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value, tmp_path):
    state = timm_like(197)
    state["blocks.0.mlp.fc1.bias"] = torch.full_like(state["blocks.0.mlp.fc1.bias"], value)
    torch.save({"model": state}, tmp_path / "c.pth")
    with pytest.raises(
        InputError, match=r"weights that are infinite or no numbers, in blocks\.0\.mlp"
    ):
        read_file(tmp_path / "c.pth", method="dino")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model."])
def test_what_a_wrapper_puts_before_a_key_does_not_matter(prefix, tmp_path):
    state = {f"{prefix}{name}": value for name, value in timm_like(197).items()}
    torch.save({"state_dict": state}, tmp_path / "c.pth")
    found, _, report = read_file(tmp_path / "c.pth", method="dino")
    assert set(found) == {name.removeprefix(prefix) for name in state}
    assert set(report.used) == {f"state_dict.{key}" for key in state}


@pytest.mark.parametrize("network", ["teacher", "student"])
def test_a_file_with_both_networks_below_their_names_gives_the_one_that_is_asked_for(
    network, tmp_path
):
    """DINOv2's training checkpoints hold both in one state dict, blocks in chunks."""
    both = {name: timm_like(197) for name in ("teacher", "student")}
    state = {
        f"{name}.backbone.{key.replace('blocks.', 'blocks.0.')}": value
        for name, own in both.items()
        for key, value in own.items()
    }
    torch.save({"model": state, "iteration": 3}, tmp_path / "c.pth")
    found, info, report = read_file(tmp_path / "c.pth", network, method="dino")
    assert found["pos_embed"].equal(both[network]["pos_embed"])
    assert info.network == network
    keys = {f"model.{key}" for key in state}
    assert set(report.used) | set(report.ignored) == {*keys, "iteration"}


def stated(path, **values) -> None:
    """A small backbone file whose header states other values of the architecture."""
    vit = trunk()
    write(vit, path)
    info = BackboneInfo({**vit.architecture, **values}, "dino", "test")
    save_backbone(path, vit.state_dict(), info)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"depth": 20_000}, "20000 blocks, and 2[0-9] weights"),
        ({"embed_dim": 10**9}, r"does not fit|no trunk that can be built"),
        ({"family": "gpt"}, "KeyError: 'gpt'"),
        ({"depth": "2"}, "no trunk that can be built"),
        ({"num_heads": 7}, "no trunk that can be built"),
        ({"wings": 2}, "unexpected keyword argument 'wings'"),
        ({"std": [0, 1, 1]}, "std"),
        ({"mean": [0, float("nan"), 1]}, "mean"),
    ],
)
def test_what_a_header_states_is_compared_with_the_weights_before_it_is_built(
    values, reason, tmp_path
):
    stated(tmp_path / "b.safetensors", **values)
    started = time.monotonic()
    with pytest.raises(InputError, match=reason):
        read_backbone(tmp_path / "b.safetensors")
    assert time.monotonic() - started < 5


def test_a_block_of_a_great_number_is_no_great_depth(tmp_path):
    state = dict(trunk().state_dict())
    state["blocks.100000.norm1.weight"] = torch.zeros(192)
    torch.save(state, tmp_path / "c.pth")
    with pytest.raises(InputError, match="3 blocks or stages, the last of them number 100000"):
        read_backbone(tmp_path / "c.pth")


def test_one_number_does_not_stand_for_a_hundred_thousand_million(tmp_path):
    state = dict(trunk().state_dict())
    state["pos_embed"] = torch.zeros(1, 1, 1).expand(1, 500_000_000, 192)
    state["cls_token"] = torch.zeros(1, 1, 192)
    state["register_tokens"] = torch.zeros(1, 1, 192)
    state["pos_embed"] = state["pos_embed"][:, : 22_360**2]
    torch.save(state, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"c\.pth of [0-9,]+ bytes states weights of 38[34],"):
        read_backbone(tmp_path / "c.pth")


def test_an_archive_that_unpacks_to_more_is_refused(tmp_path):
    torch.save(trunk().state_dict(), tmp_path / "c.pth")
    with (
        zipfile.ZipFile(tmp_path / "c.pth") as plain,
        zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(InputError, match=r"packed\.pth is a compressed archive"):
        read_backbone(tmp_path / "packed.pth")


@torch.no_grad()
@pytest.mark.parametrize("heads", [True, False])
def test_an_images_features_are_the_heads_summary_or_the_trunks_own(heads, tmp_path, images):
    vit = trunk()
    head = AggregationHead(vit.embed_dim, vit.num_heads).eval()
    head.norm.load_state_dict(vit.norm.state_dict())
    of_head = {n: v for n, v in head.state_dict().items() if not n.startswith("norm.")}
    state = vit.state_dict() | ({f"summary.{n}": v for n, v in of_head.items()} if heads else {})
    info = BackboneInfo(vit.architecture, "dino+selfpatch", "test")
    save_backbone(tmp_path / "b.safetensors", state, info)
    features, _ = load_features(tmp_path / "b.safetensors")
    own = features_of(vit, head if heads else None, images)
    for found, wanted in zip(features(images), own, strict=True):
        assert found.equal(wanted)


def test_a_file_without_a_trunk_says_what_it_holds(tmp_path):
    state = {f"{name}.weight": torch.zeros(1) for name in "abcdefgh"}
    torch.save(state, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"trunk; it holds: a, b, c, d, e, f$"):
        read_file(tmp_path / "c.pth")


def test_heads_that_do_not_divide_the_width_are_one_sentence(tmp_path):
    torch.save(trunk().state_dict(), tmp_path / "c.pth")
    with pytest.raises(InputError, match="describes no trunk that can be built"):
        read_file(tmp_path / "c.pth", told={"num_heads": 5}, method="dino")


def test_a_backbone_file_keeps_seed_and_settings_of_its_training(tmp_path):
    settings = {"train_cfg.max_epochs": 5, "names of the images": "ab", "folder": "/home/me/data"}
    vit = trunk()
    info = BackboneInfo(vit.architecture, "dino", "test", seed=3, settings=settings)
    written = save_backbone(tmp_path / "b.safetensors", vit.state_dict(), info)
    _, read = load_backbone(tmp_path / "b.safetensors")
    assert read == written == BackboneInfo.from_described(written.described())
    assert (read.seed, read.settings) == (3, {**settings, "folder": "data"})
    assert read.described()["settings"] == read.settings


def run_checkpoint(path: Path, **changes: Any) -> Path:
    """A training checkpoint of this suite, of seed 3."""
    vit = trunk()
    own = {
        "architecture": vit.architecture,
        "method": "dino",
        "recipe": "",
        "settings": {"randomness.seed": None, "train_cfg.max_epochs": 5, "images": 9},
        "accumulative_counts": 2,
    }
    content = {
        "meta": {"seed": 3, "iter": 40},
        "state_dict": {f"teacher.trunk.{name}": v for name, v in vit.state_dict().items()},
        "selfpatch": {**own, **changes},
    }
    torch.save(content, path)
    return path


def test_a_training_checkpoint_says_seed_settings_and_the_steps_done(tmp_path):
    """A seed that was drawn stands beside the recipe, which names none."""
    _, info = read_backbone(run_checkpoint(tmp_path / "epoch_5.pth"))
    assert info.seed == 3
    assert info.settings == {"train_cfg.max_epochs": 5, "images": 9, "steps": 20}


def test_a_training_checkpoint_without_settings_has_no_known_recipe(tmp_path):
    _, info = read_backbone(run_checkpoint(tmp_path / "epoch_5.pth", settings={}))
    assert (info.seed, info.settings) == (None, {})


@pytest.mark.parametrize("changes", [{"accumulative_counts": 0}, {"settings": {"a": {1, 2}}}])
def test_a_training_checkpoint_with_odd_settings_is_refused(tmp_path, changes):
    path = run_checkpoint(tmp_path / "epoch_5.pth", **changes)
    with pytest.raises(InputError, match="is no training checkpoint of this version"):
        read_backbone(path)


def test_a_device_that_is_not_there_is_quoted_by_its_first_line(monkeypatch):
    def move(self, device):
        raise RuntimeError("no such device\nfurther help")

    monkeypatch.setattr(VisionTransformer, "to", move)
    own = trunk()
    info = BackboneInfo(own.architecture, "dino", "test")
    with pytest.raises(
        InputError, match=r"device cuda:7 cannot be used \(no such device\); try cpu"
    ):
        trunk_of(info, own.state_dict(), "cuda:7")
