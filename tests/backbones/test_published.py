"""What weights do not tell is asked for; what is no trunk says what it is."""

import json
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from selfpatch.backbones.file import BackboneInfo, read_file, save_backbone
from selfpatch.backbones.loading import trunk_of
from selfpatch.backbones.published import method_of_positions
from selfpatch.errors import InputError
from selfpatch.models.trunks import build_trunk
from selfpatch.models.vit import VisionTransformer, sine_cosine_positions
from tests.published import unpacked

DINO = {"norm_eps": 1e-6, "activation": "gelu", "resizing": "dino"}


def vit(**options: Any) -> VisionTransformer:
    """A ViT-Ti/16 of two blocks, with [CLS] and norm."""
    sizes = {"depth": 2, "image_size": 64, "class_token": True, "final_norm": True}
    return build_trunk("vit_tiny", **{**sizes, **options}).eval()


def saved(content: Any, path: Path) -> Path:
    """The path, once a file is there."""
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(content, path)
    else:
        torch.save(content, path)
    return path


def folder(tmp_path: Path, state: dict[str, Tensor], **files: Any) -> Path:
    """A folder of weights, with JSON beside."""
    saved(state, tmp_path / "model.safetensors")
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def test_fixed_positions_tell_whose_they_are():
    by_row = sine_cosine_positions(3, 3, 8)
    by_column = by_row.unflatten(0, (3, 3)).transpose(0, 1).flatten(0, 1)
    cases = {"mocov3": by_row, "mae": by_column, "unknown": by_row.flip(0)}
    for method, positions in cases.items():
        whole = torch.cat([torch.zeros(1, 8), positions])[None]
        assert method_of_positions(whole) == method
        assert method_of_positions(whole[:, :-1]) == "unknown"  # of no square


def test_what_nothing_tells_is_asked_for_all_at_once(tmp_path):
    path = saved(vit().state_dict(), tmp_path / "c.pth")
    with pytest.raises(InputError, match="num_heads, norm_eps, activation, resizing, mean, std;"):
        read_file(path)
    told = {"num_heads": 6, **DINO, "mean": [0.5] * 3, "std": [0.25] * 3}
    _, info, report = read_file(path, told=told)
    assert {name: info.architecture[name] for name in told} == told
    assert {name for name, source in report.values.items() if source == "told"} == set(told)
    assert report.values["image_size"] == "a square, as its positions may be"
    with pytest.raises(InputError, match="nothing in it tells its std;"):
        read_file(path, told={name: value for name, value in told.items() if name != "std"})


def test_a_users_word_counts_for_more_than_the_files_and_this_for_more_than_the_authors(tmp_path):
    config = {"model_type": "vit", "layer_norm_eps": 1e-12, "num_attention_heads": 3}
    path = folder(tmp_path, vit().state_dict(), config=config)
    _, info, report = read_file(path, told={"num_heads": 6}, method="deit")
    assert (info.architecture["num_heads"], report.values["num_heads"]) == (6, "told")
    assert info.architecture["norm_eps"] == 1e-12
    assert report.values["norm_eps"] == "stated by config.json"
    assert report.values["mean"] == "published by facebookresearch/deit"


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"num_heads": 6}, "its weights show that num_heads is 3, not 6"),
        ({"activation": "gelu"}, "its weights show that activation is swiglu, not gelu"),
    ],
)
def test_what_is_told_against_the_weights_is_refused(told, sentence, tmp_path):
    """Rotary periods show the heads, and a gated MLP the activation."""
    model = vit(rotary=True, num_registers=4, activation="swiglu", mlp_ratio=2.0)
    state = {f"{name}": value for name, value in model.state_dict().items()}
    state["rope_embed.periods"] = state.pop("rotary_periods")
    path = saved(state, tmp_path / "c.pth")
    assert read_file(path)[2].values["num_heads"] == "shown by the weights"
    with pytest.raises(InputError, match=sentence):
        read_file(path, told=told)


def test_a_name_that_nobody_knows_changes_the_name_alone(tmp_path):
    _, path = unpacked("ibot-full", tmp_path)
    _, info, report = read_file(path, method="mine")
    assert info.method == "mine"
    assert report.values["resizing"] == "published by bytedance/ibot"
    assert read_file(path)[1].architecture == info.architecture


def test_what_is_told_of_no_trunk_is_refused(tmp_path):
    path = saved(vit().state_dict(), tmp_path / "c.pth")
    with pytest.raises(InputError, match="wings is nothing that this trunk has to be told"):
        read_file(path, told={"wings": 2}, method="dino")


@torch.no_grad()
def test_a_grid_that_is_not_square_is_told(tmp_path):
    model = vit(image_size=(64, 96))
    path = saved(model.state_dict(), tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"in it tells which; import it with --set image_size="):
        read_file(path, method="dino")
    state, info, _ = read_file(path, told={"image_size": [64, 96]}, method="dino")
    images = torch.randn(1, 3, 48, 80)
    assert trunk_of(info, state)(images).equal(model(images))
    with pytest.raises(InputError, match="25 positions are not those of 6 x 6 patches"):
        read_file(path, told={"image_size": 96}, method="dino")


@pytest.mark.parametrize("network", ["teacher", "student"])
def test_either_network_of_vissl_is_found(network, tmp_path):
    _, path = unpacked("vissl-dino", tmp_path)
    state, info, report = read_file(path, network)
    prefix = {"teacher": "loss.momentum_teacher.module.trunk.",
              "student": "classy_state_dict.base_model.model.trunk."}[network]  # fmt: skip
    assert set(report.used) == {f"{prefix}{name}" for name in state}
    assert info.network == network


def test_a_network_that_is_not_there_is_a_sentence(tmp_path):
    own = {f"student.backbone.{name}": value for name, value in vit().state_dict().items()}
    path = saved({"model": own, "mask_token": torch.ones(1)}, tmp_path / "c.pth")
    with pytest.raises(InputError, match="holds no teacher network; ask for the other one"):
        read_file(path)


def test_of_several_trunks_none_is_guessed(tmp_path):
    two = {f"{name}.{key}": value for name in "ab" for key, value in vit().state_dict().items()}
    path = saved(two, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"several trunks \(a, b\); save the one you mean alone"):
        read_file(path, method="dino")


def test_a_key_that_no_trunk_has_is_named_as_the_file_has_it(tmp_path):
    path = saved({**vit().state_dict(), "tail": torch.ones(3)}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"does not fit the trunk .*: left over tail"):
        read_file(path, method="dino")


class Hostile:
    """Would run code if it were unpickled."""

    def __reduce__(self):
        return (print, ("run",))


def dinov3_without_periods() -> dict[str, Tensor]:
    state = vit(rotary=True, num_registers=4, layer_scale=True).state_dict()
    return {name: value for name, value in state.items() if name != "rotary_periods"}


BERT = {"embeddings.word_embeddings.weight": torch.ones(9, 4), "pooler.dense.weight": torch.ones(4)}
LORA = {"base_model.model.blocks.0.attn.qkv.lora_A.weight": torch.ones(4, 9)}
QUANTISED = {"layers.0.mlp.up_proj.qweight": torch.ones(4, dtype=torch.int32)}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (dinov3_without_periods, "it holds neither positions nor rotary periods, and no config"),
        (lambda: BERT, "it is a text encoder without an image tower"),
        (lambda: LORA, r"it is an adapter \(LoRA\)"),
        (lambda: QUANTISED, "its weights are quantised"),
        (lambda: {"model": {"conv.weight": torch.ones(1), "other": 3}}, "it holds: model$"),
    ],
    ids=["rotary", "text", "LoRA", "quantised", "something else"],
)
@pytest.mark.parametrize("name", ["model.safetensors", "c.pth"])
def test_what_is_no_trunk_says_what_it_is(content, sentence, name, tmp_path):
    if name == "model.safetensors" and "model" in content():
        pytest.skip("safetensors hold no dict in a dict")
    path = saved(content(), tmp_path / name)
    with pytest.raises(InputError, match=sentence) as caught:
        read_file(path, method="dino")
    assert str(caught.value).startswith(f"{path} cannot be used: ")


@pytest.mark.parametrize("value", [torch.zeros(4, dtype=torch.int8), torch.zeros(4).bool()])
def test_weights_that_are_whole_numbers_are_quantised(value, tmp_path):
    state = {**vit().state_dict(), "blocks.0.mlp.fc1.bias": value.repeat(192)}
    with pytest.raises(InputError, match=r"blocks\.0\.mlp\.fc1\.bias as torch\..*quantised"):
        read_file(saved(state, tmp_path / "c.pth"), method="dino")


def test_folders_that_are_no_whole_model_are_sentences(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match=r"holds an adapter \(LoRA\)"):
        read_file(tmp_path)
    (tmp_path / "adapter_config.json").unlink()
    with pytest.raises(InputError, match=r"holds no weights; expected one of model\.safetensors"):
        read_file(tmp_path)
    index = {"weight_map": {"a": "model-1.safetensors", "b": "../model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    saved({"a": torch.ones(1)}, tmp_path / "model-1.safetensors")
    with pytest.raises(InputError, match=r"model-2\.safetensors is missing, which model\.saf"):
        read_file(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "vit", "quantization_config": {}}')
    with pytest.raises(InputError, match="holds quantised weights; fetch the model in full"):
        read_file(tmp_path)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"model_type": "bert"}, "config.json says that it is a bert, and none of vit, deit"),
        ({"model_type": "vit", "hidden_act": "relu6"}, "states the activation 'relu6'"),
        ({"architecture": "vit_gigantic"}, "has no network called 'vit_gigantic'"),
        ({"architecture": "eva02_tiny_patch14_224", "model_args": {"wings": 2}}, "cannot build"),
        ({"architecture": "eva02_tiny_patch14_224"}, "nothing in it tells its mean, std"),
        ({"architecture": "cait_xxs24_224"}, "does not take images of any size"),
        ([1], "holds a list instead of a JSON object"),
    ],
)
def test_configs_of_unknown_models_are_sentences(config, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        read_file(folder(tmp_path, vit().state_dict(), config=config))


def test_a_file_of_hugging_faces_name_is_read_with_what_lies_beside_it(tmp_path):
    config = {"model_type": "deit", "layer_norm_eps": 1e-12, "num_attention_heads": 3}
    path = folder(tmp_path, vit().state_dict(), config=config)
    _, info, _ = read_file(path / "model.safetensors")
    assert (info.method, info.architecture["norm_eps"]) == ("deit", 1e-12)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"model": Hostile()}, r"not a safe checkpoint: it wants to run builtins\.print"),
        ({"model": np.array([Hostile()], dtype=object)}, r"it wants to run builtins\.print"),
        ([1, 2], "holds a list instead of a checkpoint's dict"),
    ],
)
def test_a_pickle_of_arrays_runs_nothing(content, sentence, tmp_path, capsys):
    path = tmp_path / "c.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=sentence):
        read_file(path)
    assert "run" not in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match="pickle"):
        read_file(path)


def test_an_array_takes_no_memory_before_it_has_its_values(tmp_path):
    """A pickle of a few bytes may claim any shape."""

    class Claim:
        def __reduce__(self):
            return np.array(0).__reduce__()[0], (np.ndarray, (10**13,), b"b")

    (tmp_path / "c.pkl").write_bytes(pickle.dumps({"conv1.weight": Claim()}))
    with pytest.raises(InputError, match="holds no ViT"):
        read_file(tmp_path / "c.pkl")


def test_containers_without_an_end_are_refused(tmp_path):
    content: dict[str, Any] = {"a": torch.ones(1)}
    for _ in range(20):
        content = OrderedDict(a=content)
    with pytest.raises(InputError, match="containers within containers without an end"):
        read_file(saved(content, tmp_path / "c.pth"))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("model = dict(data_preprocessor=dict(mean=[1, 2, 3], std=[1, 1, 1]))", "blue, green, red"),
        ("model = dict(backbone=dict(type='ResNet', style='caffe'))", "Caffe's style"),
    ],
)
def test_what_a_config_in_a_checkpoint_rules_out_is_a_sentence(config, sentence, tmp_path):
    state = {f"backbone.{name}": value for name, value in vit().state_dict().items()}
    path = saved({"meta": {"cfg": config}, "state_dict": state}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=sentence):
        read_file(path, method="dino")


def test_a_config_in_a_checkpoint_is_not_run(tmp_path, capsys):
    state = {f"backbone.{name}": value for name, value in vit().state_dict().items()}
    images = "mean=[51, 51, 51], std=[51, 51, 102], bgr_to_rgb=print('run') or True"
    config = f"print('run')\nx = [print('run')]\nmodel = dict(data_preprocessor=dict({images}))"
    path = saved({"meta": {"cfg": config}, "state_dict": state}, tmp_path / "c.pth")
    with pytest.raises(InputError, match="blue, green, red"):  # which order it is, is no literal
        read_file(path, method="dino")
    config = config.replace("print('run') or ", "")
    path = saved({"meta": {"cfg": config}, "state_dict": state}, tmp_path / "c.pth")
    _, info, _ = read_file(path, method="dino")
    assert (info.architecture["mean"], info.architecture["std"]) == ([0.2] * 3, [0.2, 0.2, 0.4])
    assert "run" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_file_that_is_called_as_in_a_folder_is_read_itself(name, tmp_path):
    """Whatever lies beside it; a backbone file says itself what it is."""
    other = vit(embed_dim=48, num_heads=3)
    for beside in ("model.safetensors", "pytorch_model.bin"):
        saved(other.state_dict(), tmp_path / beside)
    saved(vit().state_dict(), tmp_path / name)
    assert read_file(tmp_path / name, method="dino")[1].architecture["embed_dim"] == 192
    own = BackboneInfo(other.architecture, "dino+selfpatch", "test")
    save_backbone(tmp_path / "model.safetensors", other.state_dict(), own)
    assert read_file(tmp_path / "model.safetensors")[1].method == "dino+selfpatch"


def test_what_is_told_of_a_file_that_says_itself_is_refused(tmp_path):
    path = tmp_path / "b.safetensors"
    save_backbone(path, vit().state_dict(), BackboneInfo(vit().architecture, "dino", "test"))
    for told, method in (({"norm_eps": 1e-3}, None), (None, "mae")):
        with pytest.raises(InputError, match="says itself what it is; leave out --method and --s"):
            read_file(path, told=told, method=method)


@pytest.mark.parametrize(
    ("method", "embed_dim", "heads"),
    [("dinov2", 1536, 24), ("augreg", 1280, 16), ("deit", 1280, 16), ("siglip", 1536, 16),
     ("mocov3", 384, 12), ("ijepa", 1408, 16), ("openclip", 1664, 16)],
)  # fmt: skip
def test_heads_are_those_of_the_published_width(method, embed_dim, heads, tmp_path):
    model = vit(embed_dim=embed_dim, num_heads=heads, depth=1, patch_size=32, image_size=32)
    path = saved(model.state_dict(), tmp_path / "c.pth")
    assert read_file(path, method=method)[1].architecture["num_heads"] == heads


def test_heads_of_a_width_that_was_not_published_are_asked_for(tmp_path):
    path = saved(vit(embed_dim=256, num_heads=4).state_dict(), tmp_path / "c.pth")
    with pytest.raises(InputError, match="nothing in it tells its num_heads; import it"):
        read_file(path, method="dino")


def test_what_a_config_leaves_to_the_class_is_the_methods(tmp_path):
    model = vit(embed_dim=768, num_heads=12, class_token=False, depth=1)
    config = {"model_type": "siglip", "vision_config": {"model_type": "siglip_vision_model"}}
    path = folder(tmp_path, model.state_dict(), config=config)
    _, info, report = read_file(path, told={"image_size": 64})
    assert info.architecture["activation"] == "gelu_tanh"
    assert report.values["activation"] == "published by google-research/big_vision"


def test_a_swin_of_unknown_code_is_asked_for_its_epsilon(tmp_path):
    model = build_trunk("swin_tiny", embed_dim=24, depths=(1, 1), num_heads=(2, 4), window_size=4)
    path = saved(model.state_dict(), tmp_path / "c.pth")
    with pytest.raises(InputError, match="nothing in it tells its norm_eps; import it"):
        read_file(path)
    _, info, report = read_file(path, method="ibot")
    assert info.architecture["norm_eps"] == 1e-6
    assert report.values["norm_eps"] == "published by bytedance/ibot"


def test_a_mask_token_alone_does_not_make_a_dinov2(tmp_path):
    state = {**vit().state_dict(), "mask_token": torch.ones(1, 192)}
    with pytest.raises(InputError, match="nothing in it tells its num_heads"):
        read_file(saved(state, tmp_path / "c.pth"))


def test_a_gate_of_another_activation_is_not_taken_for_swiglu(tmp_path):
    config = {"model_type": "dinov2", "hidden_act": "gelu", "num_attention_heads": 3}
    path = folder(tmp_path, vit(activation="swiglu").state_dict(), config=config)
    with pytest.raises(InputError, match="weights show that activation is swiglu, not gelu"):
        read_file(path, method="dinov2")


def test_two_keys_of_one_name_are_refused(tmp_path):
    state = {**vit().state_dict(), "ln_post.weight": torch.ones(192)}
    with pytest.raises(InputError, match=r"several of its keys are norm\.weight here; none is"):
        read_file(saved(state, tmp_path / "c.pth"), method="dino")


@pytest.mark.parametrize(
    "told", [{"norm_eps": "abc"}, {"norm_eps": -1}, {"mean": [123, 116, 103]}, {"std": [0.5, 0.5]}]
)
def test_values_that_nothing_can_be_computed_with_are_refused(told, tmp_path):
    path = saved(vit().state_dict(), tmp_path / "c.pth")
    with pytest.raises(InputError, match="describes no trunk that can be built"):
        read_file(path, told=told, method="dino")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"meta": {"config": "model = dict(backbone=dict(type='ResNet', style='caffe'))"}},
         "Caffe's style"),
        ({"meta": {"cfg": "model = dict(detector=dict(backbone=dict(style='caffe')))"}},
         "Caffe's style"),
        ({"meta": {"cfg": "model = dict(backbone=dict(type='ResNetV1c', deep_stem=True))"}},
         "has deep_stem=True, unlike torchvision's"),
        ({"meta": {"cfg": "model = ("}}, "nothing in it tells its mean, std; import it"),
        ({"classifier.4.weight": torch.ones(1)}, "a segmenter of torchvision"),
    ],
    ids=["before mmengine", "nested", "stem", "unreadable", "torchvision"],
)  # fmt: skip
def test_resnets_that_compute_something_else_are_refused(content, sentence, tmp_path):
    state = build_trunk("resnet50").state_dict()
    own = {f"backbone.{name}": value for name, value in state.items()}
    path = saved({**own, **content}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=sentence):
        read_file(path)


def test_detectron2s_own_resnets_are_not_taken_for_torchvisions(tmp_path):
    _, path = unpacked("densecl-detectron2", tmp_path)
    with pytest.raises(InputError, match="it has detectron2's names, and nothing tells whether"):
        read_file(path)
