"""What the configs of mmdet_configs and mmseg_configs say: recipes, tasks, data roots."""

import pytest
from mmengine.config import Config

from selfpatch.results.file import TASKS
from selfpatch.results.settings import flat
from tests import ROOT
from tests.host_configs import CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_says_how_to_run_it_and_which_task_it_is(path):
    docstring = path.read_text().split('"""')[1]
    for part in ("Command:", "Source:", "Expect:"):
        assert part in docstring
    (hook,) = Config.fromfile(path).custom_hooks
    assert hook.task in TASKS


def config(name: str) -> Config:
    return Config.fromfile(ROOT / name)


def test_detection_recipe_is_the_references():
    cfg = config("mmdet_configs/mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py")
    assert cfg.optim_wrapper.optimizer == {
        "type": "AdamW", "lr": 5e-5, "betas": (0.9, 0.999), "weight_decay": 0.05
    }  # fmt: skip
    assert cfg.train_cfg.max_epochs == 12
    assert cfg.param_scheduler[0].end == 1000
    assert cfg.param_scheduler[1].milestones == [8, 11]
    assert cfg.train_dataloader.batch_size == 1
    assert cfg.model.backbone.drop_path_rate == 0.05
    variant = config("mmdet_configs/mask-rcnn_selfpatch-vit-s16-8heads_fpn_1x_coco.py")
    assert variant.model.backbone == {**cfg.model.backbone, "override": {"num_heads": 8}}


def test_mobys_swin_is_fine_tuned_as_its_authors_did():
    """Swin-Transformer-Object-Detection, mask_rcnn_swin_tiny_..._adamw_1x_coco.py:14, 61-65."""
    cfg = config("mmdet_configs/mask-rcnn_selfpatch-swin-t_fpn_1x_coco.py")
    assert cfg.model.backbone.drop_path_rate == 0.1
    assert (cfg.param_scheduler[0].end, cfg.param_scheduler[0].start_factor) == (500, 0.001)
    assert cfg.param_scheduler[1].milestones == [8, 11]
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay, cfg.train_dataloader.batch_size) == (
        1e-4,
        0.05,
        2,
    )
    assert cfg.auto_scale_lr.base_batch_size == 16


def test_mobys_swin_segments_as_its_authors_did():
    """Swin-Transformer-Semantic-Segmentation, upernet_swin_tiny_patch4_window7_512x512_160k."""
    cfg = config("mmseg_configs/upernet_selfpatch-swin-t_160k_ade20k-512x512.py")
    assert cfg.model.backbone.drop_path_rate == 0.3
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay, cfg.train_dataloader.batch_size) == (
        6e-5,
        0.01,
        2,
    )


def test_upernet_reads_the_blocks_that_xcits_does():
    """facebookresearch/xcit, upernet_xcit_small_12_p16_160k_ade20k.py:17, 18."""
    backbone = config(
        "mmseg_configs/upernet_selfpatch-vit-s16_160k_ade20k-512x512.py"
    ).model.backbone
    assert (backbone.out_indices, backbone.drop_path_rate) == ((3, 5, 7, 11), 0.05)


def test_semantic_fpn_reads_the_blocks_that_the_reference_does():
    """alinlab/SelfPatch, semfpn_vit-s16_512x512_40k_ade20k.py:20, 24."""
    name = "mmseg_configs/semantic-fpn_selfpatch-vit-s16{}_40k_ade20k-512x512.py"
    backbone = config(name.format("")).model.backbone
    assert (backbone.out_indices, backbone.drop_path_rate) == ((2, 5, 8, 11), 0.1)
    variant = config(name.format("-stride16")).model.backbone
    assert variant == {**backbone, "strides": (16,) * 4, "override": {"image_size": 512}}


def test_linear_heads_read_tokens_after_the_final_norm():
    """facebookresearch/dinov2, dinov2/models/vision_transformer.py:305."""
    for trunk in ("vit-s16", "vit-s8", "vit-b16", "swin-t"):
        backbone = config(
            f"mmseg_configs/linear_selfpatch-{trunk}_40k_ade20k-512x512.py"
        ).model.backbone
        assert backbone.normalized, trunk
        assert backbone.final_norm, trunk


def test_vitdet_sees_a_test_image_in_the_square_that_it_was_trained_on():
    """Without that, its features at test differed by 19 %; detectron2 pads both (square_pad)."""
    cfg = config("mmdet_configs/vitdet_selfpatch-vit-s16_lsj-100e_coco.py")
    assert cfg.model.data_preprocessor.pad_size_divisor == 1024
    crop = next(step for step in cfg.train_dataloader.dataset.pipeline if step.type == "RandomCrop")
    resize = next(step for step in cfg.test_dataloader.dataset.pipeline if step.type == "Resize")
    assert crop.crop_size == resize.scale == (1024, 1024)


@pytest.mark.parametrize(
    ("name", "iterations", "batch_size"),
    [("upernet", 160_000, 2), ("semantic-fpn", 40_000, 4)],
)
def test_segmentation_recipes_are_the_references(name, iterations, batch_size):
    schedule = f"{iterations // 1000}k"
    cfg = config(f"mmseg_configs/{name}_selfpatch-vit-s16_{schedule}_ade20k-512x512.py")
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ("AdamW", 6e-5, 0.01)
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == iterations
    assert cfg.param_scheduler[0].end == 1500
    assert cfg.train_dataloader.batch_size == batch_size
    assert cfg.model.data_preprocessor.size == (512, 512)
    assert cfg.model.test_cfg.mode == "whole"


def test_data_roots_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("COCO_ROOT", "elsewhere/coco")
    monkeypatch.setenv("ADE20K_ROOT", "elsewhere/ade")
    detection = config("mmdet_configs/mask-rcnn_selfpatch-small_fpn_coco.py")
    assert detection.train_dataloader.dataset.data_root == "elsewhere/coco"
    assert detection.test_dataloader.dataset.data_root == "elsewhere/coco"
    expected = "elsewhere/coco/annotations/instances_val2017.json"
    assert detection.val_evaluator.ann_file == detection.test_evaluator.ann_file == expected
    segmentation = config("mmseg_configs/upernet_selfpatch-small_ade20k-128x128.py")
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        assert segmentation[loader].dataset.data_root == "elsewhere/ade"


@pytest.mark.parametrize(
    ("variant", "of", "own"),
    [
        ("mmdet_configs/cascade-mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py",
         "mmdet_configs/mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py", set()),
        ("mmdet_configs/mask-rcnn_selfpatch-vit-b16_fpn_1x_coco.py",
         "mmdet_configs/mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py", {"model.neck.in_channels"}),
        ("mmdet_configs/mask-rcnn_selfpatch-vit-s8_fpn_1x_coco.py",
         "mmdet_configs/mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py", set()),
        ("mmdet_configs/mask-rcnn_selfpatch-vit-s16-8heads_fpn_1x_coco.py",
         "mmdet_configs/mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py",
         {"optim_wrapper.paramwise_cfg.custom_keys.pyramid.decay_mult"}),
        *(
            (f"mmseg_configs/{task}_selfpatch-{trunk}_{length}_ade20k-512x512.py",
             f"mmseg_configs/{task}_selfpatch-vit-s16_{length}_ade20k-512x512.py", own)
            for task, length, channels in (
                ("upernet", "160k", {"model.decode_head.in_channels",
                                     "model.auxiliary_head.in_channels"}),
                ("semantic-fpn", "40k", {"model.neck.in_channels"}),
                ("linear", "40k", {"model.decode_head.in_channels"}),
            )
            for trunk, own in (("vit-s8", set()), ("vit-b16", channels))
        ),
    ],
)  # fmt: skip
def test_a_trunk_of_another_size_is_trained_by_the_same_recipe(variant, of, own):
    """Only the channels follow the trunk's width; test_building trains a step with them."""
    sections = ("optim_wrapper", "param_scheduler", "train_dataloader", "val_dataloader",
                "train_cfg", "auto_scale_lr", "model.neck", "model.decode_head",
                "model.auxiliary_head")  # fmt: skip
    one, other = (flat(config(name).to_dict()) for name in (variant, of))
    differing = {
        name
        for name in {*one, *other}
        if name.startswith(sections) and one.get(name, "none") != other.get(name, "none")
    }
    assert differing == own
    width = {"vit-b16": 768}.get(variant.split("selfpatch-")[1].split("_")[0], 384)
    for name in one:
        if name.endswith("in_channels") and name.startswith(("model.neck", "model.decode_head")):
            fpn = name == "model.decode_head.in_channels" and "semantic" in variant
            found = one[name] if isinstance(one[name], list) else [one[name]]
            assert set(found) == {256 if fpn else width}, name


def test_the_multi_scale_test_has_the_hosts_six_scales_and_mirror_images():
    """mmsegmentation, configs/_base_/datasets/ade20k.py; there as factors of the same size."""
    cfg = config("mmseg_configs/upernet_selfpatch-vit-s16_160k_ade20k-512x512.py")
    resizes, flips, *_ = cfg.tta_pipeline[1].transforms
    ratios = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
    assert [step.scale for step in resizes] == [(int(2048 * r), int(512 * r)) for r in ratios]
    assert all(step.keep_ratio for step in resizes)
    assert [(flip.prob, flip.direction) for flip in flips] == [
        (0.0, "horizontal"), (1.0, "horizontal")
    ]  # fmt: skip


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_recipe_says_how_many_images_its_learning_rate_is_for(path):
    """8 GPUs of one image in the paper's COCO recipe, of two in Swin's and mmdetection's."""
    expected = {"mmseg_configs": 16, "mmdet_configs": 8}[path.parent.name]
    if "vitdet" in path.stem:
        expected = 64
    elif "selfpatch-swin" in path.stem or "selfpatch-r50" in path.stem:
        expected = 16
    assert Config.fromfile(path).auto_scale_lr.base_batch_size == expected
