"""Plain DINO, ViT-S/16, ImageNet-1k: the baseline of SelfPatch.

Command:  torchrun --nproc-per-node 8 tools/pretrain.py \
              selfpatch/configs/dino_vit-s16_8xb128-200e_in1k.py --launcher pytorch --data DIR
Source:   DINO's recipe for ViT-S: a trunk with [CLS] token, teacher temperature 0.04 -> 0.07 over
          30 epochs, centre and teacher on global views only. Views and length are SelfPatch's.
Expect:   Mask R-CNN 1x on COCO 40.8 box AP, 37.3 mask AP; Semantic FPN 40k on ADE20K 38.3 mIoU
          (the paper's numbers, not measured here). Time and memory have not been measured.
"""

_base_ = ["selfpatch_vit-s16_8xb128-200e_in1k.py"]

model = dict(selfpatch=None, objective=dict(center_views="global"))
default_hooks = dict(
    schedules=dict(
        lr=5e-4,
        end_lr=1e-6,
        warmup_epochs=10,
        teacher_temp=(0.04, 0.07),
        teacher_temp_warmup_epochs=30,
    ),
)
