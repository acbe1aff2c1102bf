"""Mask R-CNN with FPN on any network of timm, COCO, 1x.

Command:  COCO_ROOT=DIR selfpatch finetune mask-rcnn_selfpatch-timm_fpn_1x_coco \
              --cfg-options model.backbone.init_cfg.checkpoint=timm:eva02_small_patch14_224
Source:   The recipe of ViT-S/16. Of another width than 384, set model.backbone.channels and
          model.neck.in_channels; the message says which.
Expect:   No published number.
"""

_base_ = "mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="SelfPatchTimm",
        channels=[384, 384, 384, 384],
        norm_cfg=dict(type="SyncBN"),
        init_cfg=dict(type="Pretrained", checkpoint="backbone.safetensors"),
    ),
)
