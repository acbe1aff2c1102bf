"""Training methods, and how their checkpoints call a trunk and what lies beside it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Method:
    """How a training method stores its networks; wrappers before a key never matter.

    Attributes:
        name: What results and tables call it.
        origin: Repository whose checkpoints these are.
        known_by: Regular expression that this method's keys match, and those of no method below.
        prefixes: What precedes the trunk's keys -> what to put there; the first that fits.
        ignored: Regular expression -> what such keys are, which are no part of the trunk.
        num_heads: Width -> attention heads, where they are not the usual ones.
    """

    name: str
    origin: str
    known_by: str
    prefixes: dict[str, str] = field(default_factory=lambda: {"": ""})
    ignored: dict[str, str] = field(default_factory=dict)
    num_heads: dict[int, int] = field(default_factory=dict)


BESIDE_AN_ENCODER = {
    r"encoder_q\.1\.|neck\.": "neck",
    r"encoder_q\.fpn_": "feature pyramid",
    r"backbone\.": "the encoder's trunk once more",
    r"encoder_k\.": "momentum encoder",
    r"queue": "queue",
}
"""What lies beside the trunk in MoCo-v2 and in what builds on it."""

METHODS = [
    Method(
        "dino+selfpatch",
        "alinlab/SelfPatch",  # the trunk's last norm lies in the aggregation head
        r"ca_head\.",
        {"backbone.": "", "ca_head.norm.": "norm."},
        {r"ca_head\.(?!norm\.)": "aggregation head", r"[cp]_head\.": "projection head"},
    ),
    Method(
        "mocov3",
        "facebookresearch/moco-v3",  # 12 heads in its ViT-S
        r"base_encoder\.",
        {"base_encoder.": ""},
        {r"momentum_encoder\.": "momentum encoder", r"predictor\.": "predictor"},
        {384: 12},
    ),
    Method(
        "densecl",
        "WXinlong/DenseCL",  # its neck has a second, dense branch
        r"encoder_q\.1\.mlp2\.",
        {"encoder_q.0.": ""},
        BESIDE_AN_ENCODER,
    ),
    Method(
        "resim",
        "Tete-Xiao/ReSim",  # its encoder has a feature pyramid
        r"encoder_q\.fpn_",
        {"encoder_q.": ""},
        BESIDE_AN_ENCODER,
    ),
    Method(
        "mocov2",
        "facebookresearch/moco",  # and in OpenSelfSup, where the trunk is the encoder's part 0
        r"encoder_q\.",
        {"encoder_q.0.": "", "encoder_q.": ""},
        BESIDE_AN_ENCODER,
    ),
    Method(
        "moby",
        "SwinTransformer/Transformer-SSL",
        r"encoder\.",
        {"encoder.": ""},
        {
            r"encoder_k\.": "momentum encoder",
            r"projector(_k)?\.": "projector",
            r"predictor\.": "predictor",
            r"queue": "queue",
        },
    ),
    Method(
        "swav",
        "facebookresearch/swav",
        r"(projection_head|prototypes)\.",
        ignored={r"projection_head\.": "projection head", r"prototypes\.": "prototypes"},
    ),
    Method(
        "ibot",
        "bytedance/ibot",  # DINO's names, and an embedding in the place of masked patches
        r"(backbone\.)?masked_embed$|head\.last_layer2\.",
        {"backbone.": "", "": ""},
    ),
    Method("mae", "facebookresearch/mae", r"decoder_", ignored={r"decoder_": "decoder"}),
    Method(
        "dinov2",
        "facebookresearch/dinov2",  # timm's copy lacks both and could be DeiT III as well
        r"(backbone\.)?(mask_token|register_tokens)$",
        {"backbone.": "", "": ""},
        {r"(dino|ibot)_head\.": "projection head"},
    ),
    Method(
        "dino",
        "facebookresearch/dino",
        r"head\.(mlp|last_layer)\.",
        {"backbone.": "", "": ""},
    ),
    Method("unknown", "torchvision, timm and others", r"", {"backbone.": "", "": ""}),
]
