"""A plan is read strictly: what it cannot mean is one sentence."""

import pytest

from selfpatch.bench.jobs import jobs_of
from selfpatch.bench.plan import folder_of
from selfpatch.bench.reading import read_plan
from selfpatch.commands.bench import check_commands
from selfpatch.errors import InputError
from selfpatch.shipped import files_of, find_config, find_plan

WHOLE = """
data:
  davis: DAVIS
seeds: [0, 1]
backbones:
  floor: {random: vit_tiny}
  mine: {file: FILE}
tasks:
  davis2017: {davis: {}, options: {short-side: 240}}
"""


@pytest.fixture
def plan(tmp_path):
    """Write a plan, with changes, and read it."""
    (tmp_path / "davis").mkdir()
    (tmp_path / "b.safetensors").touch()

    def read(old: str = "", new: str = "", **data: str):
        text = WHOLE.replace("DAVIS", str(tmp_path / "davis"))
        text = text.replace("FILE", str(tmp_path / "b.safetensors"))
        assert old in text
        (tmp_path / "p.yaml").write_text(text.replace(old, new) if old else text)
        return read_plan(tmp_path / "p.yaml", data)

    return read


def test_a_whole_plan(plan, tmp_path):
    found = plan()
    assert found.name == "p"
    assert found.seeds == (0, 1)
    assert [(b.name, b.origin, b.tasks) for b in found.backbones] == [
        ("floor", "random", ("davis2017",)), ("mine", "file", ("davis2017",)),
    ]  # fmt: skip
    assert found.tasks[0].options == {"short-side": 240}
    other = tmp_path / "other"
    other.mkdir()
    assert plan(davis=str(other)).data == {"davis": str(other)}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("davis: {}", "davsi: {}", "'davis2017' has the unknown key 'davsi'; did you mean davis?"),
        ("random: vit_tiny", "radnom: vit_tiny", "did you mean random?"),
        ("{random: vit_tiny}", "{}", "'floor' needs one of pretrain, import, file, random"),
        ("backbones:", "backbnes:", "has the unknown key 'backbnes'; did you mean backbones?"),
        ("  mine:", "  floor:", "has 'floor' twice in the mapping of line 6"),
        ("  mine:", "  Floor:", "'floor' and 'Floor' share a folder; rename one of them"),
        ("seeds: [0, 1]", "seeds: [1, 1]", "seeds=.1, 1.; give a list of different whole numbers"),
        ("seeds: [0, 1]", "seeds: [-1]", "seeds=.-1.; give .* whole numbers, from 0 to"),
        ("short-side: 240", "weights: x", "has the option weights, which the plan decides"),
        ("short-side: 240", "a: {b: 1}", "give settings by dotted names, a.b"),
        ("random: vit_tiny", "random: vit_tiny, tasks: [[davis2017]]", "and no list of names"),
        ("seeds:", "sizes: {height: 0}\nseeds:", "sizes has height=0; give a whole number"),
        ("  mine:", "  other: {random: vit_tiny}\n  mine:", "and 'other' are one backbone, both"),
        ("  mine:", "  seed 1:", "'seed 1' of backbones has the suite's own folder"),
        ("random: vit_tiny", "pretrain: demo_dino, processes: 3, gpus: 2", "3 processes on 2 GPUs"),
        ("seeds: [0, 1]", "seeds: 3", "seeds=3; give a list of different whole numbers"),
        ("b.safetensors", "c.safetensors", "is to be .*c.safetensors, which does not exist"),
        ("/davis\n", "/devis\n", "data.davis is .*devis, which does not exist"),
        ("/davis\n", "/${NO_SUCH_ROOT}\n", "NO_SUCH_ROOT is not set; export NO_SUCH_ROOT=DIR"),
        ("davis: {},", "davis: {}, gpus: -1,", "has gpus=-1; give a whole number"),
        ("random: vit_tiny", "random: vit_tiny, tasks: [davsi2017]", "did you mean davis2017?"),
        ("tasks:", "tasks: {}\nsizes:", "names no tasks"),
        ("seeds", "\tseeds", "is no YAML"),
        ("random: vit_tiny", "random: vit_tiny, tasks: 5", "are 5 and no list"),
        ("random: vit_tiny", "random: vit_tiny, processes: 2", "is trained; leave them out"),
        ("davis: {},", "davis: {}, processes: 2,", "nothing is trained; leave"),
        ("davis: {},", "finetune: x, gpus: 1, processes: 2,", "has 2 processes and 1 GPUs; mmdet"),
        ("seeds:", "sizes: {framse: 3}\nseeds:", "did you mean frames?"),
        ("  davis: ", "  davos: ", "data has the unknown key 'davos'; did you mean davis?"),
        ("davis: {},", "probe: in-kontext,", "unknown key 'in-kontext'; did you mean in-context?"),
        ("davis: {}, options: {", "probe: knn, options: {seed: 1, ", "has the option seed,"),
        ("  davis2017:", "  backbone:", "'backbone' of tasks has the suite's own folder"),
    ],
)  # fmt: skip
def test_what_a_plan_cannot_mean_is_named(old, new, sentence, plan):
    with pytest.raises(InputError, match=sentence):
        plan(old, new)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "short-side: 240",
            "shrot-side: 240",
            "davis2017 of floor, seed 0 cannot be run: unrec.*--shrot-side",
        ),
        (
            "short-side: 240",
            "short-side: many",
            "cannot be run: argument --short-side: invalid int value: 'many'",
        ),
        (
            "random: vit_tiny",
            "random: vit_tinny",
            "there is no variant 'vit_tinny'; give one of vit_tiny,",
        ),
        (
            "random: vit_tiny",
            "pretrain: demo_selfpathc",
            "demo_selfpathc does not exist; did you mean demo_selfpatch?",
        ),
        (
            "file: ",
            "options: {heads: 3}, import: ",
            "import mine cannot be run: unrecognized arguments: --heads",
        ),
        (
            "davis: {}, options: {short-side: 240}",
            "finetune: upernet_selfpatch-small",
            "does not exist; did you mean upernet",
        ),
    ],
)
def test_what_a_job_cannot_be_told_is_named_before_any_is_run(old, new, sentence, plan, tmp_path):
    with pytest.raises(InputError, match=sentence):
        check_commands(jobs_of(plan(old, new), tmp_path))


def test_a_config_of_ones_own_is_of_the_host_that_it_says(plan, tmp_path):
    (tmp_path / "own.py").write_text("default_scope = 'mmseg'\n")
    found = plan("davis: {}, options: {short-side: 240}", f"finetune: {tmp_path / 'own.py'}")
    with pytest.raises(InputError, match=r"the task 'davis2017' needs data\.ade20k"):
        jobs_of(found, tmp_path)
    (tmp_path / "own.py").write_text("default_scope = 'mmpose'\n")
    with pytest.raises(InputError, match="default_scope='mmpose'; give one of mmdet's or mmseg's"):
        jobs_of(found, tmp_path)


def test_data_that_a_task_needs_are_asked_for(plan, tmp_path):
    found = plan(
        "davis: {}, options: {short-side: 240}", "finetune: upernet_selfpatch-small_ade20k-128x128"
    )
    with pytest.raises(InputError, match=r"the task 'davis2017' needs data\.ade20k"):
        jobs_of(found, tmp_path)


@pytest.mark.parametrize("path", files_of("selfpatch.plans", ".yaml"), ids=lambda path: path.stem)
def test_the_suites_plans_name_configs_that_exist(path, tmp_path, monkeypatch):
    for name in ("IMAGENET", "COCO", "ADE20K", "DAVIS", "IMAGENETTE"):
        monkeypatch.setenv(f"{name}_ROOT", str(tmp_path))
    (tmp_path / "train").mkdir()
    plan = read_plan(find_plan(path.stem))
    jobs = jobs_of(plan, tmp_path / "work")
    assert len({job.rule for job in jobs}) == len({job.folder for job in jobs}) == len(jobs)
    for backbone in plan.backbones:
        if backbone.origin == "pretrain":
            find_config(backbone.source, "selfpatch.configs")
    for task in plan.tasks:
        if task.work == "finetune":
            find_config(task.source, "mmdet_configs", "mmseg_configs")


def test_names_of_folders():
    assert folder_of("DINO + SelfPatch, ViT-S/8") == "dino-selfpatch-vit-s-8"
    assert folder_of("../..") == "unnamed"


def test_an_empty_plan_and_merged_mappings(tmp_path):
    (tmp_path / "p.yaml").write_text("# nothing\n")
    with pytest.raises(InputError, match=r"p\.yaml is empty; see"):
        read_plan(tmp_path / "p.yaml")
    (tmp_path / "p.yaml").write_text(
        "backbones:\n  a: &a {random: vit_tiny, cpus: 2}\n  b: {<<: *a, random: vit_small}\n"
        "tasks: {t: {davis: {}}}\n"
    )
    found = read_plan(tmp_path / "p.yaml").backbones
    assert [(own.source, own.resources.cpus) for own in found] == [
        ("vit_tiny", 2),
        ("vit_small", 2),
    ]


def test_a_plan_can_be_looked_at_without_its_data(plan, tmp_path, monkeypatch):
    monkeypatch.delenv("DAVIS_ROOT", raising=False)
    (tmp_path / "q.yaml").write_text(
        "data: {davis: '${DAVIS_ROOT}'}\n"
        "backbones: {a: {random: vit_tiny}}\ntasks: {t: {davis: {}}}"
    )
    (missing,) = read_plan(tmp_path / "q.yaml", must_exist=False).missing
    assert missing == "davis=${DAVIS_ROOT}"
    with pytest.raises(InputError, match="DAVIS_ROOT is not set"):
        read_plan(tmp_path / "q.yaml")


def test_a_backbone_may_be_a_name_or_a_folder_and_be_told_what_it_does_not_say(plan, tmp_path):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub/config.json").write_text("{}")
    for source in ("timm:vit_small_patch14_dinov2", str(tmp_path / "hub")):
        told = (
            f"{{import: '{source}', options: {{method: dino, set: [num_heads=6, mean=[1,1,1]]}}}}"
        )
        found = plan("{random: vit_tiny}", told.replace("mean=[1,1,1]", "'mean=[1,1,1]'"))
        jobs = jobs_of(found, tmp_path)
        check_commands(jobs)
        given = ["--method", "dino", "--set", "num_heads=6", "mean=[1,1,1]"]
        assert jobs[0].command[:2] == ["import", source]
        assert jobs[0].command[3:] == given


def test_a_probe_is_a_task_for_each_seed_on_the_plans_data(plan, tmp_path):
    options = "{davis: data.davis, size: 64, part: 1/2}"
    found = plan(
        "{davis: {}, options: {short-side: 240}}", f"{{probe: in-context, options: {options}}}"
    )
    jobs = [job for job in jobs_of(found, tmp_path / "work") if job.kind == "davis2017"]
    assert [job.folder for job in jobs] == [
        f"{backbone}/seed-{seed}/davis2017" for backbone in ("floor", "mine") for seed in (0, 1)
    ]
    weights = str(tmp_path / "b.safetensors")
    assert jobs[-1].command == [
        "probe", "in-context", "--weights", weights, "--davis", str(tmp_path / "davis"), "--size",
        "64", "--part", "1/2", "--seed", "1", "--out",
        str(tmp_path / "work/mine/seed-1/davis2017/results.json"),
    ]  # fmt: skip
    check_commands(jobs)
