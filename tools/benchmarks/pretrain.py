"""Every objective with every kind of trunk, and every ablation: a few real steps of each.

Prints two markdown tables: loss at the start and at the end, images per second, peak memory.
Views, batch and heads are small, so that it runs on a CPU; the trunks are whole.

Example:
    python -m tools.benchmarks.pretrain --data DIR --out DIR
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import mean

from selfpatch.data.images import list_images
from selfpatch.results.scalars import LOG, read_scalars

CONFIGS = Path(__file__).resolve().parents[2] / "selfpatch/configs"
OBJECTIVES = {
    "dino": "dino-matched_vit-s16_8xb128-200e_in1k.py",
    "dino+selfpatch": "selfpatch_vit-s16_8xb128-200e_in1k.py",
    "moby": "moby_vit-s16_8xb64-300e_in1k.py",
    "moby+selfpatch": "selfpatch-moby_vit-s16_8xb64-300e_in1k.py",
    "mocov3": "mocov3_vit-s16_8xb512-300e_in1k.py",
    "mocov3+selfpatch": "selfpatch-mocov3_vit-s16_8xb512-300e_in1k.py",
}
TRUNKS = {
    "ViT-T/16": {"variant": "vit_tiny", "patch_size": 16, "image_size": 128},
    "ViT-T/8": {"variant": "vit_tiny", "patch_size": 8, "image_size": 128},
    "Swin-T": {"variant": "swin_tiny", "image_size": 128},
}
ABLATIONS: dict[str, dict[str, dict]] = {
    "default": {},
    "neighbourhood 5x5": {"selfpatch": {"neighbourhood": 5}},
    "neighbourhood 7x7": {"selfpatch": {"neighbourhood": 7}},
    "neighbourhood all": {"selfpatch": {"neighbourhood": "all"}},
    "border clip": {"selfpatch": {"border": "clip"}},
    "k 1": {"selfpatch": {"k": 1}},
    "k 2": {"selfpatch": {"k": 2}},
    "k 8": {"selfpatch": {"k": 8}},
    "k all": {"selfpatch": {"k": "all"}},
    "aggregation mean": {"selfpatch": {"aggregation": "mean"}},
    "aggregation none": {"selfpatch": {"aggregation": "none"}},
    "patch weight 1": {"selfpatch": {"weight": 1.0}},
    "patch loss on global views": {"selfpatch": {"views": "global"}},
    "centre over global views": {"objective": {"center_views": "global"}},
}
BATCH = 8


def main() -> None:
    """Run everything that has no result yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="image folder")
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs; kept")
    parser.add_argument("--iterations", type=int, default=50, help="steps of each run")
    parser.add_argument("--ablation-iterations", type=int, default=20)
    args = parser.parse_args()
    rows = []
    for name, trunk in TRUNKS.items():
        for objective, config in OBJECTIVES.items():
            model = model_settings(objective, trunk)
            folder = args.out / f"{objective}_{name.replace('/', '-')}"
            rows.append([objective, name, *run(config, model, args.data, folder, args.iterations)])
    print_table(["objective", "trunk"], rows)
    rows = []
    for name, changes in ABLATIONS.items():
        model = model_settings("dino+selfpatch", TRUNKS["ViT-T/16"])
        for part, settings in changes.items():
            model[part].update(settings)
        folder = args.out / name.replace(" ", "_")
        result = run(
            OBJECTIVES["dino+selfpatch"], model, args.data, folder, args.ablation_iterations
        )
        rows.append([name, *result])
    print_table(["ablation"], rows)


def model_settings(objective: str, trunk: dict) -> dict[str, dict]:
    """Settings of a model with a whole trunk and small heads."""
    head = {"hidden_dim": 512, "bottleneck_dim": 128}
    if "selfpatch" not in objective:
        trunk = {**trunk, "final_norm": True}
        if trunk["variant"].startswith("vit"):
            trunk["class_token"] = True
    model: dict[str, dict] = {"trunk": {"_delete_": True, **trunk}}
    if objective.startswith("dino"):
        model["objective"] = {"num_prototypes": 1024, **head}
    else:
        model["objective"] = {"hidden_dim": 512, "out_dim": 128}
    if "selfpatch" in objective:
        model["selfpatch"] = {"patch_head": {"num_prototypes": 1024, **head}}
    return model


def run(config: str, model: dict, data: str, folder: Path, iterations: int) -> list[float]:
    """Loss at the start and at the end, images per second, peak MiB."""
    if not any(folder.glob(LOG)) or not list(folder.glob("*.pth")):
        images = folder / "images"
        images.mkdir(parents=True, exist_ok=True)
        files = list_images(data)
        step = len(files) / (BATCH * iterations)
        for number in range(BATCH * iterations):
            source = Path(os.fsdecode(files[int(number * step)])).resolve()
            link = images / f"{number}{source.suffix}"
            if not link.exists():
                link.symlink_to(source)
        view = {"count": 1, "size": 128, "scale": (0.25, 1.0)}
        views = [{**view, "blur": 1.0}, {**view, "blur": 0.1, "solarize": 0.2}]
        if "dino" in folder.name or ("moby" not in config and "mocov3" not in config):
            views.append({"count": 2, "size": 64, "scale": (0.05, 0.25)})
        path = folder / "config.py"
        path.write_text(
            f"_base_ = [{str(CONFIGS / config)!r}]\n"
            f"total_batch_size = {BATCH}\n"
            f"views = {views!r}\n"
            "train_dataloader = dict(num_workers=1, pin_memory=False)\n"
            f"model = {model!r}\n"
            "train_cfg = dict(max_epochs=1, schedule=dict("
            "lr=1e-2, warmup_epochs=0.1, freeze_last_layer_epochs=0))\n"
            "default_hooks = dict(logger=dict(interval=1))\n"
        )
        command = [sys.executable, "-m", "selfpatch", "pretrain", str(path), "--data", str(images)]
        subprocess.run(
            [*command, "--work-dir", str(folder)],
            cwd=CONFIGS.parents[1],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return measured(folder)


def measured(folder: Path) -> list[float]:
    """What the log of a run says; the losses are means of five steps."""
    lines = read_scalars(folder)
    losses = [line["loss"] for line in lines if "loss" in line]
    speeds = [line["images_per_s"] for line in lines if "images_per_s" in line]
    peak = max(line["memory"] for line in lines if "memory" in line)
    return [mean(losses[:5]), mean(losses[-5:]), sorted(speeds)[len(speeds) // 2], peak]


def print_table(names: list[str], rows: list[list]) -> None:
    """Print a table in markdown."""
    header = [*names, "loss, first 5 steps", "last 5 steps", "images/s", "peak MiB"]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    for row in rows:
        cells = [cell if isinstance(cell, str) else f"{cell:.4g}" for cell in row]
        print("| " + " | ".join(cells) + " |")
    print(flush=True)


if __name__ == "__main__":
    main()
