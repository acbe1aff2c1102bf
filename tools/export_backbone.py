"""Write a checkpoint's trunk as a backbone file, or as a folder for timm and torch.hub.

Examples:
    python tools/export_backbone.py work_dirs/run/epoch_100.pth backbone.safetensors
    python tools/export_backbone.py backbone.safetensors FOLDER --format timm
"""

import argparse

from selfpatch.checkpoint import read_backbone, save_backbone
from selfpatch.errors import InputError, exit_with_sentence
from selfpatch.export import export_timm


def main() -> None:
    """Read the command line, convert, say what was written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a training checkpoint or any file the suite reads")
    parser.add_argument("out", help="the backbone file to write, *.safetensors, or the folder")
    parser.add_argument("--format", choices=["backbone", "timm"], default="backbone")
    parser.add_argument("--network", choices=["teacher", "student"], default="teacher")
    args = parser.parse_args()
    with exit_with_sentence():
        state, info = read_backbone(args.checkpoint, args.network)
        if args.format == "timm":
            export_timm(args.out, state, info)
            print(f'timm.create_model("local-dir:{args.out}", pretrained=True)')
        elif not args.out.endswith(".safetensors"):
            raise InputError(f"{args.out} does not end in .safetensors, as a backbone file must")
        else:
            info = save_backbone(args.out, state, info)
    size = ", ".join(f"{name} {value}" for name, value in info.architecture.items())
    print(f"{args.out}: {info.method}, fingerprint {info.fingerprint[:12]}\n{size}")


if __name__ == "__main__":
    main()
