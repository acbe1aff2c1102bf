"""Plain DINO with the budget of ``selfpatch_vit-t16_imagenette128.py``.

Command:  python tools/pretrain.py selfpatch/configs/dino_vit-t16_imagenette128.py \
              --data DIR --knn TRAIN VAL --davis DAVIS
Source:   DINO's trunk with [CLS] token and its centre over global views; the rest as there.
Expect:   docs/imagenette.md has curves, scores and times.
"""

_base_ = ["selfpatch_vit-t16_imagenette128.py"]

model = dict(selfpatch=None, objective=dict(center_views="global"))
