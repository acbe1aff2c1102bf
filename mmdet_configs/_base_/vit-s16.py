"""SelfPatch's ViT-S/16 as the detection recipes use it; they take it by name."""

vit_s16 = dict(
    _delete_=True,
    type="SelfPatchViT",
    variant="vit_small",
    patch_size=16,
    strides=(4, 8, 16, 32),
    drop_path_rate=0.05,
    norm_cfg=dict(type="SyncBN"),
    init_cfg=dict(type="Pretrained", checkpoint="backbone.safetensors"),
)
