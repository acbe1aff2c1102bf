"""MATLAB's files: the numbers that scipy reads; and a sentence where it takes the process down."""

import io

import numpy as np
import pytest
import scipy.io

from davis_eval.matlab import read_array

ARRAYS = {
    "floats": np.random.default_rng(0).normal(size=(2, 15, 7)),
    "whole numbers, stored in fewer bits": np.arange(210.0).reshape(2, 15, 7) - 100,
    "one number": np.array([[3.0]]),
    "single": np.ones((2, 3), np.float32) / 3,
    "none": np.zeros((2, 0, 3)),
    "bytes": np.arange(6, dtype=np.uint8).reshape(2, 3),
}


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", ARRAYS)
def test_the_numbers_are_those_that_scipy_reads(kind, packed, tmp_path):
    path = tmp_path / "a.mat"
    others = {
        "text": "walk",
        "struct": {"a": 1},
        "before": np.eye(3),
        "cells": np.array([1, "b"], object),
    }
    scipy.io.savemat(path, {**others, "pos_img": ARRAYS[kind], "z": 1j}, do_compression=packed)
    wanted = scipy.io.loadmat(path)["pos_img"]
    assert np.array_equal(read_array(path, "pos_img"), wanted)


def damaged(at: int, value: int) -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, {"pos_img": np.zeros((2, 15, 3))})
    content = bytearray(file.getvalue())
    content[at] = value
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no MATLAB file"),
        (b"x" * 500, "no MATLAB file"),
        (damaged(0, 0)[:300], "cut off"),
        (damaged(0, 0)[:130], "cut off"),
        (damaged(160, 3), r"90 numbers for an array of \[3, 15, 3\]"),
        (damaged(163, 255), "90 numbers for an array of"),
        (damaged(192, 99), "0 numbers for an array of"),
        (damaged(184, ord("q")), "holds no array pos_img"),
    ],
)
def test_damage_is_a_sentence(content, reason, tmp_path):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_array(tmp_path / "a.mat", "pos_img")
