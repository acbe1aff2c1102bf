"""The reference implementation's Mask R-CNN to the letter: 8 heads on a trunk trained with 6.

Command:  as mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py
Source:   The reference implementation. The shapes of 6 and 8 heads agree, so nothing complains;
          the attention that was pretrained is nevertheless another one.
Expect:   The numbers of the 6-head config are the paper's, which may have been made with this one.
"""

_base_ = "mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py"

model = dict(backbone=dict(override=dict(num_heads=8)))
