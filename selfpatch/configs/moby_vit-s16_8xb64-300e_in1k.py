"""MoBY, ViT-S/16, ImageNet-1k: the baseline of MoBY + SelfPatch.

Command:  torchrun --nproc-per-node 8 tools/pretrain.py \
              selfpatch/configs/moby_vit-s16_8xb64-300e_in1k.py --launcher pytorch --data DIR
Source:   Transformer-SSL: AdamW 1e-3 per 512 images, weight decay 0.05, 5 warm-up epochs, gradients
          clipped at 5 together, momentum 0.99 -> 1, temperature 0.2, a queue of 4,096 keys
          per view. The views are two global ones of DINO's augmentation.
Expect:   A falling loss; no published number is claimed for it.
          Time and memory have not been measured.
"""

_base_ = ["selfpatch-moby_vit-s16_8xb64-300e_in1k.py"]

model = dict(selfpatch=None)
