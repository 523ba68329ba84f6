"""A real S3 service: SeaweedFS on free loopback ports, with credentials of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from minio import Minio

ACCESS, SECRET = "ingest-reader", "not-a-default-secret-93f1"
BUCKET = "tables"


@dataclass(frozen=True)
class Store:
    """The running service: `client` may do everything, `port` is where it answers."""

    port: int
    client: Minio

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("s3")
    identities = {
        "identities": [
            {
                "name": "reader",
                "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
                "actions": ["Admin", "Read", "Write", "List"],
            },
            {
                "name": "elsewhere",
                "credentials": [{"accessKey": "elsewhere", "secretKey": SECRET[::-1]}],
                "actions": ["Read:other"],
            },
        ]
    }
    (folder / "identities.json").write_text(json.dumps(identities))
    names = ("master", "volume", "filer", "s3")
    ports = free_ports(2 * len(names))
    command = [str(Path(sys.executable).with_name("weed")), "server", "-s3", f"-dir={folder}"]
    command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={folder}/identities.json"]
    command += ["-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=20"]
    command += [f"-filer.localSocket={folder}/filer.sock", f"-s3.localSocket={folder}/s3.sock"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    for at, name in enumerate(names):
        command += [f"-{name}.port={ports[2 * at]}", f"-{name}.port.grpc={ports[2 * at + 1]}"]
    port = ports[2 * names.index("s3")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        client = Minio(f"127.0.0.1:{port}", ACCESS, SECRET, secure=False, region="us-east-1")
        _wait(client, process, folder / "log")
        yield Store(port, client)
    finally:
        process.kill()  # nothing of it is kept, and it would take ten seconds to say goodbye
        process.wait()


def _wait(client: Minio, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until a bucket can be made and an object be written."""
    end = time.monotonic() + 60
    while True:
        try:
            if not client.bucket_exists(BUCKET):
                client.make_bucket(BUCKET)
            client.put_object(BUCKET, "ready", io.BytesIO(b"1"), 1)
            return
        except Exception:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail("SeaweedFS did not start:\n" + log.read_text()[-3000:])
            time.sleep(0.2)


@pytest.fixture
def credentials(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The environment that a user of the store sets."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "S3_", "MINIO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    return store
