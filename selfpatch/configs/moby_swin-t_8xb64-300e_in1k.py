"""MoBY, Swin-T, ImageNet-1k: the baseline of MoBY + SelfPatch with Swin.

Command:  torchrun --nproc-per-node 8 -m selfpatch pretrain \
              moby_swin-t_8xb64-300e_in1k --launcher pytorch --data DIR
Source:   SwinTransformer/Transformer-SSL, configs/moby_swin_tiny.yaml: all but the trunk is
          moby_vit-s16_8xb64-300e_in1k.py. The mean of the last stage's tokens is the image's, and
          that stage, one window at 224 pixels, is not shifted, as in models/swin_transformer.py.
Ours:     As there.
Expect:   Fine-tuned, Mask R-CNN 1x 43.6 box AP, 39.6 mask AP; UperNet 44.1 mIoU
          (Transformer-SSL's README, not measured here). Time and memory have not been measured.
"""

_base_ = ["moby_vit-s16_8xb64-300e_in1k.py"]

model = dict(
    trunk=dict(
        _delete_=True, variant="swin_tiny", image_size=224, final_norm=True, drop_path_rate=0.2
    )
)
