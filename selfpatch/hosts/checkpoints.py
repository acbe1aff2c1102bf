"""mmengine's checkpoints, of which there is a whole one at any moment."""

from collections import deque
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class LastingCheckpointHook(CheckpointHook):
    """A ``CheckpointHook`` that deletes an old checkpoint only after the new one is complete.

    mmengine's deletes first: a run with ``max_keep_ckpts=1`` that is killed while it saves, or
    whose disk is full, has none left.
    """

    max_keep_ckpts: int
    keep_ckpt_ids: deque[int]

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        most = self.max_keep_ckpts
        if most < 1:
            super()._save_checkpoint_with_step(runner, step, meta)
            return
        self.max_keep_ckpts, self.keep_ckpt_ids = most + 1, deque(self.keep_ckpt_ids, most + 1)
        try:
            super()._save_checkpoint_with_step(runner, step, meta)
        finally:
            self.max_keep_ckpts = most
        while len(self.keep_ckpt_ids) > most:
            old = Path(self.out_dir, self.filename_tmpl.format(self.keep_ckpt_ids.popleft()))
            if is_main_process():
                old.unlink(missing_ok=True)
        self.keep_ckpt_ids = deque(self.keep_ckpt_ids, most)
