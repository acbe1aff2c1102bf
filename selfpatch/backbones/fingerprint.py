"""What the weights are and how they are used -> one name for a backbone."""

import hashlib
import json
from typing import Any


def fingerprint(weights: str, architecture: dict[str, Any]) -> str:
    """SHA-256 of the weights' SHA-256 and of all that tells how they compute."""
    described = json.dumps([weights, architecture], sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()
