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
        trunks: Network (``teacher``, ``student``, or an empty string where a method has one) -> a
            regular expression of what precedes its trunk's keys, where there are several trunks.
        siblings: What lies beside the trunk's prefix and belongs to it -> its name in the trunk.
        beside: Regular expression -> what such keys are, which are no part of the trunk.
        values: Of a ViT, what its weights do not tell, as its authors published it.
        swin_eps: Added to the variance in a Swin's norms.
        head_dim: Channels of an attention head of a ViT.
        num_heads: Width -> heads, where they are not of ``head_dim`` channels.
    """

    name: str
    origin: str
    known_by: str | None = None
    trunks: dict[str, str] = field(default_factory=dict)
    siblings: dict[str, str] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    swin_eps: float = 1e-5
    head_dim: int = 64
    num_heads: dict[int, int] = field(default_factory=dict)

    def heads(self, embed_dim: int) -> int | None:
        """Attention heads of a ViT of this width; None if it is no multiple of a head's."""
        whole = embed_dim // self.head_dim if embed_dim % self.head_dim == 0 else None
        return self.num_heads.get(embed_dim, whole)


DINOS = {"norm_eps": 1e-6, "activation": "gelu", "resizing": "dino", **IMAGENET}
TIMMS = {**DINOS, "resizing": "bicubic"}

ENCODER_Q = {"": r"(^|\.)encoder_q\."}
BESIDE_AN_ENCODER = {
    r"encoder_q\.1\.|(^|\.)neck\.": "neck",
    r"(encoder_q|backbone)\.fpn_": "feature pyramid",
    r"encoder_k\.": "momentum encoder",
    r"queue": "queue",
    r"(^|\.)backbone\.": "the encoder's trunk once more",
}
"""What lies beside the trunk in MoCo-v2 and in what builds on it."""

METHODS = [
    Method(
        "dino+selfpatch",
        "alinlab/SelfPatch",  # the trunk's last norm lies in the aggregation head
        r"(^|\.)ca_head\.",
        BOTH,
        {"ca_head.norm.": "norm."},
        {r"ca_head\.": "aggregation head", r"[cp]_head\.": "projection head"},
        DINOS,
    ),
    Method(
        "ijepa",
        "facebookresearch/ijepa",
        r"^target_encoder\.|^predictor\..*predictor_pos_embed$",
        {"teacher": r"^target_encoder\.", "student": r"^encoder\."},
        beside={r"predictor\.": "predictor"},
        values=TIMMS,
        num_heads={1280: 16, 1408: 16},
    ),
    Method(
        "mocov3",
        "facebookresearch/moco-v3",  # 12 heads in its ViT-S
        r"(^|\.)base_encoder\.",
        {"": r"(^|\.)(base_encoder|backbone)\."},  # the latter in mmpretrain
        beside={r"momentum_encoder\.": "momentum encoder", r"predictor\.": "predictor"},
        values=TIMMS,
        num_heads={384: 12},
    ),
    Method(
        "densecl",
        "WXinlong/DenseCL",  # its neck has a second, dense branch
        r"encoder_q\.1\.mlp2\.",
        ENCODER_Q,
        beside=BESIDE_AN_ENCODER,
    ),
    Method(
        "resim",
        "Tete-Xiao/ReSim",  # its encoder has a feature pyramid
        r"(encoder_q|backbone)\.fpn_",
        ENCODER_Q,
        beside=BESIDE_AN_ENCODER,
    ),
    Method(
        "mocov2",
        "facebookresearch/moco",  # and in OpenSelfSup, where the trunk is the encoder's part 0
        r"(^|\.)encoder_q\.",
        ENCODER_Q,
        beside=BESIDE_AN_ENCODER,
    ),
    Method(
        "moby",
        "SwinTransformer/Transformer-SSL",
        r"(^|\.)(encoder_k|projector_k)\.",
        {"": r"(^|\.)encoder\."},
        beside={
            r"encoder_k\.": "momentum encoder",
            r"projector(_k)?\.": "projector",
            r"predictor\.": "predictor",
            r"queue": "queue",
        },
        values=DINOS,
    ),
    Method(
        "swav",
        "facebookresearch/swav",
        r"(^|\.)(projection_head|prototypes|swav_criterion)\.",
        beside={r"projection_head\.": "projection head", r"prototypes": "prototypes"},
    ),
    Method(
        "ibot",
        "bytedance/ibot",  # DINO's names, and an embedding in the place of masked patches
        r"(^|\.)(masked_embed|head\.last_layer2\..*)$",
        BOTH,
        values=DINOS,
        swin_eps=1e-6,
    ),
    Method(
        "esvit",
        "microsoft/esvit",
        r"(^|\.)head_dense\.",
        BOTH,
        beside={r"head(_dense)?\.": "projection head"},
        swin_eps=1e-6,
    ),
    Method(
        "mae",
        "facebookresearch/mae",
        r"(^|\.)decoder_(pos_)?embed",
        beside={r"decoder_": "decoder"},
        values=TIMMS,
        num_heads={1280: 16},
    ),
    Method(
        "dinov3",
        "facebookresearch/dinov3",
        r"(^|\.)rope_embed\.periods$",
        BOTH,
        beside={r"(dino|ibot)_head\.": "projection head"},
        values={**DINOS, "norm_eps": 1e-5},
    ),
    Method(
        "dinov2",
        "facebookresearch/dinov2",
        r"(^|\.)(register_tokens|ibot_head\..*|mask_token)$",
        BOTH,
        beside={r"(dino|ibot)_head\.": "projection head"},
        values=DINOS,  # with registers they are resized otherwise, see published.py
    ),
    Method(
        "dino",
        "facebookresearch/vissl",  # which has DINO, too, and resizes positions in its own way
        r"(^|\.)momentum_teacher\.",
        BOTH,
        beside={r"heads?\.": "projection head"},
        values=TIMMS,
    ),
    Method(
        "dino",
        "facebookresearch/dino",
        r"(^|\.)head\.(mlp|last_layer)\.",
        BOTH,
        beside={r"heads?\.": "projection head"},
        values=DINOS,
    ),
    Method(
        "supervised",
        "pytorch/vision",  # which alone aligns the corners when it resizes positions
        r"(^|\.)encoder\.layers\.encoder_layer_0\.",
        values={**TIMMS, "resizing": "aligned"},
    ),
    Method("deit", "facebookresearch/deit", trunks={"": r"^model\."}, values=TIMMS),
    Method("detco", "xieenze/DetCo"),
    Method(
        "clip",
        "openai/CLIP",
        r"^(input_resolution|context_length)$",
        values={
            "norm_eps": 1e-5, "activation": "quick_gelu", "resizing": "bicubic", **CLIP
        },
    ),
    Method(
        "openclip",
        "mlfoundations/open_clip",
        values={
            "norm_eps": 1e-5, "activation": "gelu", "resizing": "antialiased", **CLIP
        },
        num_heads={1280: 16, 1408: 16, 1664: 16},
    ),
    Method(
        "siglip",
        "google-research/big_vision",
        values={
            "norm_eps": 1e-6, "activation": "gelu_tanh", "resizing": "bicubic", **HALF
        },
        num_heads={1152: 16},
    ),
    Method(
        "augreg",
        "google-research/vision_transformer",
        values={**TIMMS, "resizing": "antialiased", **HALF},
    ),
]  # fmt: skip
