"""DINO with SelfPatch's views and length, ViT-S/16, ImageNet-1k: the nearest plain DINO to it.

Command:  torchrun --nproc-per-node 8 -m selfpatch pretrain \
              dino-matched_vit-s16_8xb128-200e_in1k \
              --launcher pytorch --data DIR
Source:   facebookresearch/dino, main_dino.py, with a trunk that has a [CLS] token, and README.md's
          run of ViT-S/16 (teacher temperature 0.04 -> 0.07 over 30 epochs). Views, epochs, batch
          and rates are those of selfpatch_vit-s16_8xb128-200e_in1k.py. What differs from it beside
          the patch loss is DINO's own: [CLS] and a last norm in the trunk, a centre over the global
          views alone, and the teacher's temperature.
Expect:   No published number: the paper's DINO is dino_vit-s16_16xb64-300e_in1k.py, another recipe.
          Time and memory have not been measured.
"""

_base_ = ["_base_/runtime.py"]

# Images per step, over all processes and accumulated batches.
total_batch_size = 1024
# Flips, colour jitter and greyscale: as in DINO, see selfpatch.data.views.
views = [
    dict(count=1, size=224, scale=(0.25, 1.0), blur=1.0),
    dict(count=1, size=224, scale=(0.25, 1.0), blur=0.1, solarize=0.2),
    dict(count=8, size=96, scale=(0.05, 0.25), blur=0.5),
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
        drop_path_rate=0.1,
    ),
    objective=dict(
        name="dino",
        num_prototypes=65536,
        hidden_dim=2048,
        bottleneck_dim=256,
        num_layers=3,
        norm_last_layer=True,
        num_global=2,
        student_temp=0.1,
        center_momentum=0.9,
        center_views="global",
    ),
)
optim_wrapper = dict(
    type="PretrainOptimWrapper",
    constructor="DecayGroups",
    optimizer=dict(type="AdamW", betas=(0.9, 0.999)),
    clip="each",
    clip_norm=3.0,
    precision="fp32",
)
train_cfg = dict(
    type="PretrainLoop",
    max_epochs=200,
    schedule=dict(
        lr=5e-4,  # per 256 images
        start_lr=0.0,
        end_lr=1e-6,
        warmup_epochs=10,
        weight_decay=(0.04, 0.4),  # pairs: the first and the last value
        momentum=(0.996, 1.0),
        teacher_temp=(0.04, 0.07),
        teacher_temp_warmup_epochs=30,
        freeze_last_layer_epochs=1,
    ),
)
randomness = dict(seed=0)
