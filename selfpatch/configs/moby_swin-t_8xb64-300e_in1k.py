"""MoBY, Swin-T, ImageNet-1k: the baseline of MoBY + SelfPatch with Swin.

Command:  torchrun --nproc-per-node 8 tools/pretrain.py \
              selfpatch/configs/moby_swin-t_8xb64-300e_in1k.py --launcher pytorch --data DIR
Source:   Transformer-SSL: AdamW 1e-3 per 512 images, weight decay 0.05, 5 warm-up epochs, gradients
          clipped at 5 together, momentum 0.99 -> 1, temperature 0.2, a queue of 4,096 keys
          per view. The views are two global ones of DINO's augmentation.
          Drop path 0.2.
Expect:   fine-tuned, Mask R-CNN 1x 43.6 box AP, 39.6 mask AP; UperNet 44.1 mIoU
          (Transformer-SSL's README, not measured here). Time and memory have not been measured.
"""

_base_ = ["moby_vit-s16_8xb64-300e_in1k.py"]

model = dict(
    trunk=dict(
        _delete_=True, variant="swin_tiny", image_size=224, final_norm=True, drop_path_rate=0.2
    )
)
