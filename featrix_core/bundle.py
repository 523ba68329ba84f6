"""Saved state: a directory of safetensors and JSON with a sha256 manifest; no pickle, relocatable.

`manifest.json` lists every file with its digest and carries a format version and a kind; its own digest
stands in `manifest.sha256`. What a step lays beside these files (figures, evaluation) is no part of the
bundle's identity and is sealed apart, in `beside.json` and `beside.sha256`. A byte changed in any of the
files is found on loading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featrix_core.errors import BundleError
from featrix_core.files import atomic_directory, read_json, sha256_of, write_json, write_text

FORMAT = 7
MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
BESIDE = "beside.json"
BESIDE_SEAL = "beside.sha256"


def _seal(folder: Path, kind: str) -> None:
    document = {"format": FORMAT, "kind": kind, "files": _digests(folder, set())}
    write_json(folder / MANIFEST, document)
    write_text(folder / SEAL, sha256_of(folder / MANIFEST) + "\n")


def _digests(folder: Path, without: set[str]) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    named = {p.relative_to(folder).as_posix(): p for p in files}
    return {name: sha256_of(file) for name, file in named.items() if name not in without}


def seal_beside(path: Path) -> None:
    """Seal the files that a step has laid beside a bundle's own; loading checks them as well."""
    own = {MANIFEST, SEAL, BESIDE, BESIDE_SEAL, *_manifest(path)["files"]}
    write_json(path / BESIDE, {"files": _digests(path, own)})
    write_text(path / BESIDE_SEAL, sha256_of(path / BESIDE) + "\n")


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
    return _sealed(path, MANIFEST, SEAL)


def _sealed(path: Path, document: str, seal: str) -> dict[str, Any]:
    """A document of the bundle, after comparing it with its seal."""
    for name in (document, seal):
        if not (path / name).is_file():
            raise BundleError(
                f"{path} is not a complete bundle: {name} is missing",
                remedy="Give the folder that `save` or `fit` wrote, and the whole of it",
            )
    damaged = BundleError(
        f"The bundle at {path} is damaged: {document} is not the one that was sealed",
        remedy="Restore the folder from a copy or train again",
    )
    if (path / seal).read_bytes() != (sha256_of(path / document) + "\n").encode():
        raise damaged
    found = read_json(path / document)
    if not isinstance(found, dict):
        raise damaged
    return found


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
    digests = dict(manifest["files"])
    if (path / BESIDE).exists() or (path / BESIDE_SEAL).exists():
        digests |= _sealed(path, BESIDE, BESIDE_SEAL)["files"]
    for name, digest in sorted(digests.items()):
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
    path.chmod(0o644)  # safetensors makes files that only their owner can read


def read_tensors(path: Path) -> dict[str, Any]:
    """Read safetensors to the CPU."""
    from safetensors.torch import load_file

    return load_file(path)
