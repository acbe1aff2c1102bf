"""The numbers that were published, each with its source.

README, metafiles and configs repeat them; ``tests/results/test_published.py`` and
``tests/host_configs/test_model_index.py`` hold those against these.
"""

from dataclasses import dataclass

PAPER = "Yun et al., CVPR 2022"
README = "README of the paper's code"
TRANSFORMER_SSL = "README of SwinTransformer/Transformer-SSL"

WHOLE = {"coco": 5000, "ade20k": 2000, "davis2017": 30}
"""Images or sequences of the validation sets that the published numbers belong to."""

PAPERS_BACKBONE = "pretrained on the whole of ImageNet-1k"
COCO = f"{PAPERS_BACKBONE}, fine-tuned for 12 epochs on train2017, tested on all of val2017"
ADE20K = f"{PAPERS_BACKBONE}, fine-tuned on all 20,210 images, tested on all 2,000"
MOBY = f"MoBY's own recipe of fine-tuning, {PAPERS_BACKBONE}"
DAVIS = f"{PAPERS_BACKBONE}, all 30 validation sequences"
DAVIS_OF_DINO = (
    "DINO's released weights, tokens after the final norm, all 30 validation sequences; its authors"
    " did not get it again with torch 1.8"
)


@dataclass(frozen=True)
class Published:
    """A number that was published.

    Attributes:
        method: Method of the backbone, such as ``dino+selfpatch``.
        trunk: Its trunk, such as ``ViT-S/16``.
        task: A key of :data:`selfpatch.results.file.TASKS`.
        metric: The metric's name there.
        value: In percent; of a gain, in percent points.
        source: Where it stands.
        setting: How it was made.
        about: It was not stated exactly.
        gain: What SelfPatch adds to the method's own value, which was not given.
    """

    method: str
    trunk: str
    task: str
    metric: str
    value: float
    source: str
    setting: str
    about: bool = False
    gain: bool = False


VIT, SWIN = "ViT-S/16", "Swin-T"
BOTH = "dino+selfpatch"
BOX, MASK = ("coco-mask-rcnn", "AP-box"), ("coco-mask-rcnn", "AP-mask")
SEMANTIC_FPN, UPERNET = ("ade20k-semantic-fpn", "mIoU"), ("ade20k-upernet", "mIoU")
TRACKING = ("davis2017", "J&F-Mean")

PUBLISHED = (
    Published("dino", VIT, *BOX, 40.8, f"{PAPER}; {README} (1x)", COCO),
    Published("dino", VIT, *MASK, 37.3, f"{README} (1x)", COCO),
    Published(BOTH, VIT, *BOX, 42.1, f"{PAPER}; {README} (1x)", COCO),
    Published(BOTH, VIT, *MASK, 38.5, f"{README} (1x); gain of 1.2: {PAPER}", COCO),
    Published("moby", SWIN, *BOX, 43.6, TRANSFORMER_SSL, MOBY),
    Published("moby", SWIN, *MASK, 39.6, TRANSFORMER_SSL, MOBY),
    Published("dino", VIT, *SEMANTIC_FPN, 38.3, f"{PAPER}; {README} (40k)", ADE20K),
    Published(BOTH, VIT, *SEMANTIC_FPN, 41.2, f"{PAPER}; {README} (40k)", ADE20K),
    Published("dino", VIT, *UPERNET, 42.3, f"{README} (160k)", ADE20K),
    Published(BOTH, VIT, *UPERNET, 43.2, f"{README} (160k)", ADE20K),
    Published("moby", SWIN, *UPERNET, 44.1, TRANSFORMER_SSL, MOBY),
    Published(
        "dino", VIT, *TRACKING, 61.77, "DINO repository, pull request 46", DAVIS_OF_DINO, about=True
    ),
    Published("moby+selfpatch", VIT, *TRACKING, 4.8, PAPER, DAVIS, gain=True),
    Published("moby+selfpatch", SWIN, *TRACKING, 5.6, PAPER, DAVIS, gain=True),
)


def published(method: str, trunk: str, task: str) -> dict[str, Published]:
    """What was published for a method and trunk in a task, by metric."""
    wanted = (method, trunk, task)
    return {n.metric: n for n in PUBLISHED if (n.method, n.trunk, n.task) == wanted}
