"""Plain DINO at the size of a demo, with the budget of ``demo_selfpatch.py``.

Command:  python tools/pretrain.py selfpatch/configs/demo_dino.py --data DIR
Source:   The baseline's recipe with everything reduced; it shows the path, not a useful backbone.
Expect:   A loss that rises towards the logarithm of the number of prototypes, see there.
"""

_base_ = ["demo_selfpatch.py"]

model = dict(selfpatch=None, objective=dict(center_views="global"))
