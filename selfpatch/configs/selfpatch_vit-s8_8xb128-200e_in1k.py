"""DINO + SelfPatch, ViT-S/8, ImageNet-1k.

Command:  torchrun --nproc-per-node 8 -m selfpatch pretrain \
              selfpatch_vit-s8_8xb128-200e_in1k --launcher pytorch --data DIR
Source:   The paper's run with patches of 8 pixels: 784 tokens per global view, four times the
          memory of patch 16 and more.
Expect:   A falling loss; no published number is claimed for it.
          Time and memory have not been measured.
"""

_base_ = ["selfpatch_vit-s16_8xb128-200e_in1k.py"]

model = dict(trunk=dict(patch_size=8))
