"""MoBY + SelfPatch, Swin-T, ImageNet-1k.

Command:  torchrun --nproc-per-node 8 -m selfpatch pretrain \
              selfpatch-moby_swin-t_8xb64-300e_in1k \
              --launcher pytorch --data DIR
Source:   The method: moby_swin-t_8xb64-300e_in1k.py and what it names. SelfPatch: its
          numbers are those of selfpatch_vit-s16_8xb128-200e_in1k.py.
Ours:     How the two are joined, which nobody published: docs/joins.md lists every choice.
Expect:   DAVIS (J&F)m 5.6 above MoBY alone (the paper's number, not measured here).
          Time and memory have not been measured.
"""

_base_ = ["selfpatch-moby_vit-s16_8xb64-300e_in1k.py"]

model = dict(
    trunk=dict(_delete_=True, variant="swin_tiny", image_size=224, drop_path_rate=0.2),
    selfpatch=dict(patch_layer=2),  # the third stage: 14 x 14 places, 16 pixels apart
)
