"""Reading trunks: every known layout gives equal tokens; everything else is one sentence."""

import argparse
import pickle
from collections import OrderedDict

import pytest
import torch

from selfpatch.atomic import atomic_write
from selfpatch.backbones.file import (
    BackboneInfo,
    fingerprint,
    load_backbone,
    load_into,
    read_backbone,
    save_backbone,
)
from selfpatch.errors import InputError, exit_with_sentence
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
    assert read.fingerprint == fingerprint(vit.state_dict())
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
    ],
    ids=["reference", "bare", "state_dict", "model"],
)
def test_every_known_layout_gives_the_same_tokens(layout, class_token, tmp_path, images):
    vit = trunk(class_token=class_token)
    torch.save(layout(vit), tmp_path / "c.pth")
    again, info = load_backbone(tmp_path / "c.pth")
    assert again(images).equal(vit(images))
    assert info.architecture == vit.architecture
    target = build_trunk("vit_tiny", **SIZES, class_token=class_token)
    load_into(target, tmp_path / "c.pth")
    assert target.eval()(images).equal(vit(images))


def test_a_stored_positional_embedding_is_resized_to_the_trunks_image_size(tmp_path, images):
    vit = trunk(final_norm=False)
    write(vit, tmp_path / "b.safetensors")
    larger = build_trunk("vit_tiny", **{**SIZES, "image_size": 128})
    load_into(larger, tmp_path / "b.safetensors")
    assert larger.pos_embed.equal(vit.position_embedding((8, 8)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"depth": 3}, "missing blocks.2"),
        ({"depth": 1}, "left over blocks.1"),
        ({"embed_dim": 96}, "instead of"),
        ({"patch_size": 8}, "patch_embed.proj.weight is"),
        ({"class_token": True}, "missing cls_token"),
    ],
)
def test_a_trunk_that_does_not_fit_is_refused_with_a_list(options, sentence, tmp_path):
    write(trunk(), tmp_path / "b.safetensors")
    with pytest.raises(InputError, match=sentence):
        load_into(trunk(**options), tmp_path / "b.safetensors")


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


def test_fingerprint_sees_names_and_values_but_not_order():
    a, b = torch.arange(3.0), torch.arange(4.0)
    assert fingerprint({"a": a, "b": b}) == fingerprint({"b": b, "a": a})
    assert fingerprint({"a": a, "b": b}) != fingerprint({"a": b, "b": a})
    assert fingerprint({"a": a}) != fingerprint({"a": a + 1e-7})


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
