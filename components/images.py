"""Where the container images of the steps live: the one place to change for another registry."""

from __future__ import annotations

REGISTRY = "ghcr.io/featrix"
VERSION = "0.1.0"


def image(step: str) -> str:
    """Full name of a step's image, e.g. `ghcr.io/featrix/train-space:0.1.0` (OPS-1).

    The name is read when the pipeline is compiled; the step's own code never sees it.
    """
    return f"{REGISTRY}/{step}:{VERSION}"
