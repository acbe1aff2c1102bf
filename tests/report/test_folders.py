"""Backbones and logs are found by what files hold, not by where they lie."""

import json
from pathlib import Path

import torch

from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.report.folders import find_pretrained

ARCHITECTURE = {"family": "vit", "embed_dim": 192, "depth": 12, "patch_size": 16}


def save(path: Path, weight: float, method: str = "dino", **recipe: object) -> None:
    info = BackboneInfo(ARCHITECTURE, method, "drawn", settings=recipe)
    save_backbone(path, {"weight": torch.tensor([weight])}, info)


def log(work_dir: Path, **values: float) -> None:
    path = work_dir / "20260101_000000" / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"step": 1, **values}) + "\n")


def test_backbones_that_differ_in_the_seed_alone_are_one_model(tmp_path):
    for seed in (0, 1):
        save(tmp_path / f"{seed}" / "backbone.safetensors", seed, epochs=100)
        log(tmp_path / f"{seed}", cls_loss=1.0)
    save(tmp_path / "export.safetensors", 1, epochs=100)  # the same weights once more
    save(tmp_path / "other" / "o.safetensors", 3, method="dino+selfpatch", epochs=100)
    models, faults = find_pretrained([tmp_path])
    assert [model.title for model in models] == ["DINO", "DINO + SelfPatch"]
    assert [len(model.backbones) for model in models] == [2, 1]
    assert [len(model.logs) for model in models] == [2, 0]
    assert not faults


def test_models_of_one_name_are_told_apart_by_their_folders(tmp_path):
    save(tmp_path / "short" / "b.safetensors", 0, epochs=100)
    save(tmp_path / "long" / "b.safetensors", 1, epochs=300)
    titles = [model.title for model in find_pretrained([tmp_path])[0]]
    assert titles == [f"DINO ({tmp_path / name})" for name in ("long", "short")]


def test_nobody_knows_whether_imported_backbones_differ_in_the_seed(tmp_path):
    save(tmp_path / "a" / "b.safetensors", 0)
    save(tmp_path / "b" / "b.safetensors", 1)
    assert len(find_pretrained([tmp_path])[0]) == 2


def test_a_run_without_a_backbone_yet_is_shown_and_a_hosts_run_is_none(tmp_path):
    log(tmp_path / "goes on", cls_loss=1.0)
    log(tmp_path / "detector", loss_cls=1.0)
    (tmp_path / "note.safetensors").write_bytes(b"not whole")
    models, _ = find_pretrained([tmp_path])
    assert [model.title for model in models] == [str(tmp_path / "goes on")]
    assert not models[0].backbones
