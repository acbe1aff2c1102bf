"""UperNet on a Swin-T, ADE20K, 160k iterations.

Command:  as upernet_selfpatch-vit-s16_160k_ade20k-512x512.py
Source:   mmsegmentation's swin-tiny UperNet: AdamW 6e-5, weight decay 0.01, drop path 0.3,
          8 GPUs of 2 images.
Expect:   MoBY 44.1 mIoU (README of Transformer-SSL, not measured here).
"""

_base_ = ["upernet_selfpatch-vit-s16_160k_ade20k-512x512.py", "_base_/swin-t.py"]

model = dict(
    backbone={{_base_.swin_t}},
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384),
)
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={"relative_position_bias_table": dict(decay_mult=0.0)}),
)
