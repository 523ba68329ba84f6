"""Release packages name every image by digest (OPS-3)."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from featrix_core.errors import FeatrixUserError
from tests.pipelines.conftest import COMPILED

TRAIN = (COMPILED / "train.yaml").read_text("utf-8")


@pytest.fixture(scope="module")
def release() -> ModuleType:
    """The module, imported in a thread: kfp reads the call stack for every task, and a thread's is short."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(importlib.import_module, "pipelines.release").result()


def digests_of(release: ModuleType, *packages: str) -> dict[str, str]:
    names = {image for package in packages for image in release.images_in(package)}
    return {name: f"sha256:{hashlib.sha256(name.encode()).hexdigest()}" for name in names}


def test_every_tag_becomes_a_digest_and_nothing_else_changes(release: ModuleType) -> None:
    digests = digests_of(release, TRAIN)
    pinned = release.pinned(TRAIN, digests)
    assert len(digests) == 9
    assert release.images_in(pinned) == sorted(
        f"{name.rpartition(':')[0]}@{digest}" for name, digest in digests.items()
    )
    before, after = TRAIN.splitlines(), pinned.splitlines()
    changed = [a for a, b in zip(after, before, strict=True) if a != b]
    assert len(changed) == 9
    assert all(line.lstrip().startswith("image: ") for line in changed)
    release.refuse_tags(pinned)


@pytest.mark.parametrize("value", [None, "", "latest", "sha256:abc", "sha256:" + "g" * 64])
def test_an_image_without_a_digest_is_refused(release: ModuleType, value: str | None) -> None:
    digests = digests_of(release, TRAIN)
    image = sorted(digests)[3]
    if value is None:
        del digests[image]
    else:
        digests[image] = value
    with pytest.raises(FeatrixUserError, match="digest") as refused:
        release.pinned(TRAIN, digests)
    assert image.rpartition(":")[0] in str(refused.value)


def test_a_tag_beside_a_digest_is_refused(release: ModuleType) -> None:
    digests = digests_of(release, TRAIN)
    both = TRAIN.replace(sorted(digests)[0], f"{sorted(digests)[0]}@{next(iter(digests.values()))}")
    with pytest.raises(FeatrixUserError, match="tag"):
        release.refuse_tags(both)


def test_the_command_writes_all_packages_or_none(
    release: ModuleType, tmp_path: Path, repository: Path
) -> None:
    packages = [path.read_text("utf-8") for path in COMPILED.glob("*.yaml")]
    digests = digests_of(release, *packages)
    file, out = tmp_path / "digests.json", tmp_path / "release"
    command = [sys.executable, "-m", "pipelines.release", "--digests", str(file), "--out", str(out)]
    # The last package by name lacks one: the first must not be written either.
    lacking = {k: v for k, v in digests.items() if "train-space" not in k}
    file.write_text(json.dumps(lacking), "utf-8")
    refused = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "train-space" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not out.exists()
    file.write_text(json.dumps(digests), "utf-8")
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["score.yaml", "train.yaml"]
    for path in out.iterdir():
        release.refuse_tags(path.read_text("utf-8"))
