"""Joints: found where they were put, scored by hand, read from JHMDB's files."""

import json

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from davis_eval.keypoints import joint_labels, locate, pck, read_video, video_names
from selfpatch import build_trunk
from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.cli import main
from selfpatch.errors import InputError


def test_joints_are_found_where_they_were_put():
    joints = torch.tensor([[3.5, 2.5], [7.0, 4.0]])
    found = locate(joint_labels(joints, (9, 12)))
    torch.testing.assert_close(found, joints, atol=0.1, rtol=0)


def test_pck_by_hand():
    true = np.zeros((2, 2, 2))
    true[:, 1] = (30, 40)  # size 0.6 * 50 = 30
    found = true.copy()
    found[1] += [[3.0, 0.0], [3.1, 0.0]]
    assert pck(found, true, 0.1) == 0.5
    assert pck(found, true, 0.2) == 1.0


def test_jhmdb_is_read_and_tracked(tmp_path, capsys):
    """Two joints on a picture that stands still stay where they are."""
    frames = tmp_path / "Rename_Images/wave/v"
    frames.mkdir(parents=True)
    picture = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    for number in range(1, 5):
        Image.fromarray(picture).save(frames / f"{number:05d}.png")
    joints = np.array([[20.0, 70.0], [12.0, 50.0]])[:, :, None].repeat(4, axis=2)
    (tmp_path / "joint_positions/wave/v").mkdir(parents=True)
    scipy.io.savemat(tmp_path / "joint_positions/wave/v/joint_positions.mat", {"pos_img": joints})
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/wave_test_split1.txt").write_text("v.avi 2\nother.avi 1\n")
    assert list(video_names(tmp_path)) == ["wave/v"]
    video = read_video(tmp_path, "wave/v")
    assert video.joints[2].tolist() == [[19.0, 11.0], [69.0, 49.0]]
    vit = build_trunk("vit_tiny", depth=1, patch_size=8, image_size=64)
    weights = tmp_path / "b.safetensors"
    save_backbone(weights, vit.state_dict(), BackboneInfo(vit.architecture, "dino", "test"))
    line = f"davis keypoints --jhmdb {tmp_path} --weights {weights} --short-side 64 --top-k 1"
    line = [*line.split(), "--json", str(tmp_path / "k.json")]
    main([*line, "--dry-run"])
    assert "dino backbone" in capsys.readouterr().out
    assert not (tmp_path / "k.json").exists()
    main(line)
    assert json.loads((tmp_path / "k.json").read_text())["PCK@0.1"] == 1.0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split() for line in shown if line.startswith("mean")] == [
        ["mean", "PCK@0.1", "100.0", "PCK@0.2", "100.0"]
    ]
    single = joints[:, :, :1]
    scipy.io.savemat(tmp_path / "joint_positions/wave/v/joint_positions.mat", {"pos_img": single})
    with pytest.raises(InputError, match="wave/v has 1 annotated frame; tracking takes 2 or more"):
        read_video(tmp_path, "wave/v")
    (tmp_path / "joint_positions/wave/v/joint_positions.mat").write_text("nothing")
    with pytest.raises(SystemExit):
        main(line)
    assert "joint_positions.mat is missing or holds no joints" in capsys.readouterr().err
