"""MoBY, ViT-S/16, ImageNet-1k: the baseline of MoBY + SelfPatch.

Command:  torchrun --nproc-per-node 8 -m selfpatch pretrain \
              moby_vit-s16_8xb64-300e_in1k --launcher pytorch --data DIR
Source:   SwinTransformer/Transformer-SSL: configs/moby_deit_small.yaml (epochs, peak rate, decay,
          warm-up, drop path, momentum, temperature, queue), config.py (start and end of the rate,
          clipping, the least share of a crop), data/build.py (views), models/moby.py (heads).
Ours:     Its cosine runs from step 0 and is cut by the warm-up (0.07 % lower at the warm-up's end);
          its teacher moves before it looks, with the next step's momentum.
Expect:   A falling loss; no published number is claimed for it.
          Time and memory have not been measured.
"""

_base_ = ["_base_/runtime.py"]

# Images per step, over all processes and accumulated batches.
total_batch_size = 512
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
        drop_path_rate=0.2,
    ),
    objective=dict(name="moby", hidden_dim=4096, out_dim=256, queue_size=4096, temperature=0.2),
)
optim_wrapper = dict(
    type="PretrainOptimWrapper",
    constructor="DecayGroups",
    optimizer=dict(type="AdamW", betas=(0.9, 0.999)),
    clip="all",
    clip_norm=5.0,
    precision="fp32",
)
train_cfg = dict(
    type="PretrainLoop",
    max_epochs=300,
    schedule=dict(
        lr=5e-4,  # per 256 images
        start_lr=5e-7,  # this and the end for 512 images a step
        end_lr=5e-6,
        warmup_epochs=5,
        weight_decay=(0.05, 0.05),
        momentum=(0.99, 1.0),
    ),
)
randomness = dict(seed=0)
