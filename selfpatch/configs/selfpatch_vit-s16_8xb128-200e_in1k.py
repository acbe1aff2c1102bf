"""DINO + SelfPatch, ViT-S/16, ImageNet-1k: the paper's run.

Command:  torchrun --nproc-per-node 8 tools/pretrain.py \
              selfpatch/configs/selfpatch_vit-s16_8xb128-200e_in1k.py \
              --launcher pytorch --data DIR
Source:   SelfPatch (CVPR 2022) and its reference implementation; 1,024 images per step over any
          number of GPUs. The reference's README says 200 epochs; its later default is 300, which
          is `--cfg-options train_cfg.max_epochs=300`.
Expect:   Mask R-CNN 1x on COCO 42.1 box AP, 38.5 mask AP; Semantic FPN 40k on ADE20K 41.2 mIoU
          (the paper's numbers, not measured here). Time and memory have not been measured.
"""

_base_ = ["_base_/multi_crop.py", "_base_/runtime.py"]

model = dict(
    type="Pretrainer",
    data_preprocessor=dict(
        type="ViewPreprocessor", mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]
    ),
    backbone=dict(variant="vit_small", patch_size=16, drop_path_rate=0.1),
    objective=dict(name="dino", num_prototypes=65536, center_views="all"),
    selfpatch=dict(
        weight=0.1, patch_head=dict(num_prototypes=4096), k=4, neighbourhood=3, border="wrap"
    ),
)
