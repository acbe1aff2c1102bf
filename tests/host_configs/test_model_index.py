"""The index that OpenMMLab's tools read: complete, and every number is a published one."""

from pathlib import Path

from mmengine.fileio import load

from selfpatch.results.published import published
from tests import ROOT

TASKS = {"mask-rcnn": "coco-mask-rcnn", "upernet": "ade20k-upernet",
         "semantic-fpn": "ade20k-semantic-fpn"}  # fmt: skip
METRICS = {"box AP": "AP-box", "mask AP": "AP-mask", "mIoU": "mIoU"}


def read(name: str) -> dict:
    return load(ROOT / name)


def models() -> list[dict]:
    return [model for name in read("model-index.yml")["Import"] for model in read(name)["Models"]]


def test_every_config_is_listed_in_a_collection_that_exists():
    configs = {str(p.relative_to(ROOT)) for p in ROOT.glob("mm*_configs/*.py")}
    assert {model["Config"] for model in models()} == configs
    names = [model["Name"] for model in models()]
    assert len(set(names)) == len(names)
    for name in read("model-index.yml")["Import"]:
        content = read(name)
        collections = {collection["Name"] for collection in content["Collections"]}
        assert {model["In Collection"] for model in content["Models"]} == collections
        for collection in content["Collections"]:
            assert (ROOT / collection["README"]).is_file()


def test_every_number_is_a_published_one_and_says_whose():
    described = [model for model in models() if "Results" in model]
    assert len(described) == 8
    for model in described:
        metadata, stem = model["Metadata"], Path(model["Config"]).stem
        found = {k: v for result in model["Results"] for k, v in result["Metrics"].items()}
        task = TASKS[stem.split("_")[0]]
        if metadata["Pretraining"] == "MoBY":
            numbers = published("moby", "Swin-T", task)
            assert {METRICS[name]: value for name, value in found.items()} == {
                metric: number.value for metric, number in numbers.items()
            }
            continue
        method = "dino" if metadata["Pretraining"] == "DINO" else "dino+selfpatch"
        numbers = published(method, "ViT-S/16", task)
        for name, value in found.items():
            assert value == numbers[METRICS[name]].value
            assert metadata["Source"].split("; ")[-1] in numbers[METRICS[name]].source
