"""Plain indexed PNGs against Pillow; what is not plain is left to Pillow."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from davis_eval.masks import read_ids, read_mask
from davis_eval.png import SIGNATURE, plain_indices
from selfpatch.errors import InputError
from selfpatch.visualize.palette import standard_palette


def indexed(case: int) -> Image.Image:
    draw = np.random.default_rng(case)
    labels = draw.integers(0, 256, draw.integers(1, 70, 2), dtype=np.uint8)
    image = Image.fromarray(labels if case % 2 else np.sort(labels))
    image.putpalette(standard_palette())
    return image


def saved(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG", **options)
    return file.getvalue()


def written(labels: np.ndarray, bits: int, color: int) -> bytes:
    """A PNG of these samples (H, W): grey (0), or indexed (3) with the standard palette."""
    packed = [
        np.packbits(np.unpackbits(row[:, None], axis=1)[:, -bits:]).tobytes() for row in labels
    ]
    header = struct.pack(">IIBBBBB", *labels.shape[::-1], bits, color, 0, 0, 0)
    palette = [(b"PLTE", bytes(standard_palette()[: 3 * 2**bits]))] if color == 3 else []
    content = zlib.compress(b"".join(b"\0" + row for row in packed))
    parts = [(b"IHDR", header), *palette, (b"IDAT", content), (b"IEND", b"")]
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_value_means_the_same_in_a_grey_as_in_an_indexed_file_of_as_many_bits(bits, tmp_path):
    labels = np.arange(min(2**bits, 30), dtype=np.uint8).repeat(3)[None].repeat(3, axis=0)
    path = tmp_path / "m.png"
    for color in (0, 3):
        path.write_bytes(written(labels, bits, color))
        assert np.array_equal(read_mask(path), labels)
        assert np.array_equal(read_ids(path), labels)


def test_labels_in_a_grey_file_of_4_bits_show_that_255_beside_it_is_void(tmp_path):
    void = np.array([[0, 0, 255, 255]], dtype=np.uint8).repeat(3, axis=0)
    (tmp_path / "0.png").write_bytes(written(void, 8, 0))
    (tmp_path / "1.png").write_bytes(written(void % 16, 4, 0))  # 15, which Pillow gives as 255
    assert np.array_equal(read_mask(tmp_path / "0.png"), void)


@pytest.mark.parametrize("case", range(20))
def test_an_indexed_png_gives_the_indices_that_pillow_gives(case):
    image = indexed(case)
    for level in (0, 6, 9):
        found = plain_indices(saved(image, compress_level=level, bits=8))
        assert found is not None
        assert np.array_equal(found, np.asarray(image))


def test_text_and_transparency_beside_the_pixels_change_nothing():
    image = indexed(1)
    found = plain_indices(saved(image, bits=8, transparency=3, dpi=(72, 72)))
    assert np.array_equal(found, np.asarray(image))


@pytest.mark.parametrize(
    "content",
    [
        saved(indexed(0).convert("RGB")),
        saved(indexed(0).convert("L")),
        saved(Image.new("P", (9, 9)), bits=4),
        saved(indexed(1), save_all=True, append_images=[indexed(1).rotate(180)]),
        b"",
        b"GIF89a",
    ],
    ids=["RGB", "grey", "4 bits", "animated", "empty", "no PNG"],
)
def test_any_other_file_takes_a_whole_decoder(content):
    assert plain_indices(content) is None


def test_a_damaged_file_is_refused_wherever_it_is_cut_or_changed(tmp_path):
    whole = saved(indexed(3), bits=8)
    path = tmp_path / "m.png"
    for at in range(len(whole)):
        assert plain_indices(whole[:at]) is None
        changed = bytes([*whole[:at], whole[at] ^ 4, *whole[at + 1 :]])
        assert plain_indices(changed) is None or at >= len(whole) - 12
    path.write_bytes(whole[:100])
    with pytest.raises(InputError, match=r"m\.png cannot be read as an image"):
        read_mask(path)


def test_a_file_that_is_no_image_is_named_and_nothing_in_memory_is(tmp_path):
    path = tmp_path / "m.png"
    path.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"m\.png cannot be read as an image \([\w ]+\); fetch it"):
        read_mask(path)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match=r"folder\.png cannot be read as an image"):
        read_mask(tmp_path / "folder.png")


def test_a_header_that_promises_billions_of_pixels_takes_no_memory():
    header = b"IHDR" + (2**31 - 1).to_bytes(4, "big") * 2 + bytes([8, 3, 0, 0, 0])
    chunk = (13).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big")
    whole = saved(indexed(3), bits=8)
    assert plain_indices(whole[:8] + chunk + whole[33:]) is None
