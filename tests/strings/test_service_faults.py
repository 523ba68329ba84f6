"""What a hostile or broken caller sends: typed answers, and everyone else is served (STR-1)."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from featrix_core.strings.embedder import LocalTextEmbedder
from tests.strings.services import Service

MALFORMED = [
    b"",
    b"{",
    b'{"texts": [',
    b"\xff\xfe",
]
OPENAI = b'{"model": "all-MiniLM-L6-v2", "input": "a", "more": %b}'


def _error(answer: object) -> dict[str, object]:
    error = json.loads(answer.data)["error"]  # type: ignore[attr-defined]
    assert set(error) == {"type", "message", "code", "param"}
    assert error["code"] == answer.status  # type: ignore[attr-defined]
    return dict(error)


def _received(caller: socket.socket) -> bytes:
    """An answer with a typed error: head and body may come apart."""
    answer = b""
    while not answer.endswith(b"}}") and (more := caller.recv(65_536)):
        answer += more
    return answer


@pytest.mark.parametrize("path", ["/embed", "/v1/embeddings"])
@pytest.mark.parametrize("body", MALFORMED)
def test_malformed_json(service: Service, path: str, body: bytes) -> None:
    answer = service.send(path, raw=body)
    assert answer.status == 400
    assert _error(answer)["type"] == "malformed_json"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/embed", b'{"texts": ["\xff"]}'),
        ("/embed", b'{"texts": ["\xed\xa0\x80"]}'),
        ("/embed", b'{"texts": ["half a \\ud83d pair"]}'),
        ("/embed", b'{"texts": ["half a pair \\udfff"]}'),
        ("/embed", b'{"texts": [NaN]}'),
        ("/embed", b'{"texts": ["a"]}}'),
        ("/embed", '{"texts": ["a"]}'.encode("utf-16-le")),
        ("/v1/embeddings", OPENAI % b"NaN"),
        ("/v1/embeddings", OPENAI % (b"[" * 100_000)),
        ("/v1/embeddings", OPENAI % (b'{"a":' * 5_000)),
    ],
)
def test_what_is_no_json_is_malformed(service: Service, path: str, body: bytes) -> None:
    answer = service.send(path, raw=body)
    assert answer.status == 400
    assert _error(answer)["type"] == "malformed_json"


@pytest.mark.parametrize("path", ["/embed", "/v1/embeddings"])
@pytest.mark.parametrize("body", [b"[" * 100_000, b"1" * 9999, b'"a"', b"null", b"-1e999"])
def test_what_is_no_object(service: Service, path: str, body: bytes) -> None:
    answer = service.send(path, raw=body)
    assert answer.status == 422
    assert "must be a JSON object" in str(_error(answer)["message"])


@pytest.mark.parametrize(
    "body",
    [
        *([], "text", 5, None, {}, {"texts": "one"}, {"texts": [1]}, {"texts": [None]}),
        *({"texts": []}, {"texts": {"0": "a"}}, {"texts": ["a"], "more": 1}, {"texts": [["a"]]}),
        {"texts": ["x" * 20_001]},
        {"texts": ["x" * 1_000_000]},
        {"texts": "[" * 100_000},
        {"texts": [10**400]},
        {"texts": ["a"], "xxx a name of the caller's": 1},
    ],
)
def test_wrong_types_and_long_words(service: Service, body: object) -> None:
    answer = service.send("/embed", raw=json.dumps(body).encode())
    assert answer.status == 422
    error = _error(answer)
    assert error["type"] == "invalid_request" and "xxx" not in str(error["message"])


@pytest.mark.parametrize(
    "change",
    [
        *({"input": [1, 2]}, {"input": []}, {"model": "gpt"}, {"model": None}, {"user": 1}),
        *({"dimensions": 128}, {"dimensions": True}, {"dimensions": 10**30}, {"input": {}}),
        *({"input": [None]}, {"input": ["a", ["b"]]}, {"input": True}, {"dimensions": 384.5}),
        *({"encoding_format": "hex"}, {"encoding_format": []}),
    ],
)
def test_wrong_types_for_openai(service: Service, change: dict[str, object]) -> None:
    answer = service.send("/v1/embeddings", {"model": "all-MiniLM-L6-v2", "input": "a", **change})
    assert answer.status == 422
    assert _error(answer)["param"] == next(iter(change))


def test_too_many_texts(service: Service) -> None:
    answer = service.send("/embed", {"texts": [""] * 10_000})
    assert answer.status == 413 and _error(answer)["type"] == "too_large"


def test_the_most_texts_of_one_kind(service: Service) -> None:
    steps = service.steps([""] * 4096)
    assert (steps == steps[0]).all()


def test_odd_texts(service: Service, local: LocalTextEmbedder) -> None:
    odd = [
        "\x00",
        "a\x00b",
        "x" * 20_000,
        " " * 20_000,
        "🙂" * 400,
        "\u202eabc",
    ]
    answer = service.send("/embed", {"texts": odd})
    assert answer.status == 200
    found = np.array(json.loads(answer.data)["embeddings"], np.float32)
    assert found.tobytes() == local.embed(odd).tobytes()


def test_huge_bodies(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as caller:
        caller.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        answer = _received(caller)
    assert answer.startswith(b"HTTP/1.1 413") and b'"too_large"' in answer
    # Without a length, the body is cut off where the limit is.
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as caller:
        caller.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n%b\r\n" % (2**20, b" " * 2**20)
        with pytest.raises((ConnectionError, AssertionError)):
            for _ in range(200):
                caller.sendall(chunk)
            raise AssertionError
    assert service.send("/health/ready").status == 200


def test_a_slow_sender_waits_for_nobody_and_nobody_for_it(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=90) as caller:
        caller.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        started = time.monotonic()
        while time.monotonic() - started < 3:
            caller.sendall(b" ")
            assert len(service.steps(["quick"])) == 1
            time.sleep(0.5)
        answer = _received(caller)
    assert answer.startswith(b"HTTP/1.1 408") and b'"body_too_slow"' in answer


def test_unknown_paths_and_methods(service: Service) -> None:
    assert _error(service.send("/nothing"))["type"] == "not_found"
    answer = service.send("/embed")
    assert answer.status == 405 and answer.headers["Allow"] == "POST"
    assert _error(answer)["type"] == "method_not_allowed"


def test_no_text_reaches_the_log(service: Service) -> None:
    service.send("/embed", {"texts": ["utterly secret", "x" * 30_000]})
    service.send("/embed", raw=b'{"texts": ["utterly secret"')
    service.steps(["utterly secret"])
    log = Path(service.log).read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert any(line.get("route") == "/embed" and line["status"] == 400 for line in lines)
    assert "secret" not in log
