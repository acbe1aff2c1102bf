"""Training methods: what their files are known by, which trunk counts, what was published."""

from dataclasses import dataclass, field
from typing import Any

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
CLIP = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
"""Mean and standard deviation of images, which are normalised by both."""

BOTH = {"teacher": r"(^|\.)(teacher|momentum_teacher)\.", "student": r"(^|\.)student\."}
"""Where a trunk lies in methods that train a student and a teacher."""


@dataclass(frozen=True)
class Method:
    """How a training method stores its networks, and what it does not store.

    Attributes:
        name: What results and tables call it.
        origin: Repository whose checkpoints these are.
        known_by: Regular expression that some key of this method's files matches, anywhere, and
            none of a method further down; None if only the user can tell.
        known_with: Another one that some key has to match as well.
        trunks: Network (``teacher``, ``student``, or an empty string where a method has one) -> a
            regular expression of what precedes its trunk's keys, where there are several trunks.
        siblings: What lies beside the trunk's prefix and belongs to it -> its name in the trunk.
        beside: Regular expression -> what such keys are, which are no part of the trunk.
        values: Of a ViT, what its weights do not tell, as its authors published it.
        swin_eps: Added to the variance in a Swin's norms, where a Swin was published.
        num_heads: Width of a ViT that was published -> attention heads.
    """

    name: str
    origin: str
    known_by: str | None = None
    known_with: str = ""
    trunks: dict[str, str] = field(default_factory=dict)
    siblings: dict[str, str] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    swin_eps: float | None = None
    num_heads: dict[int, int] = field(default_factory=dict)


HEADS = {192: 3, 384: 6, 768: 12, 1024: 16}
"""Width of a ViT-Ti, -S, -B and -L -> attention heads, in most methods."""

DINOS = {"norm_eps": 1e-6, "activation": "gelu", "resizing": "dino", **IMAGENET}
TIMMS = {**DINOS, "resizing": "bicubic"}

ENCODER_Q = {"": r"(^|\.)(encoder_q|backbone)\."}
"""Where a trunk lies in MoCo-v2 and in what builds on it; the latter in mmpretrain."""
BESIDE_AN_ENCODER = {
    r"encoder_q\.1\.|(^|\.)neck\.": "neck",
    r"(encoder_q|backbone)\.fpn_": "feature pyramid",
    r"encoder_k\.": "momentum encoder",
    r"queue": "queue",
}
"""What lies beside the trunk in MoCo-v2 and in what builds on it."""

METHODS = [
    Method(
        "dino+selfpatch",
        "alinlab/SelfPatch",  # the trunk's last norm lies in the aggregation head
        r"(^|\.)ca_head\.",
        trunks=BOTH,
        siblings={"ca_head.norm.": "norm."},
        beside={r"ca_head\.": "aggregation head", r"[cp]_head\.": "projection head"},
        values=DINOS,
        num_heads=HEADS,
    ),
    Method(
        "ijepa",
        "facebookresearch/ijepa",
        r"^predictor\..*predictor_pos_embed$",
        trunks={"teacher": r"^target_encoder\.", "student": r"^encoder\."},
        beside={r"predictor\.": "predictor"},
        values=TIMMS,
        num_heads={**HEADS, 1280: 16, 1408: 16},
    ),
    Method(
        "mocov3",
        "facebookresearch/moco-v3",  # 12 heads in its ViT-S
        r"(^|\.)base_encoder\.",
        trunks={"": r"(^|\.)(base_encoder|backbone)\."},  # the latter in mmpretrain
        beside={r"momentum_encoder\.": "momentum encoder", r"predictor\.": "predictor"},
        values=TIMMS,
        num_heads={384: 12, 768: 12},
    ),
    Method(
        "densecl",
        "WXinlong/DenseCL",  # its neck has a second, dense branch
        r"encoder_q\.1\.mlp2\.",
        trunks=ENCODER_Q,
        beside=BESIDE_AN_ENCODER,
    ),
    Method(
        "resim",
        "Tete-Xiao/ReSim",  # its encoder has a feature pyramid
        r"(encoder_q|backbone)\.fpn_",
        r"encoder_q\.|^(model\.)?stem\.conv1\.",
        trunks=ENCODER_Q,
        beside=BESIDE_AN_ENCODER,
    ),
    Method(
        "mocov2",
        "facebookresearch/moco",  # and in OpenSelfSup, where the trunk is the encoder's part 0
        r"(^|\.)encoder_q\.",
        trunks=ENCODER_Q,
        beside=BESIDE_AN_ENCODER,
    ),
    Method(
        "moby",
        "SwinTransformer/Transformer-SSL",
        r"(^|\.)(encoder_k|projector_k)\.",
        trunks={"": r"(^|\.)encoder\."},
        beside={
            r"encoder_k\.": "momentum encoder",
            r"projector(_k)?\.": "projector",
            r"predictor\.": "predictor",
            r"queue": "queue",
        },
        values=DINOS,
        swin_eps=1e-5,
        num_heads=HEADS,
    ),
    Method(
        "swav",
        "facebookresearch/swav",
        r"(^|\.)(projection_head|swav_criterion)\.",
        r"prototypes",
        beside={r"projection_head\.": "projection head", r"prototypes": "prototypes"},
    ),
    Method(
        "ibot",
        "bytedance/ibot",  # DINO's names, and an embedding in the place of masked patches
        r"(^|\.)(masked_embed|head\.last_layer2\..*)$",
        trunks=BOTH,
        values=DINOS,
        swin_eps=1e-6,
        num_heads=HEADS,
    ),
    Method(
        "esvit",
        "microsoft/esvit",
        r"(^|\.)head_dense\.",
        trunks=BOTH,
        beside={r"head(_dense)?\.": "projection head"},
        swin_eps=1e-6,
    ),
    Method(
        "mae",
        "facebookresearch/mae",
        r"(^|\.)decoder_(pos_)?embed",
        beside={r"decoder_": "decoder"},
        values=TIMMS,
        num_heads={**HEADS, 1280: 16},
    ),
    Method(
        "dinov3",
        "facebookresearch/dinov3",
        r"(^|\.)rope_embed\.periods$",
        trunks=BOTH,
        beside={r"(dino|ibot)_head\.": "projection head"},
        values={**DINOS, "norm_eps": 1e-5},  # heads show in the periods
    ),
    Method(
        "dinov2",
        "facebookresearch/dinov2",
        r"(^|\.)(register_tokens|mask_token)$",
        r"\.(ls1\.gamma|layer_scale1\.lambda1)$",
        trunks=BOTH,
        beside={r"(dino|ibot)_head\.": "projection head"},
        values=DINOS,  # with registers positions are resized otherwise, see published.py
        num_heads={**HEADS, 1536: 24},
    ),
    Method(
        "dino",
        "facebookresearch/vissl",  # which has DINO, too, and resizes positions in its own way
        r"(^|\.)momentum_teacher\.",
        trunks=BOTH,
        beside={r"heads?\.": "projection head"},
        values=TIMMS,
        num_heads=HEADS,
    ),
    Method(
        "dino",
        "facebookresearch/dino",
        r"(^|\.)head\.(mlp|last_layer)\.",
        trunks=BOTH,
        beside={r"heads?\.": "projection head"},
        values=DINOS,
        num_heads=HEADS,
    ),
    Method(
        "supervised",
        "pytorch/vision",  # which alone aligns the corners when it resizes positions
        r"(^|\.)encoder\.layers\.encoder_layer_0\.",
        values={**TIMMS, "resizing": "aligned"},
        swin_eps=1e-5,
        num_heads={**HEADS, 1280: 16},
    ),
    Method(
        "deit",
        "facebookresearch/deit",
        trunks={"": r"^model\."},
        values=TIMMS,
        num_heads={**HEADS, 1280: 16},
    ),
    Method("detco", "xieenze/DetCo"),
    Method(
        "clip",
        "openai/CLIP",
        r"^(input_resolution|context_length)$",
        values={
            "norm_eps": 1e-5, "activation": "quick_gelu", "resizing": "bicubic", **CLIP
        },
        num_heads={768: 12, 1024: 16},
    ),
    Method(
        "openclip",
        "mlfoundations/open_clip",
        values={
            "norm_eps": 1e-5, "activation": "gelu", "resizing": "antialiased", **CLIP
        },
        num_heads={**HEADS, 896: 14, 1280: 16, 1408: 16, 1664: 16, 1792: 16},
    ),
    Method(
        "siglip",
        "google-research/big_vision",
        values={
            "norm_eps": 1e-6, "activation": "gelu_tanh", "resizing": "bicubic", **HALF
        },
        num_heads={768: 12, 1024: 16, 1152: 16, 1536: 16},
    ),
    Method(
        "augreg",
        "google-research/vision_transformer",
        values={**TIMMS, "resizing": "antialiased", **HALF},
        num_heads={**HEADS, 1280: 16},
    ),
]  # fmt: skip
