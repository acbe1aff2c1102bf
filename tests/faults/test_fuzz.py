"""Files of any content end in a result or in one sentence, soon, with bounded memory.

Each test is one kind of file. It draws changes of a whole one, and reads it as the commands do: any
exception but :class:`InputError`, ten seconds, or memory beyond the limit, is a fault. ``make
torture`` draws thousands, of other kinds each time; a failure prints how to draw it again.
"""

import functools
import io
import json
import pickle
import random
import resource
import shutil
import signal
import tarfile
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from davis_eval.check import check_davis
from davis_eval.frames import read_frame
from davis_eval.keypoints import read_video, video_names
from davis_eval.masks import read_mask, write_mask
from davis_eval.run import check_sizes
from davis_eval.scores import score
from davis_eval.sequences import LAYOUTS, find_sequence, read_names
from davis_eval.settings import Settings as RunSettings
from davis_eval.stamps import find_finished, stamp
from selfpatch.backbones.file import BackboneInfo, read_file, save_backbone
from selfpatch.backbones.loading import load_features
from selfpatch.bench.jobs import jobs_of
from selfpatch.bench.reading import read_plan
from selfpatch.check.ade20k import check_ade20k
from selfpatch.check.coco import check_coco
from selfpatch.data.images import read_image
from selfpatch.data.shards import open_images
from selfpatch.demo.data import Sizes, generate
from selfpatch.engine.launch import pretrain, read_config
from selfpatch.errors import REMEDIES, InputError, config_errors_as_sentences
from selfpatch.models.trunks import build_trunk
from selfpatch.results.facts import to_csv, to_json
from selfpatch.results.file import read_results
from selfpatch.results.formats import to_latex, to_markdown, to_text
from selfpatch.results.layouts import build_tables
from selfpatch.results.scalars import read_scalars
from selfpatch.results.settings import flat
from selfpatch.shipped import find_plan
from tests.engine.tiny_pretraining import CONFIGS, TINY, TINY_PATCHES
from tests.faults import CASES
from tests.faults.mutated import ODD, bytes_of, values_of
from tests.published import unpacked
from tests.results.made import result

SECONDS = 10
MEMORY = 6 * 2**30
"""Address space that one case may take beside what the process has."""


@contextmanager
def bounds() -> Iterator[None]:
    """Ten seconds of work, on each core that it uses, and a limit of the address space.

    The time is the process's own: on a busy machine a case may take longer. What waits for ever is
    ended by pytest's limit.
    """

    def too_long(*_: object) -> None:
        raise AssertionError(f"took over {SECONDS} s")

    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    alarm = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, SECONDS * torch.get_num_threads())
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, before[1]))
    try:
        yield
    except InputError:
        pass
    except OSError as error:  # the machine's, as a name that is too long; said as a sentence, too
        if error.errno not in REMEDIES:
            raise
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, alarm)


def fuzz(scale: float = 1.0) -> Callable:
    """A test that is called with a source of random numbers, many times."""

    def decorated(test: Callable) -> Callable:
        own = settings(
            max_examples=max(int(CASES * scale), 5),
            deadline=None,
            database=None,
            derandomize=CASES < 100,
            suppress_health_check=list(HealthCheck),
            phases=[
                phase for phase in Phase if phase is not Phase.explain
            ],  # which slows what runs
        )
        return own(given(chance=st.randoms(use_true_random=False))(test))

    return decorated


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator[Path]:
    """Where the files are written; nothing comes to lie outside of it."""
    outer = tmp_path_factory.mktemp("fuzz")
    (outer / "inner").mkdir()
    yield outer / "inner"
    assert [path.name for path in outer.iterdir()] == ["inner"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Small whole data sets of every kind."""
    sizes = Sizes(pretraining=2, coco_train=2, coco_val=2, ade_train=2, ade_val=2, frames=3)
    return generate(tmp_path_factory.mktemp("data") / "tiny", sizes)


TRUNK = build_trunk("vit_tiny", embed_dim=24, num_heads=2, depth=2, patch_size=8, image_size=32)


def backbone_file(folder: Path, architecture: dict[str, Any] = TRUNK.architecture) -> Path:
    info = BackboneInfo(architecture, "dino", "test", recipe="a = 1")
    save_backbone(folder / "b.safetensors", TRUNK.state_dict(), info)
    return folder / "b.safetensors"


def odd_tensor(value: torch.Tensor, chance: random.Random) -> Any:
    """A weight of another shape, type or layout, or what is no tensor."""
    changes: list[Callable[[], Any]] = [
        lambda: value[:0],
        lambda: value.flatten(),
        lambda: value[None],
        lambda: value.sum(),
        lambda: value.to(torch.int8),
        lambda: value.half(),
        lambda: value.to(torch.complex64),
        lambda: value > 0,
        lambda: value * np.nan,
        lambda: value.new_zeros(1).expand(value.shape),
        lambda: value.new_zeros(()).expand(10**6, 10**5),
        lambda: value.to_sparse(),
        lambda: value.to("meta"),
        lambda: chance.choice(ODD),
    ]
    return chance.choice(changes)()


def checkpoint(chance: random.Random) -> Any:
    """A checkpoint of some layout in which a few keys and values are odd."""
    state: dict[Any, Any] = dict(TRUNK.state_dict())
    for _ in range(chance.choice((0, 1, 1, 3))):
        key = chance.choice(list(state))
        match chance.randrange(4):
            case 0:
                del state[key]
            case 1:
                state[str(key).replace("1", chance.choice(("10", "9" * 9, "-1", "")))] = state[key]
            case 2:
                state[chance.choice((0, "", "blocks", None, "pos_embed.x"))] = state[key]
            case 3 if torch.is_tensor(state[key]):
                state[key] = odd_tensor(state[key], chance)
    own = {"architecture": TRUNK.architecture, "method": "dino", "recipe": ""}
    match chance.randrange(6):
        case 0:
            return state
        case 1:
            return {"teacher": {f"backbone.{k}": v for k, v in state.items()}, "student": state}
        case 2:
            return {"state_dict": {f"module.base_encoder.{k}": v for k, v in state.items()}}
        case 3:
            return {"model": {f"teacher.backbone.{k}": v for k, v in state.items()}}
        case 4:
            return {
                chance.choice(("model", "teacher", "state_dict", "selfpatch")): chance.choice(ODD)
            }
    weights = {f"teacher.trunk.{k}": v for k, v in state.items()}
    return {"selfpatch": values_of(own, chance), "state_dict": weights}


@fuzz()
def test_checkpoints(folder, chance):
    kind = chance.randrange(4)
    if kind == 0:
        changed = values_of(TRUNK.architecture, chance)
        path = backbone_file(folder, changed if isinstance(changed, dict) else {})
    else:
        path = folder / "c.pth"
        torch.save(checkpoint(chance), path)
    if kind == 3:
        path = chance.choice((path, backbone_file(folder)))
        path.write_bytes(bytes_of(path.read_bytes(), chance))
    with bounds():
        load_features(path)
    with bounds():
        method = chance.choice((None, "dino", "mocov3", "x"))
        name = chance.choice(("num_heads", "image_size", "mean", "norm_eps", "activation", "x"))
        told = chance.choice((None, {"num_heads": 2}, {name: chance.choice(ODD)}))
        read_file(path, chance.choice(("teacher", "student")), told, method)


WRITTEN = ("transformers-vit", "timm-eva02", "open_clip-siglip", "arrays", "script")
"""Folders of three kinds, and what is made here: a pickle of arrays, an archive of TorchScript."""


@functools.cache
def written(name: str) -> dict[str, bytes]:
    """Name of a file -> its bytes."""
    with tempfile.TemporaryDirectory() as made:
        if name == "arrays":
            state = {f"backbone.{key}": value.numpy() for key, value in TRUNK.state_dict().items()}
            return {"c.pkl": pickle.dumps({"model": state, "__author__": "MOCO"})}
        if name == "script":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what comes after TorchScript
                torch.jit.script(torch.nn.Linear(2, 3)).save(f"{made}/c.pt")
        else:
            unpacked(name, Path(made))
        return {path.name: path.read_bytes() for path in Path(made).iterdir()}


@fuzz()
def test_published_files(folder, chance):
    name = chance.choice(WRITTEN)
    files, own = written(name), folder / name
    own.mkdir(exist_ok=True)
    damaged = chance.choice(sorted(files))
    for file, content in files.items():
        if file == damaged:
            odd = file.endswith(".json") and chance.random() < 0.7
            changed = json.dumps(values_of(json.loads(content), chance)).encode() if odd else None
            content = changed or bytes_of(content, chance)
        (own / file).write_bytes(content)
    with bounds():
        read_file(own if len(files) > 1 else own / damaged, method=chance.choice((None, "dino")))


@fuzz()
def test_results(folder, chance):
    for number in range(2):
        content = values_of(asdict(result(chance.choice(("davis2017", "own")), 12.5)), chance)
        text = json.dumps(content)
        path = folder / f"results/{number}/results.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes_of(text.encode(), chance) if number else text.encode())
    with bounds():
        tables = build_tables(read_results([folder / "results"]))
        for write in (to_text, to_markdown, to_latex, to_csv, to_json):
            write(tables).encode()


@fuzz(0.5)
def test_logs_of_runs(folder, chance):
    line = json.dumps({"step": 1, "loss": 0.5, "lr": 1e-3})
    path = folder / "run/20260101/vis_data/scalars.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes_of(f"{line}\n{line}\n".encode(), chance))
    with bounds():
        read_scalars(folder / "run")


def picture(chance: random.Random) -> Image.Image:
    """A small image of any mode and of simple or noisy content."""
    side = chance.choice((1, 2, 7, 32))
    values = np.frombuffer(chance.randbytes(side * side), dtype=np.uint8).reshape(side, side)
    image = Image.fromarray(values % chance.choice((2, 3, 255)) * chance.choice((1, 255)))
    mode = chance.choice(("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "I;16", "YCbCr"))
    return image.convert("I").convert(mode) if mode == "I;16" else image.convert(mode)


def saved(image: Image.Image, chance: random.Random) -> bytes:
    """The image as a file of any format that has its mode, often damaged."""
    file = io.BytesIO()
    try:
        image.save(file, chance.choice(("PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM")))
    except (OSError, ValueError):
        image.convert("RGB").save(file, "PNG")
    content = file.getvalue()
    return bytes_of(content, chance) if chance.random() < 0.8 else content


@fuzz()
def test_images_frames_and_masks(folder, chance):
    path = folder / "masks" / "00000.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(saved(picture(chance), chance))
    for read in (read_image, read_frame, read_mask):
        with bounds():
            read(path)


@fuzz()
def test_videos(folder, data, chance):
    """Their lists, frames and masks; and masks that were written before."""
    root = folder / "davis"
    shutil.copytree(data / "davis", root, dirs_exist_ok=True)
    names = read_names(data / "davis")
    listed = "\n".join(names).encode()
    (root / "ImageSets/2017/val.txt").write_bytes(
        chance.choice(
            (listed, bytes_of(listed, chance), str(chance.choice(ODD)).encode("utf-8", "replace"))
        )
    )
    path = chance.choice(sorted(p for p in root.rglob(f"*/{names[0]}/*") if p.is_file()))
    content = path.read_bytes()
    changed = path.with_name(chance.choice((path.name, "1.PNG", "00002.jpeg", "x.png", "._a.jpg")))
    if chance.random() < 0.5:
        changed.write_bytes(bytes_of(content, chance))
    else:
        changed.write_bytes(saved(picture(chance), chance))
    try:
        with bounds():
            for finding in check_davis(root):
                assert finding.text.isprintable()
        with bounds():
            found = find_sequence(root, names[0])
            check_sizes(found)
            out = root / "Annotations/480p"
            stamped = stamp(found, BackboneInfo({}, "dino", ""), RunSettings())
            find_finished(out, found, stamped)
            score(root, out, [names[0]])
        with bounds():
            find_sequence(root / "none", "..", LAYOUTS["youtube-vos"])
        with bounds():
            score(root, root / "Annotations/480p", read_names(root))
    finally:
        shutil.rmtree(root)


@fuzz()
def test_coco(folder, data, chance):
    root = folder / "coco"
    shutil.copytree(data / "coco", root, dirs_exist_ok=True)
    for split in chance.choice((("train2017",), ("train2017", "val2017"))):
        path = root / f"annotations/instances_{split}.json"
        content = json.loads((data / "coco/annotations" / path.name).read_text())
        text = json.dumps(values_of(content, chance)).encode()
        path.write_bytes(bytes_of(text, chance) if chance.random() < 0.3 else text)
    with bounds():
        for finding in check_coco(root):
            assert "\n" not in finding.text


@fuzz()
def test_ade20k(folder, data, chance):
    root = folder / "ade20k"
    shutil.copytree(data / "ade20k", root, dirs_exist_ok=True)
    path = chance.choice(sorted(root.rglob("*.png")))
    path.write_bytes(saved(picture(chance), chance))
    with bounds():
        for finding in check_ade20k(root):
            assert "\n" not in finding.text


@fuzz()
def test_joints(folder, chance):
    """JHMDB's lists and files of joints."""
    root, video = folder / "jhmdb", "run/walk"
    shutil.rmtree(root, ignore_errors=True)
    for number in range(3):
        write_mask(root / f"Rename_Images/{video}/{number:05d}.png", np.zeros((8, 8), np.uint8))
    listed = bytes_of(b"walk.avi 2\nrun.avi 1\n", chance)
    (root / "splits").mkdir()
    (root / "splits/run_test_split1.txt").write_bytes(listed)
    odd: tuple[Any, ...] = (
        np.zeros((2, 15, 3)), np.zeros((2, 15)), np.zeros(3), np.zeros((2, 0, 3)), "text",
        {"a": 1}, np.full((2, 15, 3), np.nan), np.zeros((2, 15, 3), complex),
    )  # fmt: skip
    file = io.BytesIO()
    scipy.io.savemat(file, {"pos_img": chance.choice(odd)})
    content = file.getvalue()
    path = root / f"joint_positions/{video}/joint_positions.mat"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes_of(content, chance) if chance.random() < 0.7 else content)
    with bounds():
        names = list(video_names(root))
        assert not any(".." in name.split("/") for name in names)
    with bounds():
        read_video(root, video)


@fuzz()
def test_shards(folder, chance):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as shard:
        for number in range(3):
            content = saved(picture(chance), random.Random(1))
            name = chance.choice((f"{number}.png", "../../outside.png", "/outside.png", "a\0b.png"))
            member = tarfile.TarInfo(name)
            member.size = len(content)
            shard.addfile(member, io.BytesIO(content))
    path = folder / "shard.tar"
    path.write_bytes(bytes_of(file.getvalue(), chance))
    with bounds():
        images = open_images(str(path))
        for index in range(len(images)):
            images.read(index)
    with bounds():
        open_images(str(folder / str(chance.choice(ODD)).replace("\0", "")) + ".tar")


@fuzz()
def test_configs(folder, chance):
    """As text: no setting's value is known to be sensible."""
    text = (CONFIGS / "demo_selfpatch.py").read_text().replace("./", f"{CONFIGS}/")
    path = folder / "config.py"
    path.write_bytes(bytes_of(text.encode(), chance))
    with bounds(), config_errors_as_sentences(str(path)):
        read_config(str(path))


@fuzz()
def test_plans(folder, data, chance):
    """As text, and read to the jobs."""
    text = find_plan(chance.choice(["demo", "davis", "ablations", "compatibility"])).read_bytes()
    for name in (b"IMAGENET", b"COCO", b"DAVIS"):
        text = text.replace(b"${%s_ROOT}" % name, str(data).encode())
    path = folder / "plan.yaml"
    path.write_bytes(bytes_of(text.replace(b"/train", b""), chance))
    with bounds():
        jobs_of(read_plan(path), folder / "work")


@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")
@fuzz(0.1)
def test_settings(folder, images, chance):
    """A short training with odd values of two settings; a great one is a long training."""
    options = {
        **TINY,
        **TINY_PATCHES,
        "train_cfg.max_epochs": 1,
        "default_hooks.logger.interval": 9,
    }
    known = flat(read_config(str(CONFIGS / "demo_selfpatch.py"), options).to_dict())
    small = [v for v in ODD if not isinstance(v, int | float) or not abs(v) > 2]
    changed = {name: chance.choice(small) for name in chance.sample(sorted(known), 2)}
    work_dir = folder / "run"
    with bounds(), config_errors_as_sentences("the config"):
        options |= {**changed, "experiment_name": str(chance.random())}
        config = str(CONFIGS / "demo_selfpatch.py")
        pretrain(read_config(config, options, str(images), str(work_dir)))
    shutil.rmtree(work_dir, ignore_errors=True)
