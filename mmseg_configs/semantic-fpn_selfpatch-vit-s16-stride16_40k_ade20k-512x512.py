"""The reference implementation's Semantic FPN to the letter: four maps of stride 16.

Command:  as semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py
Source:   The reference implementation, whose FPN declares strides 4 to 32 all the same.
Expect:   The numbers of the rescaled config are the paper's, which may have been made with this.
"""

_base_ = "semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py"

model = dict(backbone=dict(strides=(16, 16, 16, 16)))
