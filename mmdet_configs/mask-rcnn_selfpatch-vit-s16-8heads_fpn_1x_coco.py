"""The reference implementation's Mask R-CNN with its oddities: 8 heads on a trunk trained with 6.

Command:  as mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py
Source:   alinlab/SelfPatch, detection/configs/selfpatch/mask_rcnn_vit_small_12_p16_1x_coco.py. The
          shapes of 6 and 8 heads agree, so nothing complains; the attention that was pretrained is
          nevertheless another one. The norm between its deconvolutions decays, since its name,
          fpn1.1, does not say that it is one.
Expect:   The numbers of the 6-head config are the paper's, which may have been made with this one.
"""

_base_ = "mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py"

model = dict(backbone=dict(override=dict(num_heads=8)))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"pyramid": dict(decay_mult=1.0)}))
