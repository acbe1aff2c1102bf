"""The reference implementation's Semantic FPN with its oddities: four maps of stride 16.

Command:  as semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py
Source:   alinlab/SelfPatch, segmentation/configs/semfpn_vit-s16_512x512_40k_ade20k.py, whose FPN
          declares strides 4 to 32 all the same, and whose positions are resized once, to the grid
          of 512 pixels, and trained there. Other grids are resized from that one here as
          everywhere, with DINO's 0.1; its backbone resizes to the exact size.
Expect:   The numbers of the rescaled config are the paper's, which may have been made with this.
"""

_base_ = "semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py"

model = dict(backbone=dict(strides=(16, 16, 16, 16), override=dict(image_size=512)))
