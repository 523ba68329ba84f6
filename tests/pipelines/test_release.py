"""Release packages name every image by digest (OPS-3)."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from featrix_core.errors import FeatrixUserError
from pipelines.compile import COMPILED
from pipelines.release import images_in, pinned, refuse_tags

TRAIN = (COMPILED / "train.yaml").read_text("utf-8")


def digests_of(*packages: str) -> dict[str, str]:
    names = {image for package in packages for image in images_in(package)}
    return {name: f"sha256:{hashlib.sha256(name.encode()).hexdigest()}" for name in names}


def test_every_tag_becomes_a_digest_and_nothing_else_changes() -> None:
    digests = digests_of(TRAIN)
    release = pinned(TRAIN, digests)
    assert len(digests) == 9
    assert images_in(release) == sorted(
        f"{name.rpartition(':')[0]}@{digest}" for name, digest in digests.items()
    )
    before, after = TRAIN.splitlines(), release.splitlines()
    changed = [a for a, b in zip(after, before, strict=True) if a != b]
    assert len(changed) == 9
    assert all(line.lstrip().startswith("image: ") for line in changed)
    refuse_tags(release)


@pytest.mark.parametrize("value", [None, "", "latest", "sha256:abc", "sha256:" + "g" * 64])
def test_an_image_without_a_digest_is_refused(value: str | None) -> None:
    digests = digests_of(TRAIN)
    image = sorted(digests)[3]
    if value is None:
        del digests[image]
    else:
        digests[image] = value
    with pytest.raises(FeatrixUserError, match="digest") as refused:
        pinned(TRAIN, digests)
    assert image.rpartition(":")[0] in str(refused.value)


def test_a_tag_beside_a_digest_is_refused() -> None:
    digests = digests_of(TRAIN)
    both = TRAIN.replace(sorted(digests)[0], f"{sorted(digests)[0]}@{next(iter(digests.values()))}")
    with pytest.raises(FeatrixUserError, match="tag"):
        refuse_tags(both)


def test_the_command_writes_all_packages_or_none(tmp_path: Path, repository: Path) -> None:
    packages = [path.read_text("utf-8") for path in COMPILED.glob("*.yaml")]
    digests = digests_of(*packages)
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
        refuse_tags(path.read_text("utf-8"))
