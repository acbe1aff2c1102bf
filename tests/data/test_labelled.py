"""Images with classes."""

from selfpatch.data.labelled import labelled_pair


def test_classes_are_the_first_folders_however_the_root_is_written(images):
    bank, _ = labelled_pair(f"{images}//", str(images), 16)
    assert sorted(set(bank.labels)) == [0, 1]
