"""The command line: one command imports what it needs, and knows what is not its own."""

import json
import subprocess
import sys
from importlib import import_module

import pytest

from davis_eval.commands import WORK
from selfpatch.cli import main
from selfpatch.commands.parser import COMMANDS, build_parser, parsed
from selfpatch.errors import InputError
from selfpatch.shipped import find_config
from tests import ROOT


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples_and_needs_no_torch_for_it(name):
    path, _ = COMMANDS[name]
    found = "print(*{'torch', 'timm', 'mmengine', 'scipy', 'matplotlib'} & set(sys.modules))"
    program = f"import sys, {path}\n{found}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")
    text = " ".join(build_parser([name]).format_help().split())
    assert name in text
    assert f"selfpatch {name}" in (import_module(path).__doc__ or "")


def test_a_misspelt_argument_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["bench", "demo", "--job", "3", "--wrokers", "1"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --wrokers 1" in capsys.readouterr().err


def test_what_belongs_to_another_program_is_passed_on(monkeypatch):
    calls = []
    monkeypatch.setattr("selfpatch.commands.finetune.run", lambda args: calls.append(args.further))
    monkeypatch.setattr("selfpatch.commands.bench.run", lambda args: calls.append(args.further))
    main(["finetune", "x.py", "--resume", "--cfg-options", "a=1"])
    main(["bench", "demo", "--jobs", "3", "--", "--executor", "slurm"])
    assert calls == [["--resume", "--cfg-options", "a=1"], ["--executor", "slurm"]]


def test_lists_of_one_option_add_up_and_a_name_given_twice_is_refused(monkeypatch, capsys):
    args = parsed(["pretrain", "x", "--cfg-options", "a=1", "b=2", "--cfg-options", "c=3"])
    assert args.cfg_options == ["a=1", "b=2", "c=3"]
    with pytest.raises(SystemExit):
        main(["bench", "demo", "--data", "coco=a", "--data", "davis=b", "coco=c"])
    assert "--data names coco twice" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--temperature=0", "--workers=-1", "--k=0", "--size=x"])
def test_numbers_that_mean_nothing_are_refused(option):
    with pytest.raises(InputError, match=f"argument {option.partition('=')[0]}: .*--help"):
        parsed(["probe", "knn", "--weights", "w", "--train", "t", "--val", "v", option])


@pytest.mark.parametrize("name", WORK)
def test_each_command_of_davis_has_its_example(name, capsys):
    with pytest.raises(SystemExit):
        parsed(["davis", name, "--help"])
    assert f"Example:\n    selfpatch davis {name} --" in capsys.readouterr().out


def test_defaults_that_are_values_are_shown(capsys):
    with pytest.raises(SystemExit):
        main(["probe", "knn", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "of the votes (default: 0.07)" in shown
    assert "print JSON" in shown
    assert "print JSON (default" not in shown


def test_configs_are_listed_and_found_by_name(capsys):
    main(["list", "configs", "--json"])
    listed = json.loads(capsys.readouterr().out)["configs"]
    assert listed["demo_dino"].startswith("pretrain: Plain DINO at the size of a demo")
    main(["list", "plans"])
    assert "paper's detection table" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"upernet_.* is there to segment, not for this"):
        find_config("upernet_selfpatch-small_ade20k-128x128", "selfpatch.configs")
    with pytest.raises(SystemExit) as ended:
        main(["pretrain", "demo_dinno", "--print-config"])
    assert ended.value.code == 2
    assert (
        "the config demo_dinno does not exist; did you mean demo_dino?" in capsys.readouterr().err
    )
