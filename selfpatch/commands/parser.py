"""What is typed -> a command and its arguments; only the module of that command is imported."""

import argparse
from collections.abc import Sequence
from importlib import import_module, metadata
from typing import NoReturn

from selfpatch.errors import InputError

COMMANDS = {
    "pretrain": (
        "selfpatch.commands.pretrain",
        "pretrain a ViT or Swin with DINO, MoBY or MoCo-v3, with or without SelfPatch",
    ),
    "import": (
        "selfpatch.commands.import_checkpoint",
        "turn a published checkpoint into a backbone file",
    ),
    "export": (
        "selfpatch.commands.export_backbone",
        "write a backbone for this suite, for timm and hubs, or as ONNX",
    ),
    "finetune": (
        "selfpatch.commands.finetune",
        "train a detector or segmenter on a backbone",
    ),
    "test": (
        "selfpatch.commands.test",
        "test a detector or segmenter that was trained",
    ),
    "davis": (
        "davis_eval.commands",
        "track objects in videos by propagating labels, and score it",
    ),
    "probe": (
        "selfpatch.commands.probe",
        "measure what frozen patches are worth: in-context or linear segmentation",
    ),
    "bench": (
        "selfpatch.commands.bench",
        "compare backbones on tasks over seeds, as a plan says",
    ),
    "table": (
        "selfpatch.commands.table",
        "arrange results files as the paper's tables",
    ),
    "look": (
        "selfpatch.commands.look",
        "show what backbones see in images of your own: attention, similarity, colours",
    ),
    "report": (
        "selfpatch.commands.report",
        "write one page of tables, curves and pictures from results and runs",
    ),
    "curves": (
        "selfpatch.commands.curves",
        "draw the curves of pretraining runs beside each other",
    ),
    "check-data": (
        "selfpatch.commands.check_data",
        "say what is missing or wrong in a data set's folder",
    ),
    "list": (
        "selfpatch.commands.list",
        "name the configs, plans, tasks, layouts, checkpoints and variants there are",
    ),
    "doctor": (
        "selfpatch.commands.doctor",
        "say what works on this machine, and what will not and why",
    ),
    "demo": (
        "selfpatch.commands.demo",
        "run the whole path on small data: images to table and report",
    ),
}
"""Command -> its module, and what it does. The module has ``add_arguments``, ``run`` and a help."""

EXIT_STATUS = """\
`selfpatch COMMAND --help` says more of each. Exit status: 0 done; 2 the input or the machine is at
fault, one sentence on stderr says how; 130 interrupted; 1 a fault of this program."""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Text as it is written, and every default that is a value."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        shown = action.default not in (None, False, argparse.SUPPRESS, [])
        return f"{text} (default: %(default)s)" if shown and action.option_strings else text


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong as all else here does."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError, which :func:`selfpatch.cli.main` prints."""
        raise InputError(f"{message}; see `{self.prog} --help`")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command, and as ``further`` those that it hands on.

    Raises:
        InputError: The command does not know one of them, or misses one.
    """
    given = list(arguments)
    parser = build_parser(given[:1])
    cut = given.index("--") if "--" in given else len(given)
    args, unknown = parser.parse_known_args(given[:cut])
    passed_on = getattr(args, "passed_on", None)  # to another program: all, or what is after --
    refused = [*unknown * (passed_on != "all"), *given[cut:] * (passed_on is None)]
    if refused:
        parser.error(f"unrecognized arguments: {' '.join(refused)}")
    args.further = [*unknown, *given[cut + 1 :]]
    return args


def positive(text: str) -> int:
    """Read a whole number from 1 on; argparse shows the error."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return int(text)


def natural(text: str) -> int:
    """Read a whole number from 0 on."""
    if int(text) < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return int(text)


def above_zero(text: str) -> float:
    """Read a finite number above 0."""
    if not 0 < float(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number above 0")
    return float(text)


def build_parser(called: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of all commands, in which those ``called`` know their arguments."""
    parser = Parser(
        prog="selfpatch",
        description="Pretrain vision transformers on patches, and see what patches are worth.",
        epilog=EXIT_STATUS,
        formatter_class=Formatter,
    )
    version = f"%(prog)s {metadata.version('selfpatch')}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for name, (path, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, formatter_class=Formatter)
        if name in called:
            module = import_module(path)
            first, _, rest = (module.__doc__ or "").partition("\n")
            command.description, command.epilog = first, rest.strip()
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser
