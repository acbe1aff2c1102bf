"""A training loop that does not live long."""

import os
import signal

from mmengine.registry import LOOPS

from selfpatch.engine.loop import PretrainLoop


@LOOPS.register_module()
class KilledLoop(PretrainLoop):
    """SIGKILLs its own process in the middle of a run."""

    def __init__(self, *args, kill_at: int, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.kill_at = kill_at

    def run_iter(self, idx: int, data_batch: dict) -> None:
        """Die before this iteration."""
        if self._iter == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        super().run_iter(idx, data_batch)
