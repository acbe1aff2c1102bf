"""MoBY + SelfPatch, ViT-S/16, ImageNet-1k.

Command:  torchrun --nproc-per-node 8 tools/pretrain.py \
              selfpatch/configs/selfpatch-moby_vit-s16_8xb64-300e_in1k.py \
              --launcher pytorch --data DIR
Source:   Transformer-SSL: AdamW 1e-3 per 512 images, weight decay 0.05, 5 warm-up epochs, gradients
          clipped at 5 together, momentum 0.99 -> 1, temperature 0.2, a queue of 4,096 keys
          per view. The views are two global ones of DINO's augmentation.
          How SelfPatch joins it is our reading of Eq. 6-8: MoBY's loss on the summary y.
Expect:   DAVIS (J&F)m 4.8 above MoBY alone (the paper's number, not measured here).
          Time and memory have not been measured.
"""

_base_ = ["selfpatch_vit-s16_8xb128-200e_in1k.py"]

total_batch_size = 512
views = [
    dict(count=1, size=224, scale=(0.25, 1.0), blur=1.0),
    dict(count=1, size=224, scale=(0.25, 1.0), blur=0.1, solarize=0.2),
]
model = dict(
    backbone=dict(drop_path_rate=0.0),
    objective=dict(_delete_=True, name="moby", queue_size=4096, temperature=0.2),
)
optim_wrapper = dict(clip="all", clip_norm=5.0)
train_cfg = dict(max_epochs=300)
default_hooks = dict(
    schedules=dict(
        lr=5e-4,
        end_lr=0.0,
        warmup_epochs=5,
        weight_decay=(0.05, 0.05),
        momentum=(0.99, 1.0),
        freeze_last_layer_epochs=0,
    ),
)
