"""List the configs with parameters, GFLOPs and seconds per training step; or compare two ViTs.

Examples:
    python tools/benchmarks/hosts.py list                     # a markdown table of every config
    python tools/benchmarks/hosts.py compare                  # beside mmsegmentation's own ViT
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: idle threads yield their core

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import mmdet.utils
import mmseg.utils
import torch
import torch.nn.functional as F
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData
from mmseg.models.backbones import VisionTransformer
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from selfpatch.models.vit import VisionTransformer as OurViT
from selfpatch.results.file import device_name

ROOT = Path(__file__).resolve().parents[2]
HOSTS = {"mmdet": mmdet.utils, "mmseg": mmseg.utils}
COMPARED = (
    "mmdet_configs/mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py",
    "mmseg_configs/upernet_selfpatch-vit-s16_160k_ade20k-512x512.py",
)
FULL_SIZE = {"mmdet": (800, 1344), "mmseg": (512, 512)}
"""Size of the images in training, in pixels; 1,333 is padded to a multiple of 32."""
BATCH_SIZE = {"mmdet": 1, "mmseg": 2}
"""Images of a training step; batch norms of pooled maps need two."""
PROPOSALS, MASKS = 1_000, 100  # regions per image whose heads are counted, as in a test


RENAMED = {
    "patch_embed.proj": "patch_embed.projection",
    "blocks": "layers",
    "norm": "ln",
    "attn.qkv.": "attn.attn.in_proj_",
    "attn.proj": "attn.attn.out_proj",
    "mlp.fc1": "ffn.layers.0.0",
    "mlp.fc2": "ffn.layers.1",
}
"""What our trunk's weights are called in mmsegmentation's."""


class HostsViT(nn.Module):
    """mmsegmentation's ViT-S/16 in the place of our trunk, with its weights, without [CLS].

    The same weights give the same proposals, so that all but the trunk does the same work. The
    positions are resized once, for images of ``size`` (height, width).
    """

    patch_size = 16

    def __init__(
        self, ours: OurViT, size: tuple[int, int], blocks: tuple[int, ...], drop_path: float
    ) -> None:
        super().__init__()
        self.vit = VisionTransformer(
            img_size=size,
            patch_size=self.patch_size,
            embed_dims=384,
            num_layers=12,
            num_heads=6,
            out_indices=blocks,
            with_cls_token=False,
            patch_bias=True,
            drop_path_rate=drop_path,
            norm_cfg={"type": "LN", "eps": 1e-6},
        )
        state = ours.state_dict()
        grid = (size[0] // self.patch_size, size[1] // self.patch_size)
        # It stores a [CLS] position that it does not use here, and a [CLS] token, too.
        state["pos_embed"] = F.pad(ours.position_embedding(grid).detach(), (0, 0, 1, 0))
        state["cls_token"] = torch.zeros(1, 1, 384)
        for old, new in RENAMED.items():
            state = {name.replace(old, new): value for name, value in state.items()}
        self.vit.load_state_dict(state)

    def layer_maps(self, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
        """Images -> the maps after the blocks that it was built to give, whatever ``indices``."""
        return list(self.vit(images))


def register() -> None:
    """Import what the hosts' configs name; they print a line when they do."""
    for host in HOSTS.values():
        host.register_all_modules(init_default_scope=False)


def in_scope_of(host: str) -> AbstractContextManager[None]:
    """A block in which ``host`` builds its models."""
    register()
    return DefaultScope.overwrite_default_scope(host)


def build(path: Path, size: tuple[int, int], trunk: str = "ours") -> Any:
    """The config's model with random weights, for one process, for images (height, width)."""
    cfg = Config.fromfile(path)
    cfg.model.backbone.init_cfg = None
    if host_of(path) == "mmseg":
        cfg.model.data_preprocessor.size = size
    else:
        cfg.model.data_preprocessor.pop("batch_augments", None)
    with in_scope_of(host_of(path)):
        model = revert_sync_batchnorm(MODELS.build(cfg.model))
    if trunk == "host's":
        backbone = model.backbone
        drop_path = cfg.model.backbone.drop_path_rate
        backbone.trunk = HostsViT(backbone.trunk, size, backbone.out_indices, drop_path)
    return model


def host_of(path: Path) -> str:
    """Which host a config belongs to."""
    return path.parent.name.removesuffix("_configs")


def batch(host: str, size: tuple[int, int]) -> dict[str, Any]:
    """Images of noise with seven objects each, or with a label map."""
    number = BATCH_SIZE[host]
    if host == "mmdet":
        shapes = [(3, *size)] * number
        inputs = demo_mm_inputs(number, shapes, [7] * number, num_classes=80, with_mask=True)
        for sample in inputs["data_samples"]:
            sample.set_metainfo({"batch_input_shape": size, "pad_shape": size})
        return inputs
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    sample = SegDataSample(metainfo={"img_shape": size, "ori_shape": size, "pad_shape": size})
    sample.gt_sem_seg = PixelData(data=torch.randint(0, 150, (1, *size)))
    return {"inputs": [image] * number, "data_samples": [sample.clone() for _ in range(number)]}


def training_step(
    model: Any, host: str, size: tuple[int, int], device: str, dtype: str
) -> Callable[[], None]:
    """A function that makes one whole step: forward, backward, AdamW."""
    torch.manual_seed(0)
    model = model.to(device).train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    inputs = batch(host, size)

    def step() -> None:
        data = model.data_preprocessor(inputs, training=True)
        with torch.autocast(device, getattr(torch, dtype), enabled=dtype != "float32"):
            loss, _ = model.parse_losses(model(**data, mode="loss"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return step


def seconds(step: Callable[[], None]) -> tuple[float, float]:
    """Seconds of one call: on the clock, and of the processor, which others may share."""
    start, cpu_start = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - start, time.process_time() - cpu_start


def giga_multiply_adds(path: Path) -> float:
    """Multiply-adds of a test of one image at full size, by shapes alone, in 10^9.

    Detectors: with the heads of 1,000 regions and 100 masks. As usual, elementwise operations
    do not count.
    """
    host = host_of(path)
    model = build(path, FULL_SIZE[host]).to("meta").eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        maps = model.backbone(torch.zeros(1, 3, *FULL_SIZE[host], device="meta"))
        maps = model.neck(maps) if model.with_neck else maps
        if host == "mmseg":
            model.decode_head(maps)
        else:
            model.rpn_head(maps)
            for head, side, number in region_heads(model):
                head(torch.zeros(number, maps[0].shape[1], side, side, device="meta"))
    return counter.get_total_flops() / 2e9


def region_heads(model: Any) -> list[tuple[nn.Module, int, int]]:
    """(head, side of its regions, regions per image) of a detector, cascaded or not."""
    roi_head = model.roi_head
    heads: list[tuple[nn.Module, int, int]] = []
    for head, side, number in ((roi_head.bbox_head, 7, PROPOSALS), (roi_head.mask_head, 14, MASKS)):
        stages = head if isinstance(head, nn.ModuleList) else [head]
        heads += [(stage, side, number) for stage in stages]
    return heads


def describe(path: Path, scale: float, device: str, dtype: str) -> str:
    """One config as a row of the table."""
    host = host_of(path)
    size = shrunk(FULL_SIZE[host], scale)
    model = build(path, size)
    number = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    with in_scope_of(host):
        step = training_step(model, host, size, device, dtype)
        step()  # the first one also allocates
        time_s, _ = seconds(step)
    gflops = giga_multiply_adds(path)
    return f"| {path.stem} | {number:.1f} | {gflops:.0f} | {time_s:.2f} |"


def shrunk(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """(height, width) times ``scale``, in whole multiples of 32."""
    height, width = (max(round(side * scale / 32), 1) * 32 for side in size)
    return height, width


def peak_gib(path: Path, size: tuple[int, int], trunk: str, device: str, dtype: str) -> float:
    """Memory that one training step takes at most, of this process or of the GPU."""
    with in_scope_of(host_of(path)):
        model = build(path, size, trunk)
        training_step(model, host_of(path), size, device, dtype)()
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    # Not getrusage(): what that calls the peak may be the process's that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def compare(scale: float, steps: int, device: str, dtype: str) -> None:
    """Print time and memory of a step with our ViT-S/16 and with the host's, taken in turns."""
    print("| config | trunk | pixels | s per step | CPU s per step | peak GiB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in COMPARED:
        path = ROOT / name
        host = host_of(path)
        size = shrunk(FULL_SIZE[host], scale)
        trunks = ("ours", "host's")
        with in_scope_of(host):
            step_of = {}
            for trunk in trunks:
                torch.manual_seed(0)  # the same weights, the same images
                model = build(path, size, trunk)
                step_of[trunk] = training_step(model, host, size, device, dtype)
            times: dict[str, list[tuple[float, float]]] = {trunk: [] for trunk in trunks}
            for turn in range(steps + 1):  # the first one does not count
                for trunk in trunks if turn % 2 else trunks[::-1]:
                    times[trunk].append(seconds(step_of[trunk]))
        for trunk in trunks:
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                memory = pool.submit(peak_gib, path, size, trunk, device, dtype).result()
            wall_s, cpu_s = map(statistics.median, zip(*times[trunk][1:], strict=True))
            pixels = f"{BATCH_SIZE[host]} x {size[0]}x{size[1]}"
            figures = f"{wall_s:.2f} | {cpu_s:.2f} | {memory:.2f}"
            print(f"| {path.stem} | {trunk} | {pixels} | {figures} |", flush=True)


def main() -> None:
    """Read the command line and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["list", "compare"])
    parser.add_argument("--scale", type=float, help="scale of the sides; list 0.25, compare 1")
    parser.add_argument("--steps", type=int, default=3, help="steps of compare, per trunk")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    args = parser.parse_args()
    register()
    print(f"{device_name()}, {torch.get_num_threads()} threads, {args.dtype}\n")
    if args.what == "compare":
        compare(args.scale or 1.0, args.steps, args.device, args.dtype)
        return
    scale = args.scale or 0.25
    sizes = [
        f"{host} {BATCH_SIZE[host]} x {'x'.join(map(str, shrunk(FULL_SIZE[host], scale)))}"
        for host in HOSTS
    ]
    print(f"GFLOPs: multiply-adds of one image at full size. Seconds: {', '.join(sizes)}.\n")
    print("| config | parameters, M | GFLOPs | s per training step |\n| --- | --- | --- | --- |")
    for path in sorted([*ROOT.glob("mmdet_configs/*.py"), *ROOT.glob("mmseg_configs/*.py")]):
        print(describe(path, scale, args.device, args.dtype), flush=True)


if __name__ == "__main__":
    main()
