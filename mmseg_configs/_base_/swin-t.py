"""Swin-T as the segmentation recipes use it, trained or frozen; they take it by name."""

swin_t = dict(
    _delete_=True,
    type="SelfPatchSwin",
    variant="swin_tiny",
    drop_path_rate=0.3,
    init_cfg=dict(type="Pretrained", checkpoint="backbone.safetensors"),
)
frozen_swin_t = dict(swin_t, final_norm=True, normalized=True, drop_path_rate=0.0, frozen_stages=4)
