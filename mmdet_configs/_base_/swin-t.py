"""Swin-T as the detection recipes use it; they take it by name."""

swin_t = dict(
    _delete_=True,
    type="SelfPatchSwin",
    variant="swin_tiny",
    drop_path_rate=0.1,
    init_cfg=dict(type="Pretrained", checkpoint="backbone.safetensors"),
)
