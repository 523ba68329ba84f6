"""The bytes of a file in blocks, unpacked on the way, with limits against decompression bombs."""

from __future__ import annotations

import bz2
import gzip
import lzma
import queue
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from featrix_core.errors import FeatrixUserError

BLOCK_BYTES = 4 * 1024 * 1024
MAX_RATIO = 250  # tables pack 3 to 60 times; beyond this a file is a bomb or one repeated row
MAX_UNPACKED_BYTES = 256 * 1024**3
_RATIO_FREE_BYTES = 64 * 1024**2  # small files may pack as well as they like
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)
COMPRESSED_ENDINGS = (".gz", ".zst", ".bz2", ".xz", ".zip")
_LITTER = ("__MACOSX/", ".DS_Store")

OnBytes = Callable[[int, int], None]
"""Told of bytes read so far and bytes in all."""


@dataclass(frozen=True)
class Unpacked:
    """How a file is packed, and the name of what is inside."""

    compression: str
    inner_name: str


def packing(path: Path) -> Unpacked:
    """How the file is packed, told by its first bytes; `compression` is "" for a plain file.

    Raises:
        FeatrixUserError: a zip archive that does not hold exactly one file.
    """
    with path.open("rb") as handle:
        head = handle.read(10)
    kind = next((name for magic, name in _MAGIC if head.startswith(magic)), "")
    if head.startswith(b"BZh") and head[4:10] == b"1AY&SY":
        kind = "bz2"
    if kind == "zip":
        with _told(path), zipfile.ZipFile(path) as archive:
            return Unpacked(kind, _only_member(archive, path).filename)
    packed_name = path.suffix.lower() in COMPRESSED_ENDINGS
    return Unpacked(kind, path.stem if packed_name else path.name)


def blocks(path: Path, on_bytes: OnBytes | None = None) -> Iterator[bytes]:
    """The file's bytes, unpacked, in blocks of about 4 MB.

    A thread reads ahead by two blocks, so that unpacking and parsing share two cores.

    Raises:
        FeatrixUserError: the file is damaged or cut short, encrypted, or unpacks to more than the
            limits allow.
    """
    total = path.stat().st_size
    ahead: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=2)
    stop = threading.Event()

    def read() -> None:
        try:
            for block in _read(path, total, on_bytes):
                ahead.put(block)
                if stop.is_set():
                    return
            ahead.put(None)
        except BaseException as error:
            ahead.put(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while (block := ahead.get()) is not None:
            if isinstance(block, BaseException):
                raise block
            yield block
    finally:
        stop.set()
        while reader.is_alive():
            with _empty_is_fine():
                ahead.get(timeout=0.05)


def _read(path: Path, total: int, on_bytes: OnBytes | None) -> Iterator[bytes]:
    with _told(path), ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        stream = _opened(path, raw, stack)
        unpacked, carry = 0, b""
        while block := stream.read(BLOCK_BYTES):
            unpacked += len(block)
            done = raw.tell() if not raw.closed else total
            if stream is not raw:
                _check_limits(path, unpacked, max(done, 1))
            if on_bytes is not None:
                on_bytes(min(done, total), total)
            # Blocks that end with a line spare the next stage from joining them.
            cut = block.rfind(b"\n") + 1
            yield carry + block[:cut] if cut else carry + block
            carry = block[cut:] if cut else b""
        if carry:
            yield carry


def _opened(path: Path, raw: IO[bytes], stack: ExitStack) -> Any:
    kind = packing(path).compression
    if kind == "gzip":
        return stack.enter_context(gzip.GzipFile(fileobj=raw))
    if kind == "bz2":
        return stack.enter_context(bz2.BZ2File(raw))
    if kind == "xz":
        return stack.enter_context(lzma.LZMAFile(raw))
    if kind == "zstd":
        return stack.enter_context(pa.CompressedInputStream(pa.PythonFile(raw), "zstd"))
    if kind == "zip":
        archive = stack.enter_context(zipfile.ZipFile(raw))
        return stack.enter_context(archive.open(_only_member(archive, path)))
    return raw


def _only_member(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    members = [
        info
        for info in archive.infolist()
        if not info.is_dir() and not info.filename.startswith(_LITTER[0])
        if Path(info.filename).name != _LITTER[1]
    ]
    if len(members) != 1:
        shown = ", ".join(info.filename for info in members[:5]) or "none"
        raise FeatrixUserError(
            f"{path} holds {len(members)} files; a zip archive must hold exactly one table",
            value=shown,
            remedy="Unpack it and name one of its files",
        )
    if members[0].flag_bits & 1:
        raise FeatrixUserError(f"{path} is encrypted", remedy="Unpack it with its password first")
    return members[0]


def _check_limits(path: Path, unpacked: int, packed: int) -> None:
    if unpacked > MAX_UNPACKED_BYTES:
        limit = f"{MAX_UNPACKED_BYTES >> 30} GiB"
    elif unpacked > _RATIO_FREE_BYTES and unpacked > MAX_RATIO * packed:
        limit = f"{MAX_RATIO} times its size"
    else:
        return
    raise FeatrixUserError(
        f"{path} unpacks to more than {limit}: it looks like a decompression bomb",
        remedy="Unpack it yourself if you trust it, and give the plain file",
    )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the unpackers raise, as one sentence of the user's."""
    try:
        yield
    except FeatrixUserError:
        raise
    except (
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
        NotImplementedError,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
        pa.ArrowException,
    ) as error:
        raise FeatrixUserError(
            f"{path} cannot be read: it is damaged or cut short ({error})",
            remedy="Get the file again, or pack it again",
        ) from error


@contextmanager
def _empty_is_fine() -> Iterator[None]:
    try:
        yield
    except queue.Empty:
        return
