"""ResNet-50 as the segmentation recipes use it, trained or frozen; they take it by name."""

frozen_r50 = dict(
    _delete_=True,
    type="SelfPatchResNet",
    frozen_stages=4,
    init_cfg=dict(type="Pretrained", checkpoint="backbone.safetensors"),
)
r50 = dict(frozen_r50, frozen_stages=-1, norm_cfg=dict(type="SyncBN"))
