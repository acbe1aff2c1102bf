"""DINO + SelfPatch, ViT-S/16, ImageNet-1k: the paper's run.

Command:  torchrun --nproc-per-node 8 -m selfpatch pretrain \
              selfpatch_vit-s16_8xb128-200e_in1k \
              --launcher pytorch --data DIR
Source:   SelfPatch (CVPR 2022) and its reference implementation; 1,024 images per step over any
          number of GPUs. The reference's README says 200 epochs; its later default is 300, which
          is `--cfg-options train_cfg.max_epochs=300`.
Expect:   Mask R-CNN 1x on COCO 42.1 box AP, 38.5 mask AP; Semantic FPN 40k on ADE20K 41.2 mIoU
          (the paper's numbers, not measured here). Time and memory have not been measured.
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
        class_token=False,  # the aggregation head has the token and the last norm
        final_norm=False,
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
        center_views="all",
    ),
    selfpatch=dict(
        weight=0.1,
        k=4,
        neighbourhood=3,
        border="wrap",
        aggregation="attention",
        patch_layer=-1,
        views="all",
        student_temp=0.1,
        center_momentum=0.9,
        patch_head=dict(
            num_prototypes=4096,
            hidden_dim=2048,
            bottleneck_dim=256,
            num_layers=3,
            norm_last_layer=True,
        ),
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
        teacher_temp=(0.04, 0.04),
        teacher_temp_warmup_epochs=0,
        freeze_last_layer_epochs=1,
    ),
)
randomness = dict(seed=0)
