"""MoCo-v3 + SelfPatch, ViT-S/16, ImageNet-1k.

Command:  torchrun --nproc-per-node 8 tools/pretrain.py \
              selfpatch/configs/selfpatch-mocov3_vit-s16_8xb512-300e_in1k.py \
              --launcher pytorch --data DIR
Source:   MoCo-v3: AdamW 1.5e-4 per 256 images, weight decay 0.1, 40 warm-up epochs, momentum
          0.99 -> 1, temperature 0.2, frozen patch projection, 12 heads, fixed positions of sines
          and cosines. The views are two global ones of DINO's augmentation.
          How SelfPatch joins it is our reading of Eq. 6-8: MoCo-v3's loss on the summary y.
Expect:   A falling loss; no published number is claimed for it.
          Time and memory have not been measured.
"""

_base_ = ["selfpatch_vit-s16_8xb128-200e_in1k.py"]

total_batch_size = 4096
views = [
    dict(count=1, size=224, scale=(0.25, 1.0), blur=1.0),
    dict(count=1, size=224, scale=(0.25, 1.0), blur=0.1, solarize=0.2),
]
model = dict(
    backbone=dict(num_heads=12, fixed_positions=True, drop_path_rate=0.0),
    objective=dict(_delete_=True, name="mocov3", temperature=0.2),
    freeze_patch_embed=True,
)
optim_wrapper = dict(clip_norm=0.0)
train_cfg = dict(max_epochs=300)
default_hooks = dict(
    schedules=dict(
        lr=1.5e-4,
        end_lr=0.0,
        warmup_epochs=40,
        weight_decay=(0.1, 0.1),
        momentum=(0.99, 1.0),
        freeze_last_layer_epochs=0,
    ),
)
