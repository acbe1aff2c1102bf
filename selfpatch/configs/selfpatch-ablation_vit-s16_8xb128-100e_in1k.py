"""The analyses of Sec. 5.1 with a short schedule: DINO + SelfPatch, ViT-S/16, 100 epochs.

Command:  torchrun --nproc-per-node 8 -m selfpatch pretrain \
              selfpatch-ablation_vit-s16_8xb128-100e_in1k \
              --launcher pytorch --data DIR --work-dir DIR --cfg-options CHANGE
          where CHANGE is one of
              model.selfpatch.neighbourhood=5        (7, all; default 3)
              model.selfpatch.border=clip            (default wrap)
              model.selfpatch.k=1                    (2, 8, all; default 4)
              model.selfpatch.aggregation=mean       (none; default attention)
              model.selfpatch.weight=1.0             (default 0.1)
              model.selfpatch.views=global           (patch loss there only; default all)
              model.objective.center_views=global    (default all)
          More than 8 positives need a larger neighbourhood.
Source:   SelfPatch (CVPR 2022), Sec. 5.1. The length is ours.
Expect:   No published number is claimed for this length. docs/pretraining.md has 20 iterations of
          each change on a CPU. Time and memory on GPUs have not been measured.
"""

_base_ = ["selfpatch_vit-s16_8xb128-200e_in1k.py"]

train_cfg = dict(max_epochs=100)
