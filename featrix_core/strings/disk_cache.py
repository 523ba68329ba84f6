"""Sentence vectors on disk, shared by all processes of a user (STR-2).

A SQLite file in WAL mode: readers never wait, writers wait for one another. It is a cache and
nothing more: whatever goes wrong with it is said once in the log, and the vectors are computed. A file
that cannot be used (no place, no right, held by another process for too long) is left alone from then on.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featrix_core.strings.grid import DIMENSION

FOLDER_ENVIRONMENT = "FEATRIX_CACHE_DIR"
MAX_BYTES = 512 * 2**20
FILE_NAME = "sentences-1.sqlite"  # another layout gets another number
_VALUE_BYTES = 2 * DIMENSION
_CHUNK = 8192
_WAIT_SECONDS = 20.0
_POLL_SECONDS = 0.05
# The first half of a key is the row's number, the second is compared: no 64-bit accident is possible.
_LAYOUT = """
CREATE TABLE IF NOT EXISTS vectors (key INTEGER PRIMARY KEY, proof INTEGER NOT NULL,
                                    added INTEGER NOT NULL, steps BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS vectors_by_age ON vectors (added);
"""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_log = logging.getLogger(__name__)


class DiskCache:
    """Grid steps by 16-byte key in one file under `folder`, which never outgrows `max_bytes` by much.

    Over the bound the oldest quarter goes. A damaged file is set aside under another name. Safe for
    several processes, threads and forks: no connection outlives a call.
    """

    def __init__(self, folder: str | Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = Path(folder).expanduser() / FILE_NAME
        self._max_bytes = max_bytes
        self._off = False

    @property
    def path(self) -> Path:
        """The file; it appears with the first vector."""
        return self._path

    def read(self, keys: Sequence[bytes], into: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Fill the known rows of `into` (n, 384) and tell which they are."""
        known_n = np.zeros(len(keys), dtype=np.bool_)

        def look_up(database: sqlite3.Connection) -> None:
            for start in range(0, len(keys), _CHUNK):
                chunk = slice(start, start + _CHUNK)
                known_n[chunk] = _read(database, keys[chunk], into[chunk])

        if keys:
            self._use(look_up, make=False)
        return known_n

    def write(self, keys: Sequence[bytes], steps: NDArray[np.int16]) -> None:
        """Keep n vectors (n, 384)."""
        added = time.time_ns()
        numbers = _numbers(keys)
        raw = steps.astype("<i2")
        rows = (
            (*numbers[row].tolist(), added, raw[row].tobytes())
            for row in np.argsort(numbers[:, 0])  # neighbours share a page of the file
        )

        def insert(database: sqlite3.Connection) -> None:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", rows)
            self._evict(database)
            database.execute("COMMIT")

        if keys:
            self._use(insert)

    def _evict(self, database: sqlite3.Connection) -> None:
        def figure(name: str) -> int:
            return int(database.execute(f"PRAGMA {name}").fetchone()[0])

        used = (figure("page_count") - figure("freelist_count")) * figure("page_size")
        if used <= self._max_bytes:
            return
        rows = int(database.execute("SELECT count(*) FROM vectors").fetchone()[0])
        kept = int(rows * 0.75 * self._max_bytes / used)
        database.execute(
            "DELETE FROM vectors WHERE key IN (SELECT key FROM vectors ORDER BY added, key LIMIT ?)",
            (rows - kept,),
        )

    def _use(self, work: Callable[[sqlite3.Connection], None], make: bool = True) -> None:
        """Do some work on the file, made where it is not there; errors end the work, not the caller."""
        if self._off:
            return
        try:
            try:
                if not make and not self._path.is_file():
                    return
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with contextlib.closing(self._connect()) as database:
                    work(database)
            except sqlite3.DatabaseError as error:
                if not _tells_of_damage(error):
                    raise
                self._set_aside(error)
        except (sqlite3.Error, OSError) as error:
            # Waiting for a busy file once is enough: every later call would wait as long.
            self._off = True
            _log.warning("The cache of sentence vectors in %s is off: %s", self._path, error)

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None)
        try:
            if database.execute("PRAGMA user_version").fetchone()[0] != 1:
                with _alone(self._path):  # switching to WAL does not wait for others by itself
                    database.execute("PRAGMA journal_mode = WAL")
                    database.executescript(_LAYOUT)
                    database.execute("PRAGMA user_version = 1")
            database.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            database.close()
            raise
        return database

    def _set_aside(self, error: sqlite3.Error) -> None:
        """Move a damaged file away, unless another process has done so already."""
        with _alone(self._path):
            if _is_sound(self._path):
                return
            aside = self._path.with_suffix(".damaged")
            self._path.replace(aside)
            for ending in ("-wal", "-shm"):
                self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
        _log.warning(
            "The cache of sentence vectors is damaged (%s); it was moved to %s and starts anew",
            error,
            aside,
        )


def default_disk_cache() -> DiskCache | None:
    """The cache that the environment asks for: `FEATRIX_CACHE_DIR`, none where that is empty.

    Without that variable it lies in the user's cache folder, where one can be written.
    """
    named = os.environ.get(FOLDER_ENVIRONMENT)
    if named is not None:
        return DiskCache(named) if named else None
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(base).expanduser() / "featrix"
    place = folder
    while not place.exists():
        place = place.parent
    # A container without a home is nothing to warn of.
    return DiskCache(folder) if os.access(place, os.W_OK | os.X_OK) else None


def _read(
    database: sqlite3.Connection, keys: Sequence[bytes], into: NDArray[np.int16]
) -> NDArray[np.bool_]:
    numbers = _numbers(keys)
    known_n = np.zeros(len(keys), dtype=np.bool_)
    row_of = {key: row for row, key in enumerate(numbers[:, 0].tolist())}
    found = database.execute(
        "SELECT key, proof, steps FROM vectors WHERE key IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(row_of)),),
    ).fetchall()
    if not found:
        return known_n
    rows = np.array([row_of[key] for key, _, _ in found])
    proofs = np.array([proof for _, proof, _ in found], np.int64)
    sound = np.array([len(steps) == _VALUE_BYTES for _, _, steps in found])
    sound &= numbers[rows, 1] == proofs
    values = b"".join(item[2] for item, good in zip(found, sound.tolist(), strict=True) if good)
    into[rows[sound]] = np.frombuffer(values, "<i2").reshape(-1, DIMENSION)
    known_n[rows[sound]] = True
    return known_n


def _numbers(keys: Sequence[bytes]) -> NDArray[np.int64]:
    """Both halves of 16-byte keys, as SQLite's integers (n, 2)."""
    return np.frombuffer(b"".join(keys), "<i8").reshape(-1, 2).astype(np.int64)


def _tells_of_damage(error: sqlite3.Error) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DAMAGED


def _is_sound(path: Path) -> bool:
    """Whether the file is whole; an error that says nothing of damage (the file is busy) is raised."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_WAIT_SECONDS)) as database:
            return bool(database.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError as error:
        if not _tells_of_damage(error):
            raise
        return False


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock file beside `path`: one process at a time makes or removes the file."""
    import fcntl

    with path.with_suffix(".lock").open("w") as handle:
        latest = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > latest:
                    raise
                time.sleep(_POLL_SECONDS)
        yield
