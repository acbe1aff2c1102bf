"""Write a checkpoint's trunk as a backbone file.

Example:
    python tools/export_backbone.py work_dirs/run/epoch_100.pth backbone.safetensors
"""

import argparse

from selfpatch.checkpoint import read_backbone, save_backbone
from selfpatch.errors import exit_with_sentence


def main() -> None:
    """Read the command line, convert, say what was written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a training checkpoint or any file the suite reads")
    parser.add_argument("out", help="the backbone file to write, *.safetensors")
    parser.add_argument("--network", choices=["teacher", "student"], default="teacher")
    args = parser.parse_args()
    with exit_with_sentence():
        info = save_backbone(args.out, *read_backbone(args.checkpoint, args.network))
    size = ", ".join(f"{name} {value}" for name, value in info.architecture.items())
    print(f"{args.out}: {info.method}, fingerprint {info.fingerprint[:12]}\n{size}")


if __name__ == "__main__":
    main()
