"""Images as they are read from files."""

import pytest
from PIL import Image

from selfpatch.data.images import read_image
from selfpatch.errors import InputError


def test_whatever_pillow_raises_names_the_image(tmp_path):
    Image.new("1", (14000, 14000)).save(tmp_path / "bomb.png")
    with pytest.raises(InputError, match=r"bomb\.png cannot be read as an image"):
        read_image(tmp_path / "bomb.png")
