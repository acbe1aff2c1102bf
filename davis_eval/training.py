"""A pretraining run -> J&F of its teacher on DAVIS, while it trains.

``pretrain --davis`` loads this module by its name; a config does so with ``custom_imports``.
"""

from pathlib import Path

from mmengine.registry import HOOKS
from mmengine.runner import Runner

from davis_eval.run import segment
from davis_eval.scores import score, summary
from davis_eval.sequences import find_sequence, read_names
from davis_eval.settings import Settings
from selfpatch.engine.monitoring import EvaluationHook, Network


@HOOKS.register_module()
class DavisScore(EvaluationHook):
    """J&F, J and F of label propagation on DAVIS sequences with the teacher, in percent.

    The masks of the latest evaluation stay in ``davis`` in the work dir.

    Args:
        davis: Folder in DAVIS-2017's layout.
        sequences: Names of sequences; all of the folder's list, if left out.
        interval: Epochs from one evaluation to the next.
    """

    def __init__(self, davis: str, sequences: list[str] | None = None, interval: int = 10) -> None:
        super().__init__(interval)
        self.davis = Path(davis)
        names = sequences or read_names(self.davis)
        self.sequences = [find_sequence(self.davis, name) for name in names]

    def evaluate(self, runner: Runner, teacher: Network) -> dict[str, float]:
        """Propagate the first masks and score the result."""
        out = Path(runner.work_dir, "davis")
        for sequence in self.sequences:
            segment(teacher.trunk, sequence, out, Settings())
        result = summary(score(self.davis, out, [sequence.name for sequence in self.sequences]))
        names = {"J&F-Mean": "davis_j_and_f", "J-Mean": "davis_j", "F-Mean": "davis_f"}
        return {ours: 100 * result[theirs] for theirs, ours in names.items()}
