"""Backbones by name: fetched from a hub that the test itself is, or one sentence."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from selfpatch.backbones.doors import fetched, from_torch_hub
from selfpatch.backbones.file import read_file
from selfpatch.errors import InputError
from tests import ROOT
from tests.published import unpacked

COMMIT = "a" * 40
REPOSITORIES = {
    "made/vit": "transformers-vit",
    "timm/eva02_tiny_patch14_224.mim_in22k": "timm-eva02",
}


class Hub(BaseHTTPRequestHandler):
    """As much of Hugging Face as a client asks for."""

    folders: dict[str, Path]

    def do_GET(self) -> None:
        self.answer(with_content=True)

    def do_HEAD(self) -> None:
        self.answer(with_content=False)

    def answer(self, with_content: bool) -> None:
        """A repository's list of files, or one of them."""
        parts = self.path.split("?")[0].strip("/").split("/")
        name = "/".join(parts[2:4] if parts[:2] == ["api", "models"] else parts[:2])
        if name not in self.folders:
            self.send_response(401 if "gated" not in name else 403)
            self.send_header("X-Error-Code", "GatedRepo" if "gated" in name else "RepoNotFound")
            self.end_headers()
            return
        folder, headers = self.folders[name], {"X-Repo-Commit": COMMIT}
        if parts[0] == "api":
            files = [{"rfilename": path.name, "type": "file", "path": path.name, "oid": "0",
                      "size": path.stat().st_size} for path in folder.iterdir()]  # fmt: skip
            whole = {"id": name, "sha": COMMIT, "siblings": files}
            content = json.dumps(files if "tree" in parts else whole).encode()
            headers["Content-Type"] = "application/json"
        else:
            content = (folder / parts[-1]).read_bytes()
            headers["ETag"] = f'"{hashlib.sha256(content).hexdigest()}"'
        self.send_response(200)
        for header, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(header, value)
        self.end_headers()
        if with_content:
            self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[dict[str, str]]:
    """A hub at work, and the environment in which commands find it."""
    root = tmp_path_factory.mktemp("hub")
    for name, layout in REPOSITORIES.items():
        unpacked(layout, root / name)
    Hub.folders = {name: root / name for name in REPOSITORIES}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(root / "cache"),
           "HF_HUB_DISABLE_XET": "1", "no_proxy": "127.0.0.1"}  # fmt: skip
    server.shutdown()
    server.server_close()


def command(hub: dict[str, str], *arguments: Any) -> subprocess.CompletedProcess[str]:
    """`selfpatch import` with this hub."""
    line = [sys.executable, "-m", "selfpatch", "import", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, env={**os.environ, **hub}, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [("hf:made/vit", ["--method", "dino"]), ("timm:eva02_tiny_patch14_224.mim_in22k", [])],
)
def test_a_name_is_fetched_once_and_is_there_without_a_network_then(name, options, hub, tmp_path):
    done = command(hub, "--from", name, tmp_path / "b.safetensors", *options)
    assert done.returncode == 0, done.stderr
    _, info, _ = read_file(tmp_path / "b.safetensors")
    assert info.source == name
    again = command({**hub, "HF_ENDPOINT": "http://127.0.0.1:9"}, name, tmp_path / "c.safetensors",
                    *options)  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert read_file(tmp_path / "c.safetensors")[1].fingerprint == info.fingerprint


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("hf:made/nothing", "Hugging Face has no made/nothing, or not for everybody"),
        ("hf:gated/vit", "its terms have to be accepted on its page first"),
    ],
)
def test_what_is_not_there_for_all_is_one_sentence(name, sentence, hub, tmp_path):
    done = command(hub, name, tmp_path / "b.safetensors")
    assert done.returncode == 2
    assert f"error: {name} cannot be had: {sentence}" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("timm:vit_smal_patch16_224.dino", "did you mean timm:vit_small_patch16_224.dino?"),
        ("timm:", "timm publishes no weights called ''"),
        ("hf:a/b/c", r"its form is hf:ORGANISATION/NAME"),
    ],
)
def test_a_name_of_the_wrong_form_is_one_sentence(name, sentence):
    with pytest.raises(InputError, match=sentence.replace("?", r"\?")):
        fetched(name)


HUBCONF = """
import torch
dependencies = ["torch"]
def small(**kwargs):
    import timm
    return timm.create_model("vit_tiny_patch16_224", depth=1, img_size=32, num_classes=0)
def broken(**kwargs):
    raise ValueError("no weights")
"""


def test_a_repository_of_torch_hubs_is_asked_for_its_network(tmp_path):
    (tmp_path / "hubconf.py").write_text(HUBCONF)
    state, info, _ = read_file(f"hub:{tmp_path}:small", method="dino")
    assert info.source == f"hub:{tmp_path}:small"
    assert state["pos_embed"].shape == (1, 5, 192)
    with pytest.raises(InputError, match=r"hub:.*:broken cannot be had: ValueError: no weights"):
        read_file(f"hub:{tmp_path}:broken")
    with pytest.raises(InputError, match="is not of the form hub:OWNER/REPOSITORY:NAME"):
        read_file("hub:dino:vits16")


def test_a_repository_that_is_not_trusted_is_one_sentence(monkeypatch):
    def load(*args, **kwargs):
        assert kwargs["trust_repo"] == "check"
        raise EOFError

    monkeypatch.setattr(torch.hub, "load", load)
    with pytest.raises(InputError, match=r'does not trust yet; call torch\.hub\.load\("some/one",'):
        from_torch_hub("hub:some/one:net")


def test_the_repository_tells_the_method(monkeypatch):
    monkeypatch.setattr(torch.hub, "load", lambda *args, **kwargs: torch.nn.Linear(1, 1))
    assert from_torch_hub("hub:facebookresearch/dino:main:dino_vits16")[1] == "dino"
    assert from_torch_hub("hub:some/one:net")[1] is None
