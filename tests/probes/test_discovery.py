"""Boxes of discovered objects against loops over patches, a dense solver, and drawn objects."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.linalg import eigh
from scipy.sparse.linalg import ArpackNoConvergence

from selfpatch.backbones.loading import load_backbone
from selfpatch.cli import main
from selfpatch.data.boxes import BoxedImages
from selfpatch.errors import InputError
from selfpatch.models.keys import last_keys
from selfpatch.models.trunks import build_trunk
from selfpatch.probes import corloc, discovery
from selfpatch.probes.corloc import Keys, iou, is_right
from selfpatch.probes.discovery import box_around, lost, second_eigenvector, tokencut
from tests.programs import processes_of

GRID = (9, 12)


def keys_of(kind: str, seed: int = 0) -> torch.Tensor:
    """Keys of a grid: an object of 4 x 3 patches in the third row and sixth column, or noise."""
    generator = torch.Generator().manual_seed(seed)
    keys = torch.randn(*GRID, 16, generator=generator)
    if kind == "object":
        own, other = torch.randn(2, 16, generator=generator)
        other -= own * (0.5 + (own @ other) / own.square().sum())  # they point apart
        keys = 0.1 * keys + other
        keys[2:6, 5:8] += own - other
    return keys.flatten(0, 1)


def neighbours_of(place):
    row, column = place
    beside = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    return [(r, c) for r, c in beside if 0 <= r < GRID[0] and 0 <= c < GRID[1]]


def box_by_flood(inside, seed):
    """The box of the patches that are reached from the seed, step by step."""
    reached, left = {seed}, [seed]
    while left:
        new = [at for at in neighbours_of(left.pop()) if at in inside and at not in reached]
        reached |= set(new)
        left += new
    rows, columns = zip(*reached, strict=True)
    return min(columns), min(rows), max(columns) + 1, max(rows) + 1


def place(number):
    return divmod(number, GRID[1])


@pytest.mark.parametrize("kind", ["object", "noise"])
@pytest.mark.parametrize("seed", range(4))
def test_lost_is_the_papers_in_loops(kind, seed):
    keys = keys_of(kind, seed)
    count = len(keys)
    alike = [[float(one @ other) for other in keys] for one in keys]
    degrees = [sum(alike[i][j] > 0 for j in range(count) if j != i) for i in range(count)]
    order = sorted(range(count), key=degrees.__getitem__)
    grown = [patch for patch in order[:100] if alike[order[0]][patch] > 0]
    sums = [sum(alike[patch][j] for patch in grown) for j in range(count)]
    inside = {place(j) for j in range(count) if sums[j] > 0}
    assert lost(keys, GRID) == box_by_flood(inside, place(order[0]))


@pytest.mark.parametrize("kind", ["object", "noise"])
@pytest.mark.parametrize("seed", [0, 1, 2, 42])  # in noise 42 a cut at 0 is another box
def test_tokencut_is_the_papers_with_a_dense_solver(kind, seed):
    keys = keys_of(kind, seed).double()
    units = keys / keys.norm(dim=1, keepdim=True)
    weights = np.where((units @ units.T).numpy() > 0.2, 1.0, 1e-5)
    degrees = np.diag(weights.sum(1))
    vector = eigh(degrees - weights, degrees)[1][:, 1]
    first = int(np.abs(vector).argmax())
    side = np.sign(vector - vector.mean()) == np.sign(vector[first] - vector.mean())
    inside = {place(number) for number in side.nonzero()[0]}
    assert tokencut(keys.float(), GRID) == box_by_flood(inside, place(first))


@pytest.mark.parametrize("method", [lost, tokencut])
def test_an_object_that_stands_out_is_found(method):
    assert method(keys_of("object"), GRID) == (5, 2, 8, 6)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.8])
def test_the_second_eigenvector_solves_the_generalised_problem(share):
    generator = np.random.default_rng(0)
    half = generator.random((60, 60)) < share
    joined = half | half.T | np.eye(60, dtype=bool)
    vector = second_eigenvector(joined)
    weights = np.where(joined, 1.0, 1e-5)
    degrees = weights.sum(1)
    left = degrees * vector - weights @ vector
    value = (vector @ left) / (vector @ (degrees * vector))
    np.testing.assert_allclose(left, value * degrees * vector, atol=1e-9)
    expected = eigh(np.diag(degrees) - weights, np.diag(degrees), eigvals_only=True)
    assert value == pytest.approx(expected[1], abs=1e-9)


def test_where_the_iteration_does_not_converge_all_eigenvectors_are_computed(monkeypatch):
    def never(*_args, **_options):
        raise ArpackNoConvergence("no convergence", [], [])

    joined = np.random.default_rng(0).random((40, 40)) < 0.2
    joined |= joined.T | np.eye(40, dtype=bool)
    found = second_eigenvector(joined)
    monkeypatch.setattr(discovery, "eigsh", never)
    expected = second_eigenvector(joined)
    scale = found[0] / expected[0]
    np.testing.assert_allclose(found, scale * expected, atol=1e-9)


def test_a_graph_that_does_not_divide_has_a_box_as_well():
    left, top, right, bottom = tokencut(torch.ones(12, 4), (3, 4))
    assert 0 <= left < right <= 4
    assert 0 <= top < bottom <= 3


def test_a_box_holds_what_is_connected_by_sides_and_not_by_corners():
    mask = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1]])
    assert box_around(mask, 0) == (0, 0, 2, 1)
    assert box_around(mask, 6) == (2, 1, 4, 3)


def test_the_overlap_of_boxes():
    assert iou((0, 0, 4, 4), (2, 2, 6, 6)) == pytest.approx(4 / 28)
    assert iou((0, 0, 4, 4), (4, 0, 8, 4)) == 0
    assert iou((0, 0, 1, 1), (5, 5, 9, 9)) == 0
    assert is_right((0, 0, 4, 4), [(9, 9, 11, 11), (0, 0, 4, 2)])  # half
    assert not is_right((0, 0, 100, 100), [(0, 0, 100, 49), (90, 90, 100, 100)])


@pytest.mark.parametrize(
    "more", [{}, {"class_token": True, "num_registers": 2, "qkv_bias": False}, {"rotary": True}]
)
def test_keys_are_what_a_hook_on_the_last_layer_sees(more):
    trunk = build_trunk("vit_tiny", depth=3, final_norm=True, **more).eval()
    torch.nn.init.normal_(trunk.blocks[-1].norm1.bias)
    seen = []
    trunk.blocks[-1].attn.qkv.register_forward_hook(lambda _m, _i, output: seen.append(output))
    images = torch.randn(2, 3, 32, 48)
    trunk(images)
    # As LOST's main_lost.py takes them apart: queries, keys, values of heads.
    per_head = seen[0].reshape(2, -1, 3, 3, 64).permute(2, 0, 3, 1, 4)
    keys = per_head[1].transpose(1, 2).reshape(2, -1, 192)[:, trunk.num_prefix_tokens :]
    torch.testing.assert_close(last_keys(trunk, images), keys)


def test_images_are_padded_with_the_mean_to_whole_patches():
    trunk = build_trunk("vit_tiny", depth=1).eval()
    image = torch.randint(0, 256, (3, 30, 40), dtype=torch.uint8)
    keys, grid = Keys(trunk, "cpu")(image)
    assert grid == (2, 3)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (trunk.mean, trunk.std))
    padded = torch.zeros(1, 3, 32, 48)
    padded[0, :, :30, :40] = (image / 255 - mean) / std
    torch.testing.assert_close(keys, last_keys(trunk, padded)[0].detach(), rtol=1e-4, atol=1e-5)


def test_a_trunk_without_keys_is_refused():
    with pytest.raises(InputError, match="a swin backbone has none, give one of a ViT"):
        Keys(build_trunk("swin_tiny"), "cpu")


def test_an_image_of_too_many_patches_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(corloc, "MOST_PATCHES", 5)
    Image.new("RGB", (40, 40)).save(tmp_path / "large.png")
    images = BoxedImages({tmp_path / "large.png": [(0, 0, 4, 4)]})
    with pytest.raises(InputError, match=r"large\.png is 40x40, more than 5 patches"):
        corloc.discovered(Keys(build_trunk("vit_tiny", depth=1), "cpu"), images)


def test_a_box_ends_where_the_image_does(tmp_path, monkeypatch):
    def everything(keys, grid):
        assert keys.shape == (7 * 3, 192)
        return 0, 0, grid[1], grid[0]

    monkeypatch.setattr(corloc, "METHODS", {"all": everything})
    Image.new("RGB", (100, 40)).save(tmp_path / "image.png")
    keys = Keys(build_trunk("vit_tiny", depth=1), "cpu")
    half = BoxedImages({tmp_path / "image.png": [(0, 0, 50, 40)]})  # of the padded one less
    assert corloc.discovered(keys, half) == {"all": 100}
    less = BoxedImages({tmp_path / "image.png": [(0, 0, 49, 40)]})
    assert corloc.discovered(keys, less) == {"all": 0}


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """Images with a bright square, masks of it, and the same in COCO's and VOC's layouts."""
    root = tmp_path_factory.mktemp("objects") / "DAVIS"
    names = ("Annotations/480p", "JPEGImages/480p", "ImageSets/Main", "annotations")
    folders = [root / name for name in names]
    for folder in folders:
        folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    images, instances = [], []
    for number, (left, top) in enumerate([(32, 16), (80, 48), (16, 64)]):
        pixels = generator.integers(60, 90, (112, 160, 3), dtype=np.uint8)
        mask = np.zeros((112, 160), dtype=np.uint8)
        mask[top : top + 32, left : left + 48] = 1
        pixels[mask > 0] = generator.integers(200, 256, (32 * 48, 3))
        Image.fromarray(mask).save(root / f"Annotations/480p/{number}.png")
        Image.fromarray(pixels).save(root / f"JPEGImages/480p/{number}.png")
        images.append({"id": number, "file_name": f"{number}.png"})
        instances.append({"image_id": number, "bbox": [left, top, 48, 32], "iscrowd": 0})
    content = {"images": images, "annotations": instances}
    (root / "annotations/instances_val2017.json").write_text(json.dumps(content))
    (root / "val2017").symlink_to(root / "JPEGImages/480p")
    return root


def sources(root):
    """Task's name -> arguments."""
    return {
        "davis-discovery": ["--masks", f"{root}/Annotations/480p", "--images", f"{root}/val2017"],
        "coco-val2017-discovery": ["--coco", f"{root}/annotations/instances_val2017.json"],
    }


def test_the_command_scores_objects_of_every_source(objects, backbone, tmp_path, capsys):
    found = {}
    for task, source in sources(objects).items():
        given = ["probe", "discovery", "--weights", str(backbone), *source, "--workers", "0"]
        main([*given, "--out", str(tmp_path / "result.json"), "--device", "cpu", "--json"])
        found[task] = json.loads(capsys.readouterr().out)
        written = json.loads((tmp_path / "result.json").read_text())
        assert written["task"] == found[task]["task"] == task
        assert written["settings"] == {"expansion": 100, "tau": 0.2}
        assert written["metrics"].keys() == {"CorLoc-LOST", "CorLoc-TokenCut"}
    one, other = ({**values, "task": 0, "seconds": 0} for values in found.values())
    assert one == other
    assert one["images"] == 3
    assert one["CorLoc-LOST"] == 100


def test_masks_without_images_are_refused(objects, backbone, capsys):
    with pytest.raises(SystemExit):
        main(["probe", "discovery", "--weights", str(backbone), "--masks", str(objects)])
    assert "say where they are with --images DIR" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_find_what_one_does(objects, backbone, programs):
    source = sources(objects)["davis-discovery"]
    line = ["-m", "selfpatch", "probe", "discovery", "--weights", str(backbone), *source, "--json"]
    (one,) = processes_of(programs, 1, line)
    first, other = processes_of(programs, 2, [*line, "--launcher", "pytorch"])
    assert other.stdout == ""
    values = [json.loads(done.stdout) | {"seconds": 0} for done in (one, first)]
    assert values[0] == values[1]


def test_boxes_of_a_real_image_stay_within_it(real_data, backbone):
    trunk, _ = load_backbone(backbone)
    with Image.open(real_data / "davis/JPEGImages/480p/blackswan/00000.jpg") as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB").resize((214, 120))))
    keys, (rows, columns) = Keys(trunk, "cpu")(pixels.permute(2, 0, 1))
    for method in (lost, tokencut):
        sides = method(keys, (rows, columns))
        assert 0 <= sides[0] < sides[2] <= columns
        assert 0 <= sides[1] < sides[3] <= rows
