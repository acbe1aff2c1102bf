"""``timm:NAME``, ``hf:ORG/NAME`` and ``hub:REPO:NAME`` -> what is published there.

What timm and Hugging Face publish is fetched into the hub's cache, and is there without a network
from then on. ``torch.hub`` runs a repository's own code, which it does for those it trusts.
"""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfpatch.backbones.methods import METHODS
from selfpatch.errors import InputError

if TYPE_CHECKING:  # a plan looks at names without torch
    from selfpatch.backbones.contents import Contents

DOORS = ("timm:", "hf:", "hub:")
"""What the name of a backbone begins with that is no file."""

FILES = ["*config.json", "model.safetensors", "model.safetensors.index.json",
         "model-*-of-*.safetensors", "open_clip_model.safetensors"]  # fmt: skip
"""Files of a repository of Hugging Face that are fetched."""

PICKLES = ["pytorch_model*.bin", "pytorch_model.bin.index.json", "open_clip_pytorch_model.bin"]
"""Files that are fetched where the weights are there in no other form."""


def is_elsewhere(name: str | Path) -> bool:
    """Whether a backbone is named that is no file on this machine."""
    return str(name).startswith(DOORS)


def fetched(name: str) -> Path:
    """The folder of what ``timm:NAME`` or ``hf:ORG/NAME`` names, once it is here.

    Raises:
        InputError: There is no such thing, it may not be had, or there is no network.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    repository = name.removeprefix("hf:") if name.startswith("hf:") else of_timm(name)
    try:
        folder = Path(snapshot_download(repository, allow_patterns=FILES))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(repository, allow_patterns=[*FILES, *PICKLES]))
        return folder
    except GatedRepoError:
        reason = "its terms have to be accepted on its page first, and `hf auth login` be run"
    except RepositoryNotFoundError:
        reason = f"Hugging Face has no {repository}, or not for everybody"
    except HFValidationError:
        reason = "its form is hf:ORGANISATION/NAME"
    except (LocalEntryNotFoundError, ConnectionError, TimeoutError):
        reason = (
            "it is not on this machine, and Hugging Face cannot be reached; fetch its folder where"
            " there is a network, and give that"
        )
    except HfHubHTTPError as error:
        reason = str(error).splitlines()[0]
    raise InputError(f"{name} cannot be had: {reason}")


def of_timm(name: str) -> str:
    """Hugging Face's repository of weights of timm's."""
    from timm.models import get_pretrained_cfg, list_pretrained

    asked = name.removeprefix("timm:")
    published = get_pretrained_cfg(asked) if asked else None
    if published is None or not published.hf_hub_id:
        close = difflib.get_close_matches(asked, list_pretrained(), n=1)
        hint = f"; did you mean timm:{close[0]}?" if close else ""
        raise InputError(f"timm publishes no weights called {asked!r} on Hugging Face{hint}")
    return str(published.hf_hub_id)


def from_torch_hub(name: str) -> tuple["Contents", str | None]:
    """The weights of the network that ``hub:REPO:NAME`` builds, and the method of the repository.

    ``REPO`` is ``OWNER/NAME`` on GitHub, with ``:REF`` if need be, or a folder with a hubconf.py.

    Raises:
        InputError: It cannot be had, or is not trusted.
    """
    import torch

    from selfpatch.backbones.contents import Contents

    repository, _, entry = name.removeprefix("hub:").rpartition(":")
    local = Path(repository).is_dir()
    if not repository or not entry or not (local or "/" in repository):
        raise InputError(f"{name} is not of the form hub:OWNER/REPOSITORY:NAME")
    try:
        options: dict[str, Any] = {"source": "local"} if local else {"trust_repo": "check"}
        network = torch.hub.load(repository, entry, verbose=False, **options)
        weights = network.state_dict()
    except EOFError:
        raise InputError(
            f"{name} runs the code of {repository}, which torch.hub does not trust yet; call"
            f' torch.hub.load("{repository}", "{entry}", trust_repo=True) once'
        ) from None
    except Exception as error:  # whatever that code does
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"{name} cannot be had: {reason}") from None
    origin = repository.split(":")[0]
    method = next((m.name for m in METHODS if m.origin == origin and m.values), None)
    size = sum(value.nbytes for value in weights.values())
    return Contents(name, dict(weights), size=size), method
