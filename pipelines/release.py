"""Packages for a release: every image by its digest, never by a tag that may move (OPS-3).

    python -m pipelines.release --digests out/digests.json --out out/release

`digests.json` maps the images' names to digests (`{"ghcr.io/featrix/ingest:0.1.0": "sha256:…"}`);
`images/push` writes it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from featrix_core.errors import FeatrixUserError
from featrix_core.files import read_json, write_text
from pipelines.compile import COMPILED, DAGS

_IMAGE = re.compile(r"^(\s*image: )(\S+)$", re.MULTILINE)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def images_in(package: str) -> list[str]:
    """Images of all executors of a compiled package, sorted."""
    spec: dict[str, Any] = next(iter(yaml.safe_load_all(package)))
    executors = spec["deploymentSpec"]["executors"].values()
    return sorted({executor["container"]["image"] for executor in executors})


def refuse_tags(package: str) -> None:
    """Do nothing where every image has a digest.

    Raises:
        FeatrixUserError: one has none; it names the image.
    """
    for image in images_in(package):
        name, _, digest = image.partition("@")
        if not _DIGEST.fullmatch(digest) or ":" in name.rsplit("/", 1)[-1]:
            raise FeatrixUserError(
                "An image of a release package has no digest, or a tag beside it",
                value=image,
                remedy="Name its digest in the file of digests (images/push writes one)",
            )


def pinned(package: str, digests: Mapping[str, str]) -> str:
    """The package with `name@digest` for every `name:tag`.

    Raises:
        FeatrixUserError: an image's digest is not known, or is none.
    """

    def by_digest(match: re.Match[str]) -> str:
        image = match[2]
        name = image.rpartition(":")[0]
        return f"{match[1]}{name}@{digests[image]}" if image in digests else match[0]

    text = _IMAGE.sub(by_digest, package)
    refuse_tags(text)
    return text


def write_release(digests: Mapping[str, str], folder: Path) -> list[Path]:
    """Write every DAG's release package; none is written where one is refused."""
    packages = {
        name: pinned((COMPILED / f"{name}.yaml").read_text("utf-8"), digests)
        for name in sorted(DAGS)
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in packages.items():
        written.append(folder / f"{name}.yaml")
        write_text(written[-1], text)
    return written


def main() -> int:
    """The command; 2 where the input is refused."""
    parser = argparse.ArgumentParser(description="Release packages: images by digest.")
    parser.add_argument("--digests", type=Path, required=True, help="JSON: image -> digest")
    parser.add_argument("--out", type=Path, required=True, help="folder of the packages")
    given = parser.parse_args()
    try:
        for path in write_release(read_json(given.digests), given.out):
            sys.stdout.write(f"{path}\n")
    except FeatrixUserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
