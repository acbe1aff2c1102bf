"""DINO, ViT-S/16, ImageNet-1k, 300 epochs: the run behind the paper's DINO numbers.

Command:  torchrun --nnodes 2 --nproc-per-node 8 -m selfpatch pretrain \
              dino_vit-s16_16xb64-300e_in1k --launcher pytorch --data DIR
Source:   facebookresearch/vissl, configs/config/pretrain/dino/dino_16gpus_deits16.yaml, with the
          losses' defaults in vissl/config/defaults.yaml and the colour jitter at strength 0.5 of
          vissl/data/ssl_transforms/img_pil_color_distortion.py. SelfPatch's README names VISSL's
          weights as its DINO.
Ours:     fp32 where it has fp16; rate and decay move with every step, there with every epoch.
Expect:   Mask R-CNN 1x on COCO 40.8 box AP, 37.3 mask AP; Semantic FPN 40k on ADE20K 38.3 mIoU
          (the paper's numbers, not measured here). Time and memory have not been measured.
"""

_base_ = ["_base_/runtime.py"]

# Images per step, over all processes and accumulated batches.
total_batch_size = 1024
views = [
    dict(
        count=1,
        size=224,
        scale=(0.4, 1.0),
        blur=1.0,
        color_jitter=(0.4, 0.4, 0.4, 0.1),
        interpolation="bilinear",
    ),
    dict(
        count=1,
        size=224,
        scale=(0.4, 1.0),
        blur=0.1,
        solarize=0.2,
        color_jitter=(0.4, 0.4, 0.4, 0.1),
        interpolation="bilinear",
    ),
    dict(
        count=8,
        size=96,
        scale=(0.05, 0.4),
        blur=0.5,
        color_jitter=(0.4, 0.4, 0.4, 0.1),
        interpolation="bilinear",
    ),
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
        norm_last_layer=False,
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
    clip_norm=0.0,  # not clipped
    precision="fp32",
)
train_cfg = dict(
    type="PretrainLoop",
    max_epochs=300,
    schedule=dict(
        lr=5e-4,  # per 256 images
        start_lr=1e-5,
        end_lr=1e-5,
        warmup_epochs=10,
        weight_decay=(0.04, 0.4),  # pairs: the first and the last value
        momentum=(0.996, 1.0),
        teacher_temp=(0.04, 0.07),
        teacher_temp_warmup_epochs=30,
        freeze_last_layer_epochs=1,
    ),
)
randomness = dict(seed=0)
