"""The hosts' checkpoints: whenever a save fails, the one before is there."""

from collections import deque
from pathlib import Path

import pytest
from mmengine.fileio import LocalBackend
from mmengine.logging import MessageHub

from selfpatch.hosts.checkpoints import LastingCheckpointHook


class Saving:
    """As much of a runner as saves."""

    def __init__(self, folder: Path) -> None:
        self.work_dir, self.fails = str(folder), False
        self.message_hub = MessageHub.get_instance(folder.name)

    def save_checkpoint(self, out_dir: str, name: str, *_: object, **__: object) -> None:
        if self.fails:
            raise OSError(28, "No space left on device")
        Path(out_dir, name).touch()


@pytest.fixture
def hook(tmp_path) -> LastingCheckpointHook:
    hook = LastingCheckpointHook(interval=1, by_epoch=False, max_keep_ckpts=2)
    hook.file_backend = LocalBackend()
    hook.out_dir, hook.filename_tmpl, hook.keep_ckpt_ids = (
        str(tmp_path),
        "iter_{}.pth",
        deque(maxlen=2),
    )
    return hook


def test_the_last_ones_are_kept_and_an_old_one_goes_only_for_a_whole_new_one(hook, tmp_path):
    runner = Saving(tmp_path)
    for step in (1, 2, 3):
        hook._save_checkpoint_with_step(runner, step, {})
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == ["iter_2.pth", "iter_3.pth"]
    runner.fails = True
    with pytest.raises(OSError, match="No space left"):
        hook._save_checkpoint_with_step(runner, 4, {})
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == ["iter_2.pth", "iter_3.pth"]
    assert (tmp_path / "last_checkpoint").read_text() == str(tmp_path / "iter_3.pth")
    assert hook.max_keep_ckpts == 2
