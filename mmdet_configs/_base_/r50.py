"""ResNet-50 as the detection recipes use it, its batch norms synchronised; they take it by name."""

r50 = dict(
    _delete_=True,
    type="SelfPatchResNet",
    frozen_stages=0,
    norm_eval=False,
    norm_cfg=dict(type="SyncBN"),
    init_cfg=dict(type="Pretrained", checkpoint="backbone.safetensors"),
)
