"""Where the container images of the steps live; FEATRIX_REGISTRY names another registry when compiling and building."""

from __future__ import annotations

import os

REGISTRY = os.environ.get("FEATRIX_REGISTRY", "ghcr.io/featrix")
VERSION = "0.1.0"
TRAINERS = frozenset({"train-space", "extend-space", "train-predictor"})
"""Images that exist with a CUDA build of torch as well; they run on nodes without an accelerator too."""
VARIANT_ENVIRONMENT = "FEATRIX_IMAGE_VARIANT"


def image(step: str) -> str:
    """Full name of a step's image, e.g. `ghcr.io/featrix/ingest:0.1.0` (OPS-1).

    Trainers are named with their CUDA variant unless the environment variable FEATRIX_IMAGE_VARIANT
    is `cpu`. The name is read when the pipeline is compiled; the step's own code never sees it.
    """
    cuda = step in TRAINERS and os.environ.get(VARIANT_ENVIRONMENT, "cuda") != "cpu"
    return f"{REGISTRY}/{step}:{VERSION}{'-cuda' if cuda else ''}"
