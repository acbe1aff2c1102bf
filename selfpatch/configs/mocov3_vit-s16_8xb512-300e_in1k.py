"""MoCo-v3, ViT-S/16, ImageNet-1k: the baseline of MoCo-v3 + SelfPatch.

Command:  torchrun --nproc-per-node 8 -m selfpatch pretrain \
              mocov3_vit-s16_8xb512-300e_in1k --launcher pytorch --data DIR
Source:   facebookresearch/moco-v3: CONFIG.md (ViT-Small: batch, rate, decay, epochs, warm-up,
          frozen patch projection, temperature, momentum along a cosine), main_moco.py (views,
          crops from 0.08, every parameter decays, nothing is clipped), vits.py (12 heads, fixed
          positions, initialisation), moco/builder.py (heads).
Ours:     fp32 where its code has fp16; its peak rate is reached one step later, and its teacher
          moves before it looks, with the next step's momentum.
Expect:   A falling loss; no published number is claimed for it.
          Time and memory have not been measured.
"""

_base_ = ["_base_/runtime.py"]

# Images per step, over all processes and accumulated batches.
total_batch_size = 4096
views = [
    dict(count=1, size=224, scale=(0.08, 1.0), blur=1.0, interpolation="bilinear"),
    dict(count=1, size=224, scale=(0.08, 1.0), blur=0.1, solarize=0.2, interpolation="bilinear"),
]
model = dict(
    type="Pretrainer",
    data_preprocessor=dict(
        type="ViewPreprocessor", mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]
    ),
    trunk=dict(
        variant="vit_small",
        patch_size=16,
        image_size=224,
        class_token=True,
        final_norm=True,
        num_heads=12,
        drop_path_rate=0.0,
    ),
    objective=dict(
        name="mocov3", hidden_dim=4096, out_dim=256, temperature=0.2, freeze_patch_embed=True
    ),
)
optim_wrapper = dict(
    type="PretrainOptimWrapper",
    constructor="AllDecay",
    optimizer=dict(type="AdamW", betas=(0.9, 0.999)),
    clip_norm=0.0,  # not clipped
    precision="fp32",
)
train_cfg = dict(
    type="PretrainLoop",
    max_epochs=300,
    schedule=dict(
        lr=1.5e-4,  # per 256 images
        start_lr=0.0,
        end_lr=0.0,
        warmup_epochs=40,
        weight_decay=(0.1, 0.1),
        momentum=(0.99, 1.0),
    ),
)
randomness = dict(seed=0)
