"""One door for local paths, `file://` and `s3://`: a URL becomes a local path for a while (OPS-8)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from featrix_core.errors import FeatrixUserError

OnBytes = Callable[[int, int], None]
"""Told of bytes transferred so far and bytes in all."""


def is_remote(url: str) -> bool:
    """Whether `fetch` has to transfer something."""
    return url.startswith("s3://")


@contextmanager
def fetch(url: str, on_bytes: OnBytes | None = None) -> Iterator[Path]:
    """A local path with the content of `url`; a transferred copy is gone when the block ends.

    `s3://bucket/key` is streamed to a temporary file and checked (see `s3.download`); plain paths and
    `file://` URLs are handed through as they are, whether or not they exist.

    Raises:
        FeatrixUserError: another scheme, or the object cannot be had.
    """
    if is_remote(url):
        from featrix_core.storage.s3 import S3Location, download  # the client is heavy

        location = S3Location.parse(url)
        with tempfile.TemporaryDirectory(prefix="featrix-fetch-") as folder:
            local = Path(folder) / (Path(location.key).name or "object")
            download(location, local, on_bytes)
            yield local
        return
    yield _local(url)


def _local(url: str) -> Path:
    scheme, mark, _ = url.partition("://")
    if not mark or not scheme.isalnum():
        return Path(url)
    if scheme != "file":
        raise FeatrixUserError(
            f"{scheme}:// is not a kind of address that can be read",
            value=url.split("?")[0],
            remedy="Use a path, file:///path or s3://bucket/key",
        )
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise FeatrixUserError(
            "A file:// address names another machine", value=url, remedy="Use file:///path"
        )
    return Path(unquote(parts.path))
