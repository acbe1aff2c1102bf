"""The numbers that were published, each with its source.

README, metafiles and configs repeat them; ``tests/results/test_published.py`` and
``tests/host_configs/test_model_index.py`` hold those against these.
"""

from dataclasses import dataclass

PAPER = "Yun et al., CVPR 2022"
README = "README of the paper's code"
PUBLISHED_SETTING = (
    "another setting: ViT-S/16 pretrained on the whole of ImageNet-1k for 200 to 300 epochs at"
    " batch size 1,024, then the full schedule of each task on the full data set"
)


@dataclass(frozen=True)
class Published:
    """A pair of published numbers, in percent, where they stand, and how they were made."""

    dino: float | None
    selfpatch: float | None
    source: str
    setting: str
    about: bool = False


COCO = "fine-tuned for 12 epochs on train2017, tested on all 5,000 images of val2017"
ADE20K = "fine-tuned on all 20,210 training images, tested on all 2,000 validation images"
DAVIS = (
    "DINO's released ViT-S/16, tokens after the final norm, all 30 validation sequences; its"
    " authors did not get it again with torch 1.8"
)

WHOLE = {"coco": 5000, "ade20k": 2000, "davis2017": 30}
"""Images or sequences of the validation sets that the published numbers belong to."""

PUBLISHED: dict[tuple[str, str], Published] = {
    ("coco-mask-rcnn", "AP-box"): Published(40.8, 42.1, f"{PAPER}; {README} (1x)", COCO),
    ("coco-mask-rcnn", "AP-mask"): Published(
        37.3, 38.5, f"{README} (1x); gain of 1.2: {PAPER}", COCO
    ),
    ("ade20k-semantic-fpn", "mIoU"): Published(38.3, 41.2, f"{PAPER}; {README} (40k)", ADE20K),
    ("ade20k-upernet", "mIoU"): Published(42.3, 43.2, f"{README} (160k)", ADE20K),
    ("davis2017", "J&F-Mean"): Published(
        61.77, None, "DINO repository, pull request 46", DAVIS, about=True
    ),
}

MOBY_SWIN_T: dict[tuple[str, str], float] = {
    ("coco-mask-rcnn", "AP-box"): 43.6,
    ("coco-mask-rcnn", "AP-mask"): 39.6,
    ("ade20k-upernet", "mIoU"): 44.1,
}
"""MoBY's Swin-T with its own recipe, in percent: README of SwinTransformer/Transformer-SSL."""

GAINS_OVER_MOBY = {"swin_tiny": 5.6, "vit_small": 4.8}
"""What SelfPatch adds to MoBY's J&F-Mean on DAVIS 2017, in percent points, by trunk: the paper."""
