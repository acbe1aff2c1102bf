"""EncoderDecoder on a SelfPatch ViT-S/16, with the optimiser that its recipes share."""

norm_cfg = dict(type="SyncBN", requires_grad=True)
model = dict(
    type="EncoderDecoder",
    data_preprocessor=dict(
        type="SegDataPreProcessor",
        size=(512, 512),
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
    ),
    backbone=dict(
        type="SelfPatchViT",
        variant="vit_small",
        patch_size=16,
        out_indices=(2, 5, 8, 11),
        strides=(4, 8, 16, 32),
        drop_path_rate=0.1,
        norm_cfg=norm_cfg,
        init_cfg=dict(type="Pretrained", checkpoint="backbone.safetensors"),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys={
            "pos_embed": dict(decay_mult=0.0),
            "cls_token": dict(decay_mult=0.0),
            "norm": dict(decay_mult=0.0),
        }
    ),
)
