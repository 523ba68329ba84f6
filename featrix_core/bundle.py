"""Saved state: a directory of safetensors and JSON with a sha256 manifest; no pickle, relocatable.

`manifest.json` lists every file with its digest and carries a format version and a kind; its own digest
stands in `manifest.sha256`. A byte changed in any of the files is found on loading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featrix_core.errors import BundleError
from featrix_core.files import atomic_directory, read_json, sha256_of, write_json, write_text

FORMAT = 1
MANIFEST = "manifest.json"
SEAL = "manifest.sha256"


def _seal(folder: Path, kind: str) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    digests = {p.relative_to(folder).as_posix(): sha256_of(p) for p in files}
    write_json(folder / MANIFEST, {"format": FORMAT, "kind": kind, "files": digests})
    write_text(folder / SEAL, sha256_of(folder / MANIFEST) + "\n")


@contextmanager
def writing_bundle(path: Path, kind: str) -> Iterator[Path]:
    """Yield a folder to fill; it is sealed and takes the place of `path` when the block ends well."""
    with atomic_directory(path) as folder:
        yield folder
        _seal(folder, kind)


def bundle_digest(path: Path) -> str:
    """Digest that stands for the whole bundle: that of its manifest."""
    return sha256_of(path / MANIFEST)


def bundle_kind(path: Path) -> str:
    """`space` or `predictor`, without verifying the rest."""
    return str(_manifest(path)["kind"])


def _manifest(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise BundleError(
            f"There is no bundle at {path}", remedy="Give the folder that `save` or `fit` wrote"
        )
    for name in (MANIFEST, SEAL):
        if not (path / name).is_file():
            raise BundleError(
                f"{path} is not a complete bundle: {name} is missing",
                remedy="Save it again, or copy the whole folder",
            )
    damaged = BundleError(
        f"The bundle at {path} is damaged: {MANIFEST} is not the one that was sealed",
        remedy="Restore the folder from a copy or train again",
    )
    if (path / SEAL).read_bytes() != (sha256_of(path / MANIFEST) + "\n").encode():
        raise damaged
    manifest = read_json(path / MANIFEST)
    if not isinstance(manifest, dict):
        raise damaged
    return manifest


def verify_bundle(path: Path, kind: str) -> None:
    """Check format, kind and every digest.

    Raises:
        BundleError: names the file that is missing or changed.
    """
    manifest = _manifest(path)
    if manifest.get("format") != FORMAT:
        raise BundleError(
            f"The bundle at {path} has format {manifest.get('format')}, this version reads {FORMAT}",
            remedy="Use the featrix version that wrote it, or train again",
        )
    if manifest.get("kind") != kind:
        raise BundleError(
            f"{path} holds a {manifest.get('kind')}, not a {kind}",
            remedy=f"Give the folder of a {kind}",
        )
    for name, digest in sorted(manifest["files"].items()):
        file = path / name
        if not file.is_file():
            raise BundleError(
                f"The bundle at {path} lacks the file {name}", remedy="Copy the whole folder"
            )
        if sha256_of(file) != digest:
            raise BundleError(
                f"The bundle at {path} is damaged: {name} has changed since it was saved",
                remedy="Restore the folder from a copy or train again",
            )


def write_tensors(path: Path, tensors: Mapping[str, Any]) -> None:
    """Write tensors as safetensors, names sorted; views are made contiguous copies."""
    from safetensors.torch import save_file

    save_file({k: tensors[k].detach().cpu().contiguous().clone() for k in sorted(tensors)}, path)


def read_tensors(path: Path) -> dict[str, Any]:
    """Read safetensors to the CPU."""
    from safetensors.torch import load_file

    return load_file(path)
