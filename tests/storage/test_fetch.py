"""Fetching by URL: local paths, and a real S3 service with everything that can go wrong (OPS-8)."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import resource
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import urllib3

from featrix_core.errors import FeatrixUserError
from featrix_core.storage.fetch import fetch
from featrix_core.tables.reading import read_table

BUCKET = "tables"


def put(store: Any, key: str, data: bytes, **more: object) -> str:
    store.client.put_object(BUCKET, key, io.BytesIO(data), len(data), **more)
    return f"s3://{BUCKET}/{key}"


def refused(url: str) -> str:
    with pytest.raises(FeatrixUserError) as caught, fetch(url):
        pass
    text = str(caught.value)
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in text, "secrets are never printed"
    return text


def test_local_paths_pass_through(tmp_path: Path) -> None:
    path = tmp_path / "a b.csv"
    for url in (str(path), path.as_uri(), f"file://localhost{str(path).replace(' ', '%20')}"):
        with fetch(url) as local:
            assert local == path
    for url in ("https://example.org/t.csv", "gs://bucket/t.csv", "file://elsewhere/t.csv"):
        with pytest.raises(FeatrixUserError), fetch(url):
            pass


def test_an_object_arrives_whole_and_goes_again(credentials: Any, german_credit: Path) -> None:
    data = german_credit.read_bytes()
    url = put(credentials, "credit/german credit ü.csv", data)
    steps: list[tuple[int, int]] = []
    with fetch(url, lambda done, total: steps.append((done, total))) as local:
        assert local.read_bytes() == data and local.name == "german credit ü.csv"
    assert not local.exists()
    assert steps[-1] == (len(data), len(data))


def test_the_checksum_of_the_metadata_counts(credentials: Any) -> None:
    data = b"a,b\n1,2\n"
    right, wrong = hashlib.sha256(data).hexdigest(), hashlib.sha256(b"other").hexdigest()
    with fetch(put(credentials, "right.csv", data, metadata={"sha256": right})) as local:
        assert local.read_bytes() == data
    assert "its sha256 is" in refused(
        put(credentials, "wrong.csv", data, metadata={"sha256": wrong})
    )


def test_an_object_that_says_it_is_packed(credentials: Any) -> None:
    """With `Content-Encoding: gzip` the bytes stay as they are stored, and are unpacked when read."""
    packed = gzip.compress(b"age,n\n31,2\n")
    url = put(credentials, "t.csv", packed, metadata={"Content-Encoding": "gzip"})
    with fetch(url) as local:
        assert local.read_bytes() == packed
    assert read_table(url).arrow.to_pydict() == {"age": ["31"], "n": ["2"]}


def test_large_objects_in_parts(credentials: Any) -> None:
    """Eleven megabytes, uploaded in parts of five: the ETag is no MD5 of the content."""
    data = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(350_000))
    url = put(credentials, "parts.bin", data, part_size=5 * 1024 * 1024)
    with fetch(url) as local:
        assert local.read_bytes() == data


def test_tables_are_read_from_s3(credentials: Any, german_credit: Path) -> None:
    url = put(credentials, "german.csv", german_credit.read_bytes())
    remote, local = read_table(url), read_table(german_credit)
    assert remote.arrow == local.arrow
    assert remote.source.name == url and remote.source.sha256 == local.source.sha256
    with pytest.raises(FeatrixUserError, match=f"s3://{BUCKET}/empty.csv is empty"):
        read_table(put(credentials, "empty.csv", b""))


def test_what_does_not_exist(credentials: Any) -> None:
    assert "does not exist" in refused(f"s3://{BUCKET}/none.csv")
    assert "no bucket 'nowhere'" in refused("s3://nowhere/t.csv")
    assert "bucket and a key" in refused("s3://bucket")
    assert "bucket and a key" in refused("s3://bucket/folder/")
    assert "not a valid S3 address" in refused("s3://x/t.csv")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong-secret-77", "does not accept the credentials"),
        ("AWS_ACCESS_KEY_ID", "nobody", "does not accept the credentials"),
        ("AWS_ENDPOINT_URL", "ftp://127.0.0.1", "endpoint is not an address"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "cannot be had from http://127.0.0.1:1"),
    ],
)
def test_wrong_settings(
    credentials: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    url = put(credentials, "secret.csv", b"a\n1\n")
    monkeypatch.setenv(name, value)
    assert said in refused(url)


def test_keys_without_rights(credentials: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    url = put(credentials, "secret.csv", b"a\n1\n")
    right = os.environ["AWS_SECRET_ACCESS_KEY"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "elsewhere")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", right[::-1])
    assert "denies access" in refused(url)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "Only one of" in refused(url)


class Damaging(BaseHTTPRequestHandler):
    """Stands between client and service and spoils what passes: a byte, the length, or the answer."""

    upstream = ""
    fault = ""

    def _answer(self, body: bool) -> None:
        # The headers go on as they are: the signature is of the address that the client knows.
        answer = urllib3.request(
            self.command, self.upstream + self.path, headers=dict(self.headers)
        )
        data = answer.data
        if self.fault == "html":
            data = b"<html>It works</html>"
        elif body and self.fault == "byte":
            data = data[:-1] + bytes([data[-1] ^ 1])
        self.send_response(answer.status)
        for key, value in answer.headers.items():
            if key.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(key, value)
        length = answer.headers["Content-Length"] if not body else str(len(data))
        if self.fault != "no length":
            self.send_header("Content-Length", length)
        self.end_headers()
        if body:
            self.wfile.write(data[: len(data) // 2] if self.fault == "short" else data)
        self.close_connection = True

    def do_GET(self) -> None:
        self._answer(True)

    def do_HEAD(self) -> None:
        self._answer(False)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy(credentials: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Damaging]]:
    Damaging.upstream = credentials.url
    server = ThreadingHTTPServer(("127.0.0.1", 0), Damaging)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
    yield Damaging
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("", ""),
        ("byte", "arrived damaged"),
        ("short", "cannot be had"),
        ("no length", "does not tell the size of s3://tables/public.csv"),
    ],
)
def test_damage_on_the_way_is_noticed(
    credentials: Any, proxy: type[Damaging], fault: str, said: str
) -> None:
    data = b"a,b\n" + b"1,2\n" * 5000
    url = put(credentials, "public.csv", data)
    proxy.fault = fault
    if not fault:
        with fetch(url) as local:
            assert local.read_bytes() == data
    else:
        assert said in refused(url)


def test_no_room_for_the_copy(credentials: Any) -> None:
    """A limit on the size of files stands for a full disk."""
    url = put(credentials, "large.csv", b"a,b\n" + b"1,2\n" * 50_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        said = refused(url)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "s3://tables/large.csv cannot be kept here: File too large" in said
    assert "Make room" in said
