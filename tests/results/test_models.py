"""Which results are seeds of one model, and what models are called."""

from typing import Any

import pytest

from selfpatch.models.variants import VARIANTS
from selfpatch.results.file import Result
from selfpatch.results.models import Model, model_of, nearest, trunk_name, variants
from selfpatch.results.settings import differences
from tests.results.made import backbone, recipe_of, result


def of(method: str = "dino", seed: int | None = 0, **recipe: Any) -> Result:
    return result(of=backbone(method, seed=seed, recipe=recipe_of(method, **recipe)))


def test_backbones_that_differ_in_the_seed_alone_are_one_model():
    assert model_of(of(seed=0)) == model_of(of(seed=1))
    assert of(seed=0).backbone["fingerprint"] != of(seed=1).backbone["fingerprint"]


@pytest.mark.parametrize(
    "other",
    [
        of("moby"),
        of(epochs=300),
        result(of=backbone(patch_size=8, recipe=recipe_of("dino"))),
        result(of=backbone(num_heads=12, recipe=recipe_of("dino"))),
        result(of={**of().backbone, "network": "student"}),
        result(of=backbone()),
    ],
    ids=["method", "recipe", "patches", "heads", "network", "unknown recipe"],
)
def test_whatever_else_differs_makes_another_model(other):
    assert model_of(other) != model_of(of())


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("dino", "DINO"),
        ("dino+selfpatch", "DINO + SelfPatch"),
        ("dino+selfpatch, fine-tuned", "DINO + SelfPatch, fine-tuned"),
        ("ijepa", "I-JEPA"),
        ("mine", "mine"),
    ],
)
def test_a_method_has_the_name_that_papers_give_it(method, name):
    assert Model(method, "ViT-S/16").name == name


def test_a_network_of_timm_is_called_what_timm_calls_it():
    assert trunk_name({"family": "timm", "name": "eva02_small_patch14_224"}).startswith("eva02_")


def test_an_imported_backbone_is_a_model_of_its_own():
    one, other = (result(of=backbone("swav", "resnet50", seed=seed)) for seed in (0, 1))
    assert model_of(one) != model_of(other)
    assert model_of(one) == model_of(result("coco-mask-rcnn", of=one.backbone, seed=3))


@pytest.mark.parametrize(
    ("variant", "patch_size", "name"),
    [
        ("vit_tiny", 16, "ViT-T/16"),
        ("vit_small", 8, "ViT-S/8"),
        ("vit_base", 16, "ViT-B/16"),
        ("vit_large", 14, "ViT-L/14"),
        ("swin_tiny", 4, "Swin-T"),
        ("swin_small", 4, "Swin-S"),
        ("resnet50", 32, "ResNet-50"),
    ],
)
def test_every_variant_has_the_name_that_papers_give_it(variant, patch_size, name):
    assert trunk_name({**VARIANTS[variant], "patch_size": patch_size}) == name
    stored = {key: list(v) if isinstance(v, tuple) else v for key, v in VARIANTS[variant].items()}
    assert trunk_name({**stored, "patch_size": patch_size}) == name


def test_a_trunk_of_another_size_is_named_by_width_and_depth():
    assert trunk_name({**VARIANTS["vit_tiny"], "depth": 6, "patch_size": 16}) == "ViT-192x6/16"
    assert trunk_name({**VARIANTS["swin_tiny"], "embed_dim": 48}) == "Swin-48x2,2,6,2"
    assert trunk_name({}) == "-"
    assert trunk_name({"family": "vit", "embed_dim": [1], "depth": {}}) == "ViT-[1]x{}/?"


def test_names_are_those_of_the_papers_and_others_stay_as_they_are():
    assert Model("mocov3+selfpatch", "").name == "MoCo-v3 + SelfPatch"
    assert Model("dino", "").name == "DINO"
    assert Model("mine", "").name == "mine"
    assert Model("random", "").name == "random weights"


def test_partners_are_a_method_with_and_without_selfpatch():
    assert Model("moby", "Swin-T", "x").partner == Model("moby+selfpatch", "Swin-T")
    assert Model("moby+selfpatch", "Swin-T").partner == Model("moby", "Swin-T")
    assert Model("swav", "ResNet-50").partner is None


def test_models_of_one_method_are_told_apart_by_what_differs():
    results = [of(epochs=200), of(epochs=300), of("moby"), of("dino+selfpatch", k=2)]
    named = variants({model_of(one): one for one in results})
    assert [named[model_of(one)] for one in results] == ["max_epochs=200", "max_epochs=300", "", ""]


def test_an_imported_one_beside_a_trained_one_is_named_by_its_weights():
    imported, trained = result(of=backbone()), of()
    named = variants({model_of(one): one for one in (imported, trained)})
    assert named[model_of(imported)] == f"weights {imported.backbone['fingerprint'][:8]}"
    assert named[model_of(trained)] == ""


def test_the_nearest_recipe_is_the_one_with_the_fewest_differences():
    own = of("dino+selfpatch", epochs=200)
    same, longer = of(epochs=200), of(epochs=300)
    assert nearest(own, [longer, same]) is same
    assert nearest(own, [longer]) is longer
    assert nearest(own, [longer, of(epochs=400)]) is None
    assert nearest(result(of=backbone("dino+selfpatch")), [longer, same]) is None


def test_differences_say_no_more_of_a_name_than_is_needed():
    own = {"a.lr": 1, "b.k": 2, "views.0": 3, "same": 0, "x.scale": 1, "y.scale": "z" * 40}
    other = {"a.lr": 2, "b.k": 1, "same": 0}
    assert differences(own, [other], most=9) == [
        "lr=1", "k=2", "views.0=3", "x.scale=1", f"y.scale={'z' * 21}...",
    ]  # fmt: skip
    assert differences(other, [own], most=2) == ["lr=2", "k=1", "3 more"]
    assert differences(own, [own]) == []
    assert differences({}, [{"a.b": None}]) == ["no b"]
