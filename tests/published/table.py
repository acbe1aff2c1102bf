"""Every layout and how far its tokens are from its authors': ``python -m tests.published.table``.

Prints the table of docs/layouts.md, as Markdown.
"""

import tempfile
from collections import defaultdict
from pathlib import Path

import torch

from selfpatch.backbones.file import read_file
from selfpatch.backbones.keys import Report
from selfpatch.backbones.loading import trunk_of
from selfpatch.models.trunks import Trunk
from tests.published import Written, images, names, tokens_of, unpacked


def main() -> None:
    """Print the table."""
    print("| layout | written by | parameters | largest difference | the report says |")
    print("| --- | --- | --- | --- | --- |")
    for name in names():
        with tempfile.TemporaryDirectory() as folder:
            written, path = unpacked(name, Path(folder))
            state, info, report = read_file(path, **written.options)
            trunk = trunk_of(info, state)
            print("|", " | ".join([
                name, author(written), f"{sum(p.numel() for p in trunk.parameters()):,}",
                differences(name, trunk), said(info.method, report),
            ]), "|")  # fmt: skip


def author(written: Written) -> str:
    """Whose code wrote a file."""
    commit = f" @ {written.commit[:7]}" if written.commit else ""
    return f"{written.repository}{commit}: {written.code}"


@torch.no_grad()
def differences(name: str, trunk: Trunk) -> str:
    """The largest difference of any token at each size."""
    found = []
    for (height, width), expected in tokens_of(name).items():
        tokens = trunk.norm(trunk(images(height, width)))
        count = min(tokens.shape[1], expected.shape[1])
        difference = (tokens[:, -count:] - expected[:, -count:]).abs().max().item()
        found.append(f"{height}x{width}: {difference:.1e}")
    return ", ".join(found)


def said(method: str, report: Report) -> str:
    """The method, and where each value comes from that the weights do not tell."""
    sources = defaultdict(list)
    for value, source in report.values.items():
        sources[source].append(value)
    network = f" ({report.network})" * bool(report.network)
    parts = [f"{', '.join(values)} {source}" for source, values in sources.items()]
    return "; ".join([f"{method}{network}", *parts])


if __name__ == "__main__":
    main()
