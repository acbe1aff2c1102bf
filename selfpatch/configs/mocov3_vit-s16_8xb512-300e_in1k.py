"""MoCo-v3, ViT-S/16, ImageNet-1k: the baseline of MoCo-v3 + SelfPatch.

Command:  torchrun --nproc-per-node 8 tools/pretrain.py \
              selfpatch/configs/mocov3_vit-s16_8xb512-300e_in1k.py --launcher pytorch --data DIR
Source:   MoCo-v3: AdamW 1.5e-4 per 256 images, weight decay 0.1, 40 warm-up epochs, momentum
          0.99 -> 1, temperature 0.2, frozen patch projection, 12 heads, fixed positions of sines
          and cosines. The views are two global ones of DINO's augmentation.
Expect:   A falling loss; no published number is claimed for it.
          Time and memory have not been measured.
"""

_base_ = ["selfpatch-mocov3_vit-s16_8xb512-300e_in1k.py"]

model = dict(selfpatch=None)
