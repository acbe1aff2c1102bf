"""mmdetection's COCO and 1x schedule, with the data in the folder that COCO_ROOT names."""

_base_ = [
    "mmdet::_base_/datasets/coco_instance.py",
    "mmdet::_base_/schedules/schedule_1x.py",
    "mmdet::_base_/default_runtime.py",
]
custom_imports = dict(
    imports=["selfpatch.hosts"],
    allow_failed_imports=False,
)

data_root = "{{$COCO_ROOT:data/coco/}}"
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + "/annotations/instances_val2017.json")
test_evaluator = val_evaluator
