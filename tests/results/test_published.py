"""README and configs repeat the published numbers without a slip."""

import ast
import re
from collections.abc import Sequence

from selfpatch.results.file import TASKS
from selfpatch.results.published import PUBLISHED, published
from tests import ROOT

BOX, MASK = ("coco-mask-rcnn", "AP-box"), ("coco-mask-rcnn", "AP-mask")
SEMANTIC_FPN, UPERNET = ("ade20k-semantic-fpn", "mIoU"), ("ade20k-upernet", "mIoU")
DAVIS = ("davis2017", "J&F-Mean")

README_ROWS = {
    "COCO, Mask R-CNN 1x: AP box / mask": (BOX, MASK),
    "ADE20K, Semantic FPN 40k: mIoU": (SEMANTIC_FPN,),
    "ADE20K, UperNet 160k: mIoU": (UPERNET,),
    "DAVIS 2017, val: J&F": (DAVIS,),
}


def values(method: str, trunk: str, *keys: tuple[str, str]) -> list[float]:
    return [published(method, trunk, task)[metric].value for task, metric in keys]


def dino(*keys: tuple[str, str]) -> list[float]:
    return values("dino", "ViT-S/16", *keys)


def selfpatch(*keys: tuple[str, str]) -> list[float]:
    return values("dino+selfpatch", "ViT-S/16", *keys)


EXPECTED: dict[str, list[float]] = {
    "mask-rcnn_selfpatch-vit-s16_fpn_1x_coco": dino(BOX, MASK) + selfpatch(BOX, MASK),
    "mask-rcnn_selfpatch-swin-t_fpn_1x_coco": values("moby", "Swin-T", BOX, MASK),
    "semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512": dino(SEMANTIC_FPN)
    + selfpatch(SEMANTIC_FPN),
    "upernet_selfpatch-vit-s16_160k_ade20k-512x512": dino(UPERNET) + selfpatch(UPERNET),
    "upernet_selfpatch-swin-t_160k_ade20k-512x512": values("moby", "Swin-T", UPERNET),
    "dino_vit-s16_16xb64-300e_in1k": dino(BOX, MASK, SEMANTIC_FPN),
    "selfpatch_vit-s16_8xb128-200e_in1k": selfpatch(BOX, MASK, SEMANTIC_FPN),
    "moby_swin-t_8xb64-300e_in1k": values("moby", "Swin-T", BOX, MASK, UPERNET),
    "selfpatch-moby_swin-t_8xb64-300e_in1k": values("moby+selfpatch", "Swin-T", DAVIS),
    "selfpatch-moby_vit-s16_8xb64-300e_in1k": values("moby+selfpatch", "ViT-S/16", DAVIS),
}
"""The numbers in the paragraph "Expect" of a config, in order; no other config has one."""


def test_the_readme_repeats_every_published_number():
    text = (ROOT / "README.md").read_text()
    lines = [line.split("|")[1:] for line in text.splitlines() if line.startswith("| ")]
    table = {name.strip(): [cell.strip() for cell in cells] for name, *cells in lines}
    rows = {name: table[name][:2] for name in README_ROWS}
    of_vit = {(n.task, n.metric) for n in PUBLISHED if n.method.startswith("dino")}
    assert {key for keys in README_ROWS.values() for key in keys} == of_vit
    assert rows == {
        name: [repeated(keys, method) for method in ("dino", "dino+selfpatch")]
        for name, keys in README_ROWS.items()
    }


def repeated(keys: Sequence[tuple[str, str]], method: str) -> str:
    found = [published(method, "ViT-S/16", task).get(metric) for task, metric in keys]
    numbers = [number for number in found if number]
    about = "about " if any(number.about for number in numbers) else ""
    return about + " / ".join(f"{number.value:.1f}" for number in numbers)


def test_every_published_number_has_a_source_a_setting_and_a_column():
    for number in PUBLISHED:
        assert number.source
        assert number.setting
        assert number.metric in TASKS[number.task]
    places = [(n.method, n.trunk, n.task, n.metric) for n in PUBLISHED]
    assert len(set(places)) == len(places)


def test_configs_expect_published_numbers_or_none():
    configs = [*ROOT.glob("mm*_configs/*.py"), *ROOT.glob("selfpatch/configs/*.py")]
    found = {path.stem: expected_by(path) for path in configs}
    assert {name: numbers for name, numbers in found.items() if numbers} == EXPECTED


def expected_by(config) -> list[float]:
    """The decimal fractions in the paragraph "Expect" of a config's docstring."""
    page = ast.get_docstring(ast.parse(config.read_text())) or ""
    paragraph = re.search(r"^Expect:.*\n?(?:^ .*\n?)*", page, re.MULTILINE)
    return [float(text) for text in re.findall(r"\b\d+\.\d+\b", paragraph[0] if paragraph else "")]
