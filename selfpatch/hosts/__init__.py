"""What mmdetection and mmsegmentation see: ``custom_imports = dict(imports=["selfpatch.hosts"])``.

Importing this registers the backbones, the pyramid's neck, the layer-wise decay of learning rates
and the hooks that write results and checkpoints, in both hosts. The linear head is mmsegmentation's
alone: ``selfpatch.hosts.linear_head``.
"""

from selfpatch.backbones.pickles import run_no_code_of_checkpoints
from selfpatch.hosts import backbones, checkpoints, layer_decay, pyramid, results_file

__all__ = ["backbones", "checkpoints", "layer_decay", "pyramid", "results_file"]

run_no_code_of_checkpoints()
