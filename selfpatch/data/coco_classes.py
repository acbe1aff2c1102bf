"""COCO's classes: 80 things and 91 kinds of stuff, and the coarser ones that they belong to.

Things are those of COCO's instances, stuff is that of COCO-Stuff (Caesar et al., 2018; labels.md of
nightrome/cocostuff).
"""

UNUSED_IDS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
"""Ids up to 90 that no category of COCO has."""

THINGS = {
    "person": "person",
    "vehicle": "bicycle, car, motorcycle, airplane, bus, train, truck, boat",
    "outdoor": "traffic light, fire hydrant, stop sign, parking meter, bench",
    "animal": "bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe",
    "accessory": "backpack, umbrella, handbag, tie, suitcase",
    "sports": "frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove,"
    " skateboard, surfboard, tennis racket",
    "kitchen": "bottle, wine glass, cup, fork, knife, spoon, bowl",
    "food": "banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake",
    "furniture": "chair, couch, potted plant, bed, dining table, toilet",
    "electronic": "tv, laptop, mouse, remote, keyboard, cell phone",
    "appliance": "microwave, oven, toaster, sink, refrigerator",
    "indoor": "book, clock, vase, scissors, teddy bear, hair drier, toothbrush",
}
"""Supercategory -> its categories, all in the order of their ids from 1 on."""

STUFF = {
    "building": "bridge, building-other, house, roof, skyscraper, tent",
    "ceiling": "ceiling-other, ceiling-tile",
    "floor": "carpet, floor-marble, floor-other, floor-stone, floor-tile, floor-wood",
    "food-stuff": "food-other, fruit, salad, vegetable",
    "furniture-stuff": "cabinet, counter, cupboard, desk-stuff, door-stuff, furniture-other, light,"
    " mirror-stuff, shelf, stairs, table",
    "ground": "dirt, gravel, ground-other, mud, pavement, platform, playingfield, railroad, road,"
    " sand, snow",
    "plant": "branch, bush, flower, grass, leaves, moss, plant-other, straw, tree",
    "raw-material": "cardboard, metal, paper, plastic",
    "sky": "clouds, sky-other",
    "solid": "hill, mountain, rock, solid-other, stone, wood",
    "structural": "cage, fence, net, railing, structural-other",
    "textile": "banner, blanket, cloth, clothes, curtain, mat, napkin, pillow, rug, textile-other,"
    " towel",
    "wall": "wall-brick, wall-concrete, wall-other, wall-panel, wall-stone, wall-tile, wall-wood",
    "water": "fog, river, sea, water-other, waterdrops",
    "window": "window-blind, window-other",
}
"""Supercategory -> its kinds of stuff, whose ids from 92 on are in the order of the alphabet."""

FIRST_STUFF_ID = 92

COARSE_THINGS, COARSE_STUFF = sorted(THINGS), sorted(STUFF)
"""The 12 and 15 classes of COCO-Things and COCO-Stuff, in the order of Leopart's code."""


def supercategories(table: dict[str, str]) -> dict[str, str]:
    """Category -> supercategory, of :data:`THINGS` or :data:`STUFF`, in the table's order."""
    return {name: above for above, names in table.items() for name in names.split(", ")}


def thing_names() -> dict[int, str]:
    """Id -> category of the 80 things."""
    ids = (number for number in range(1, FIRST_STUFF_ID - 1) if number not in UNUSED_IDS)
    return dict(zip(ids, supercategories(THINGS), strict=True))


def stuff_names() -> dict[int, str]:
    """Id -> name of the 91 kinds of stuff."""
    return dict(enumerate(sorted(supercategories(STUFF)), start=FIRST_STUFF_ID))
