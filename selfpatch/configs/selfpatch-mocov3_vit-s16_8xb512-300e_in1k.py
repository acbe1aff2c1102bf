"""MoCo-v3 + SelfPatch, ViT-S/16, ImageNet-1k.

Command:  torchrun --nproc-per-node 8 -m selfpatch pretrain \
              selfpatch-mocov3_vit-s16_8xb512-300e_in1k \
              --launcher pytorch --data DIR
Source:   The method: mocov3_vit-s16_8xb512-300e_in1k.py and what it names. SelfPatch: its
          numbers are those of selfpatch_vit-s16_8xb128-200e_in1k.py.
Ours:     How the two are joined, which nobody published: docs/joins.md lists every choice.
Expect:   A falling loss; no published number is claimed for it.
          Time and memory have not been measured.
"""

_base_ = ["mocov3_vit-s16_8xb512-300e_in1k.py"]

model = dict(
    trunk=dict(class_token=False, final_norm=False),  # the aggregation head has both
    selfpatch=dict(
        weight=0.1,
        k=4,
        neighbourhood=3,
        border="wrap",
        aggregation="attention",
        patch_layer=-1,
        views="all",
        student_temp=0.1,
        center_momentum=0.9,
        patch_head=dict(
            num_prototypes=4096,
            hidden_dim=2048,
            bottleneck_dim=256,
            num_layers=3,
            norm_last_layer=True,
        ),
    ),
)
train_cfg = dict(
    schedule=dict(
        teacher_temp=(0.04, 0.04),
        teacher_temp_warmup_epochs=0,
        freeze_last_layer_epochs=0,
    ),
)
