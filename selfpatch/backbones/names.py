"""Names of weights in other people's code -> their names here.

One list of replacements per family, each applied once, in this order. What lies in several weights
there and in one here, as queries, keys and values, gets names that :mod:`families` joins.
"""

import re
from collections.abc import Callable

Names = list[tuple[str, str | Callable[[re.Match[str]], str]]]

BLOCK = r"(?<=^blocks)(\.\d+\.)"

VIT: Names = [
    (r"^embeddings\.", ""),  # Hugging Face
    (r"^(encoder|transformer|model)\.(?=layers?\.|resblocks\.|ln\.|pos_embedding)", ""),
    (r"^(patch_embed\.proj|patch_embeddings|patch_embedding|conv_proj|conv1)(ection|\.projection)?"
     r"\.(?=weight|bias)", "patch_embed.proj."),
    (r"^(class_token|class_embedding)$", "cls_token"),
    (r"^(reg_token|storage_tokens)$", "register_tokens"),
    (r"^distillation_token$", "dist_token"),
    (r"^(pos_embedding|positional_embedding|position_embeddings|position_embedding\.weight)$",
     "pos_embed"),
    (r"^rope_embed\.periods$", "rotary_periods"),
    (r"^(layernorm|ln_post|post_layernorm|ln|ln1|norm1|layer_norm)\.", "norm."),
    (r"^(ln_pre|pre_layrnorm|pre_layernorm|pre_norm)\.", "norm_pre."),
    (r"^(?:blocks|layers?|resblocks)\.(?:encoder_layer_|\d+\.)?(\d+)\.", r"blocks.\1."),
    (BLOCK + r"(layernorm_before|ln_?1|layer_norm1)\.", r"\1norm1."),
    (BLOCK + r"(layernorm_after|ln_?2|layer_norm2)\.", r"\1norm2."),
    (BLOCK + r"(attention\.attention|self_attn|self_attention|attn\.attn|attention)\.", r"\1attn."),
    (BLOCK + r"attn\.(q|k|v)(uery|ey|alue|_proj)\.", r"\1attn.\2."),
    (BLOCK + r"attn\.in_proj_", r"\1attn.qkv."),
    (BLOCK + r"attn\.(output\.dense|out_proj|o_proj)\.", r"\1attn.proj."),
    (BLOCK + r"(intermediate\.dense|mlp\.(c_fc|0|linear_1|w12|weights_in)|ffn\.layers\.0\.0)\.",
     r"\1mlp.fc1."),
    (BLOCK + r"(output\.dense|mlp\.(c_proj|3|linear_2|w3|weights_out|down_proj)|ffn\.layers\.1)\.",
     r"\1mlp.fc2."),
    (BLOCK + r"mlp\.(w1|gate_proj)\.", r"\1mlp.gate."),
    (BLOCK + r"mlp\.(w2|up_proj)\.", r"\1mlp.up."),
    (BLOCK + r"(gamma_|layer_scale|attn\.gamma|ffn\.gamma)([12])(\.lambda1|\.weight)?$",
     r"\1ls\3.gamma"),
]  # fmt: skip
"""The names here are timm's and DINO's. ``pre_layrnorm`` is Hugging Face's spelling."""

SWIN: Names = [
    (r"^embeddings\.norm\.", "patch_embed.norm."),
    (r"^embeddings\.", ""),
    (r"^encoder\.(?=layers)", ""),
    (r"^(patch_embed\.projection|patch_embeddings\.projection|features\.0\.0)\.",
     "patch_embed.proj."),
    (r"^features\.0\.2\.", "patch_embed.norm."),
    (r"^(layernorm|norm3)\.", "norm."),
    (r"^features\.(\d+)\.(reduction|norm)\.",
     lambda m: f"layers.{int(m[1]) // 2}.downsample.{m[2]}."),
    (r"^features\.(\d+)\.", lambda m: f"layers.{int(m[1]) // 2}.blocks."),
    (r"^stages\.(\d+)\.downsample\.", r"layers.\1.unfolded."),  # mmcv's order of channels
    (r"^stages\.", "layers."),
    (r"attention\.self\.(q|k|v)(uery|ey|alue)\.", r"attn.\1."),
    (r"attention\.self\.", "attn."),
    (r"attention\.output\.dense\.", "attn.proj."),
    (r"attn\.w_msa\.", "attn."),
    (r"layernorm_before\.", "norm1."),
    (r"layernorm_after\.", "norm2."),
    (r"(intermediate\.dense|ffn\.layers\.0\.0|mlp\.0)\.", "mlp.fc1."),
    (r"(?<!attn\.)(?<!attention\.)(output\.dense|ffn\.layers\.1|mlp\.3)\.", "mlp.fc2."),
]  # fmt: skip

RESNET: Names = [
    (r"^stem\.conv1\.norm\.", "bn1."),
    (r"^stem\.", ""),
    (r"^res(\d)\.", lambda m: f"layer{int(m[1]) - 1}."),
    (r"\.conv(\d)\.norm\.", r".bn\1."),
    (r"\.shortcut\.norm\.", ".downsample.1."),
    (r"\.shortcut\.", ".downsample.0."),
]
"""The names here are torchvision's; the others are detectron2's."""


def renamed(key: str, names: Names) -> str:
    """A key under its name here, or as it was if nobody knows it."""
    for pattern, replacement in names:
        key = re.sub(pattern, replacement, key)
    return key
