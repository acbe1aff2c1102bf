"""Write a backbone for this suite, for timm and hubs, or as ONNX.

Examples:
    selfpatch export work_dirs/RUN/epoch_100.pth backbone.safetensors
    selfpatch export backbone.safetensors FOLDER --format timm
    selfpatch export backbone.safetensors model.onnx --format onnx
    selfpatch export random:vit_small random.safetensors --seed 1
"""

import argparse
import json

from selfpatch.commands.parser import natural


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("checkpoint", help="a file the suite reads, or random:VARIANT")
    parser.add_argument("out", help="what to write: *.safetensors, a folder, or *.onnx")
    parser.add_argument(
        "--format",
        choices=["backbone", "timm", "onnx"],
        default="backbone",
        help="timm's folder is also one for torch.hub and the Hugging Face hub",
    )
    parser.add_argument(
        "--network", choices=["teacher", "student"], default="teacher", help="of a training"
    )
    parser.add_argument("--seed", type=natural, default=0, help="of random weights")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Convert, and say what was written."""
    from selfpatch.backbones.file import read_backbone, save_backbone
    from selfpatch.backbones.loading import random_backbone, trunk_of
    from selfpatch.backbones.onnx import export_onnx
    from selfpatch.backbones.timm import export_timm
    from selfpatch.errors import InputError

    if args.checkpoint.startswith("random:"):
        state, info = random_backbone(args.checkpoint.removeprefix("random:"), args.seed)
    else:
        state, info = read_backbone(args.checkpoint, args.network)
    said = []
    if args.format == "timm":
        export_timm(args.out, state, info)
        said.append(f'timm.create_model("local-dir:{args.out}", pretrained=True)')
        said.append(f'torch.hub.load("{args.out}", "backbone", source="local")')
    elif args.format == "onnx":
        difference = export_onnx(args.out, trunk_of(info, state), info)
        said.append(f"onnxruntime differs by at most {difference:.1e} of the largest value")
    elif not args.out.endswith(".safetensors"):
        raise InputError(f"{args.out} does not end in .safetensors, as a backbone file must")
    else:
        info = save_backbone(args.out, state, info)
    if args.json:
        print(json.dumps({"out": args.out, "backbone": info.described()}))
        return
    print(*said, sep="\n", end="\n" if said else "")
    size = ", ".join(f"{name} {value}" for name, value in info.architecture.items())
    print(f"{args.out}: {info.method}, fingerprint {info.fingerprint[:12]}\n{size}")
