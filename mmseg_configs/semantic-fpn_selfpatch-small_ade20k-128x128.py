"""Semantic FPN at the size of a demo: 128-pixel crops, a small trunk, 100 steps.

Command:  ADE20K_ROOT=DIR selfpatch finetune \
              semantic-fpn_selfpatch-small_ade20k-128x128 \
              --cfg-options model.backbone.init_cfg.checkpoint=BACKBONE
Source:   semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py
          with everything reduced, for the backbones of selfpatch/configs/demo_*.py.
Expect:   A falling loss; it shows the path, not what a backbone is worth.
"""

_base_ = ["semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py", "_base_/small.py"]

model = dict(
    data_preprocessor={{_base_.small.data_preprocessor}},
    backbone={{_base_.small.backbone}},
    neck=dict(in_channels=[192, 192, 192, 192], out_channels=128),
    decode_head=dict(in_channels=[128, 128, 128, 128], channels=64, norm_cfg=dict(type="BN")),
)
train_dataloader = {{_base_.small.train_dataloader}}
val_dataloader = {{_base_.small.val_dataloader}}
test_dataloader = val_dataloader
optim_wrapper = {{_base_.small.optim_wrapper}}
param_scheduler = {{_base_.small.param_scheduler}}
train_cfg = {{_base_.small.train_cfg}}
default_hooks = {{_base_.small.default_hooks}}
log_processor = {{_base_.small.log_processor}}
