"""The program of the `helm test` pod, taken from the rendered pod and run against a server with the
real model, and against servers that are broken in one way each."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.charts.rendering import only, render

Change = Callable[[dict[str, Any]], object]
TOKEN = "correct horse"


TEXTS = ["red car", "crimson automobile", "income tax law"]


@functools.cache
def _real() -> tuple[dict[str, list[float]], str]:
    """Vectors of the texts that the program asks for, and the model's fingerprint."""
    from featrix_core.strings.embedder import LocalTextEmbedder

    embedder = LocalTextEmbedder(engine="onnx")
    vectors = embedder.embed(TEXTS).tolist()
    return dict(zip(TEXTS, vectors, strict=True)), embedder.fingerprint


class Server(ThreadingHTTPServer):
    """Answers like the service; `change` breaks the answer."""

    change: Change = staticmethod(lambda answer: answer)
    asks_for_token = False
    code = 200
    raw: bytes | None = None


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server, body = self.server, b""
        if server.asks_for_token and self.headers["Authorization"] != f"Bearer {TOKEN}":
            code = 401
        elif self.path != "/embed":
            code = 404
        elif (code := server.code) == 200:
            vectors, fingerprint = _real()
            found = [list(vectors[text]) for text in request["texts"]]
            answer = {"embeddings": found, "fingerprint": fingerprint}
            server.change(answer)
            body = json.dumps(answer).encode() if server.raw is None else server.raw
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    _real()
    with Server(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def run(server: Server, **more: str) -> subprocess.CompletedProcess[str]:
    """The pod's program, with the variables that the pod has and Kubernetes adds."""
    (container,) = only(render(), "Pod")["spec"]["containers"]
    assert container["command"] == ["python", "-c"]
    (program,) = container["args"]
    assert "$(" not in program, "Kubernetes would put variables in"
    variables = {v["name"]: v["value"] for v in container["env"]}
    prefix = variables["SERVICE"].upper().replace("-", "_")
    host, port = server.server_address[:2]
    variables |= {f"{prefix}_SERVICE_HOST": str(host), f"{prefix}_SERVICE_PORT": str(port)}
    return subprocess.run(
        [sys.executable, "-I", "-c", program],
        env={"PATH": os.environ["PATH"], **variables, **more},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_real_vectors_pass(server: Server) -> None:
    done = run(server)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("real vectors; cosine of related texts 0.")


def scale(answer: dict[str, Any]) -> None:
    answer["embeddings"] = [[2 * x for x in vector] for vector in answer["embeddings"]]


def constant(answer: dict[str, Any]) -> None:
    answer["embeddings"] = [answer["embeddings"][0]] * len(answer["embeddings"])


def unsteady(answer: dict[str, Any]) -> None:
    answer["embeddings"][3] = answer["embeddings"][1]


FAULTS: dict[str, tuple[Change, str]] = {
    "short": (lambda a: a["embeddings"][0].pop(), "has 383 numbers instead of 384"),
    "few": (lambda a: a["embeddings"].pop(), "3 vectors for 4 texts"),
    "long": (scale, "has length 1.999"),
    "zero": (lambda a: a["embeddings"].__setitem__(1, [0.0] * 384), "has length 0.0"),
    "NaN": (lambda a: a["embeddings"][0].__setitem__(0, float("nan")), "has length nan"),
    "constant": (constant, "are no nearer"),
    "unsteady": (unsteady, "one text has two vectors"),
    "other model": (lambda a: a.update(fingerprint="other:0"), "fingerprint is 'other:0'"),
    "no fingerprint": (lambda a: a.pop("fingerprint"), "no set of vectors: KeyError"),
    "text": (lambda a: a.update(embeddings=["x" * 384] * 4), "no set of vectors: TypeError"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_anything_else_fails(server: Server, fault: str) -> None:
    change, message = FAULTS[fault]
    server.change = change
    done = run(server)
    assert done.returncode == 1
    assert done.stderr.startswith("FAILED: ") and message in done.stderr


def test_errors_and_other_formats_fail(server: Server) -> None:
    server.raw = b"<html>"
    assert "no set of vectors: JSONDecodeError" in run(server).stderr
    server.code = 503
    done = run(server)
    assert done.returncode == 1 and "answers 503" in done.stderr


def test_no_service_fails(server: Server) -> None:
    done = run(server, DEMO_STRING_EMBEDDING_SERVICE_PORT="1")
    assert done.returncode == 1 and "cannot be reached" in done.stderr


def test_token(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    unguarded = run(server, TOKEN_FILE=str(file))
    assert unguarded.returncode == 1 and "answers without the token" in unguarded.stderr
    server.asks_for_token = True
    passed = run(server, TOKEN_FILE=str(file))
    assert passed.returncode == 0, passed.stderr
    file.write_text("wrong")
    refused = run(server, TOKEN_FILE=str(file))
    assert refused.returncode == 1 and "answers 401" in refused.stderr
    assert "wrong" not in refused.stderr, "the token is not logged"
