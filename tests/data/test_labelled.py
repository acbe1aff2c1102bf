"""Images with classes."""

import shutil

from selfpatch.data.labelled import labelled_pair


def test_classes_are_the_first_folders_however_the_root_is_written(images, tmp_path):
    shutil.copytree(images, tmp_path / "val")
    bank, _ = labelled_pair(f"{images}//", str(tmp_path / "val"), 16)
    assert sorted(set(bank.labels)) == [0, 1]
