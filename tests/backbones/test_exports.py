"""A backbone that leaves gives the same tokens elsewhere."""

import json
import subprocess
import sys
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file

from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.backbones.onnx import export_onnx, resized
from selfpatch.backbones.timm import export_timm
from selfpatch.errors import InputError
from selfpatch.models.trunks import build_trunk
from tests import ROOT

SMALL = {"depth": 2, "image_size": 64}
TRUNKS: dict[str, Any] = {
    "SelfPatch": lambda: build_trunk("vit_tiny", **SMALL, final_norm=True),
    "SelfPatch, patch 8": lambda: build_trunk("vit_tiny", **SMALL, patch_size=8, final_norm=True),
    "without norm": lambda: build_trunk("vit_tiny", **SMALL),
    "DINO": lambda: build_trunk("vit_tiny", **SMALL, class_token=True, final_norm=True),
    "DINOv2": lambda: build_trunk(
        "vit_tiny", depth=2, image_size=70, patch_size=14, class_token=True, num_registers=4,
        layer_scale=True, final_norm=True,
    ),
    "DINOv3": lambda: build_trunk(
        "vit_tiny", **SMALL, class_token=True, final_norm=True, num_registers=4, layer_scale=True,
        norm_eps=1e-5, rotary=True, activation="swiglu",
    ),
    "CLIP": lambda: build_trunk(
        "vit_tiny", depth=2, image_size=(64, 96), class_token=True, final_norm=True, pre_norm=True,
        patch_bias=False, activation="quick_gelu", resizing="bicubic",
    ),
    "Swin": lambda: build_trunk("swin_tiny", depths=(1, 1, 1, 1), image_size=224, final_norm=True),
    "ResNet-50": lambda: build_trunk("resnet50"),
}  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("name", sorted(set(TRUNKS) - {"DINOv3"}))
def test_timm_and_hub_load_the_folder_strictly_and_give_equal_tokens(name, tmp_path):
    trunk = TRUNKS[name]().eval()
    for parameter in trunk.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    info = BackboneInfo(trunk.architecture, "dino", "test", weights="w")
    export_timm(tmp_path / "model", trunk.state_dict(), info)
    side = trunk.architecture.get("image_size", 64)
    images = torch.randn(2, 3, *((side, side) if isinstance(side, int) else side))
    own = trunk.norm(trunk(images))
    for model in (
        timm.create_model(f"local-dir:{tmp_path / 'model'}", pretrained=True),
        torch.hub.load(str(tmp_path / "model"), "backbone", source="local"),
    ):
        features = model.eval().forward_features(images)
        if name == "ResNet-50":
            features = features.flatten(2).transpose(1, 2)
        elif name == "Swin":
            features = features.flatten(1, 2)
        torch.testing.assert_close(features, own, atol=1e-4, rtol=1e-4)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["selfpatch"]["fingerprint"] == info.fingerprint
    cfg = config["pretrained_cfg"]
    assert config["num_classes"] == cfg["num_classes"] == 0
    native = trunk.architecture.get("image_size", 224)
    sides = [native, native] if isinstance(native, int) else native
    assert cfg["input_size"] == [3, *sides]
    model = timm.create_model(config["architecture"], **config["model_args"])
    model.load_state_dict(load_file(tmp_path / "model" / "model.safetensors"), strict=True)


def test_a_resnet_is_exported_with_its_depth_and_a_network_of_timm_not_at_all(tmp_path):
    trunk = build_trunk("resnet50", depth=18)
    export_timm(tmp_path / "m", trunk.state_dict(), BackboneInfo(trunk.architecture, "x", "test"))
    assert json.loads((tmp_path / "m/config.json").read_text())["architecture"] == "resnet18"
    own = {"family": "timm", "name": "resnet18", "mean": [0.5] * 3, "std": [0.5] * 3}
    with pytest.raises(InputError, match="this is a network of timm already; export it as a back"):
        export_timm(tmp_path / "n", {}, BackboneInfo(own, "x", "test"))


def test_a_trunk_that_timms_class_cannot_be_is_not_exported_to_it(tmp_path):
    trunk = TRUNKS["DINOv3"]()
    info = BackboneInfo({**trunk.architecture, "norm_eps": 1e-6}, "dinov3", "test")
    with pytest.raises(InputError, match="has rotary positions, unlike timm's class; export it as"):
        export_timm(tmp_path / "model", trunk.state_dict(), info)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DINOv3", "DINOv2", "SelfPatch", "ResNet-50", "Swin"])
def test_onnx_gives_equal_tokens_at_any_size_and_knows_its_origin(name, tmp_path):
    pytest.importorskip("onnxscript", reason="needs the extra `export`")
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    trunk = TRUNKS[name]()
    if name == "Swin":  # two stages, so that the exporter needs half a minute instead of three
        trunk = build_trunk(
            "swin_tiny", embed_dim=24, depths=(2, 1), num_heads=(2, 4), window_size=4
        )
    trunk = trunk.eval()
    for parameter in trunk.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    info = BackboneInfo(trunk.architecture, "dino", "test", weights="w")
    assert export_onnx(tmp_path / "m.onnx", trunk, info) < 1e-5
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    about = json.loads(session.get_modelmeta().custom_metadata_map["selfpatch"])
    assert about["fingerprint"] == info.fingerprint
    images = torch.randn(2, 3, 64, 352)  # a size that the export itself did not try
    with torch.no_grad():
        own = trunk.norm(trunk(images)).numpy()
    (found,) = session.run(None, {"images": images.numpy()})
    assert found.shape == own.shape
    assert abs(found - own).max() < 1e-5 * abs(own).max()


@pytest.mark.parametrize("resizing", ["dino", "bicubic"])
@pytest.mark.parametrize("grid", [(4, 6), (4, 4), (4, 9), (13, 3), (2, 30)])
def test_positions_are_resized_by_matrices_as_pytorch_resizes_them(grid, resizing):
    vit = build_trunk("vit_tiny", depth=0, image_size=(64, 96), resizing=resizing)
    found = resized(vit.pos_embed, vit.native_grid, grid, resizing)
    torch.testing.assert_close(found, vit.position_embedding(grid))


@pytest.mark.slow
def test_an_onnx_model_that_is_not_equal_is_not_written(tmp_path, monkeypatch):
    pytest.importorskip("onnxscript", reason="needs the extra `export`")
    monkeypatch.setattr("selfpatch.backbones.onnx.largest_difference", lambda *_: 2e-4)
    trunk = build_trunk("vit_tiny", depth=1, image_size=64).eval()
    with pytest.raises(InputError, match=r"differs by 2\.0e-04 of the largest value"):
        export_onnx(tmp_path / "m.onnx", trunk, BackboneInfo(trunk.architecture, "dino", "test"))
    assert list(tmp_path.iterdir()) == []


def test_onnx_without_its_extra_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    trunk = TRUNKS["SelfPatch"]()
    with pytest.raises(InputError, match=r"pip install 'selfpatch\[export\]'"):
        export_onnx(tmp_path / "m.onnx", trunk, BackboneInfo(trunk.architecture, "dino", "test"))


@pytest.mark.slow
def test_the_command_writes_the_folder_and_says_how_to_load_it(tmp_path):
    trunk = TRUNKS["SelfPatch"]()
    file = tmp_path / "b.safetensors"
    save_backbone(file, trunk.state_dict(), BackboneInfo(trunk.architecture, "dino", "test"))
    command = [
        sys.executable,
        "-m",
        "selfpatch",
        "export",
        file,
        tmp_path / "m",
        "--format",
        "timm",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f'timm.create_model("local-dir:{tmp_path / "m"}", pretrained=True)' in done.stdout
