"""Images that cannot be read give way, up to a share of them."""

from pathlib import Path

from selfpatch.data.draws import View
from selfpatch.data.views import MultiViewDataset
from tests.engine.tiny_pretraining import CONFIG_OPTIONS, arguments, train


def with_damaged_image(images: Path, folder: Path, copies: int) -> Path:
    """``copies`` times the images, and one that is cut off."""
    folder.mkdir()
    content = sorted(images.rglob("*.png"))[0].read_bytes()
    for copy in range(copies):
        for path in images.rglob("*.png"):
            (folder / f"{copy}-{path.name}").symlink_to(path)
    (folder / "broken.png").write_bytes(content[: len(content) // 2])
    return folder


def test_an_unreadable_image_gives_way_to_the_next_and_is_named(images, tmp_path, caplog):
    folder = with_damaged_image(images, tmp_path / "images", copies=2)
    dataset = MultiViewDataset(str(folder), [View(16, (0.25, 1.0))])
    broken = next(i for i in range(len(dataset)) if "broken" in dataset.images.name(i))
    item, following = dataset[3, broken], dataset[3, (broken + 1) % len(dataset)]
    assert item["crops"][0].equal(following["crops"][0])
    assert "broken.png cannot be read" in item["unreadable"]
    work_dir = train(
        "demo_dino.py", folder, tmp_path / "run", default_hooks__images__max_share=0.04
    )
    (log,) = work_dir.glob("*/*.log")
    assert log.read_text().count("broken.png cannot be read") == 1


def test_too_many_unreadable_images_stop_the_run(images, tmp_path, programs):
    folder = with_damaged_image(images, tmp_path / "images", copies=1)
    options = CONFIG_OPTIONS["demo_dino.py"]
    done = programs.run(*arguments("demo_dino.py", folder, tmp_path / "run", options))
    errors = done.stderr.strip().splitlines()
    assert done.returncode == 2
    assert "1 of 15 images cannot be read, more than" in errors[-1]
    assert "broken.png" in errors[-1]
