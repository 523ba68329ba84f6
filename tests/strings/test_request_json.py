"""Bodies of requests: read as JSON is, and refused before they grow (STR-1)."""

from __future__ import annotations

import json
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featrix_core.strings.limits import InvalidError, Limits, MalformedError, TooLargeError
from featrix_core.strings.request_json import embed_texts, openai_request
from tests.strings.services import Service

LIMITS = Limits()
_TEXT = st.text(max_size=20)  # without halves of surrogate pairs
_OTHER = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
    max_leaves=5,
)
_KNOWN = ("model", "input", "encoding_format", "dimensions", "user")


@given(
    texts=_TEXT | st.lists(_TEXT, min_size=1),
    others=st.dictionaries(_TEXT.filter(lambda name: name not in _KNOWN), _OTHER),
    layout=st.sampled_from([{}, {"indent": 2}, {"ensure_ascii": False}]),
    hurt=st.none()
    | st.tuples(st.floats(0, 1), st.sampled_from(["", " ", ",", '"', "]", "}", "x", "\\"])),
)
@settings(max_examples=300, deadline=None)
def test_it_reads_what_json_reads(
    texts: str | list[str],
    others: dict[str, Any],
    layout: dict[str, Any],
    hurt: tuple[float, str] | None,
) -> None:
    model = {"model": "all-MiniLM-L6-v2", "encoding_format": "base64"}
    text = json.dumps({**others, "input": texts, **model}, **layout)
    if hurt:
        place = int(hurt[0] * len(text))
        text = text[:place] + hurt[1] + text[place + 1 :]
    try:
        expected = json.loads(text)["input"]
        expected = [expected] if isinstance(expected, str) else expected
    except (ValueError, KeyError, TypeError):
        with pytest.raises((MalformedError, InvalidError)):
            openai_request(text.encode(), LIMITS)
    else:
        try:
            found = openai_request(bytearray(text.encode()), LIMITS)[0]
        except (InvalidError, MalformedError):
            assert hurt  # which may have made another type, another model or half a pair
        else:
            assert found == expected


@given(st.lists(st.text(max_size=30), min_size=1), st.booleans())
@settings(max_examples=100, deadline=None)
def test_texts_come_back(texts: list[str], ascii_only: bool) -> None:
    body = json.dumps({"texts": texts}, ensure_ascii=ascii_only).encode()
    assert embed_texts(body, LIMITS) == texts


@pytest.mark.parametrize(
    ("begin", "piece", "end", "error"),
    [
        ('{"texts": [', "[],", "[]]}", InvalidError),
        ('{"texts": [', "1.5,", "1]}", InvalidError),
        ('{"texts": [', '"",', '""]}', TooLargeError),
        ('{"texts": [', '"b",', '"b"]}', TooLargeError),
        ('{"texts": [', '"\\\\",', '""]}', TooLargeError),
        ('{"texts": ["a"], "more": [', "{},", "{}]}", InvalidError),
        ('{"texts": ["a"]', ', "k": 1', "}", TooLargeError),
        ('{"texts": {"a": ', "[", "", InvalidError),
        ("[", "[],", "[]]", InvalidError),
        ("", "7", "", InvalidError),
        ('{"texts": ["a"]}', " ", "x", MalformedError),
    ],
)
def test_what_would_grow_is_refused_early(
    begin: str, piece: str, end: str, error: type[Exception]
) -> None:
    body = (begin + piece * (2**22 // len(piece)) + end).encode()
    tracemalloc.start()
    try:
        with pytest.raises(error):
            embed_texts(body, LIMITS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize(
    "more",
    [
        b'"x": "\xff"',
        b'"\xff": 1',
        b'"user": "\xc3"',
        b'"x": ["\xed\xa0\x80", {}]',
        b'"x": "\xc0\x80"',
    ],
)
def test_bytes_that_are_not_utf8_are_refused_wherever_they_stand(more: bytes) -> None:
    body = b'{"model": "all-MiniLM-L6-v2", "input": "gr\xc3\xb6\xc3\x9fer", %b}'
    assert openai_request(body % b'"x": "\xc3\xb6"', LIMITS) == (["größer"], False)
    for hurt in (body % more, bytearray(body % more)):
        with pytest.raises(MalformedError, match="UTF-8"):
            openai_request(hurt, LIMITS)


def test_characters_may_lie_across_parts_of_a_large_body() -> None:
    for shift in range(4):
        body = b'{"model": "all-MiniLM-L6-v2", "input": "a", "x": "%b%b"}'
        body %= b"a" * shift, "🙂".encode() * 2**18
        tracemalloc.start()
        try:
            assert openai_request(body, LIMITS) == (["a"], False)
            assert tracemalloc.get_traced_memory()[1] < len(body)
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    "name",
    [
        "secret",
        "missing required field `secret`",
        "`$.secret",
        "Expected `secret` - at `$.secret[3]`",
    ],
)
def test_no_error_names_a_field_of_the_callers(name: str) -> None:
    for body in ({"texts": ["a"], name: 1}, {name: 1}):
        with pytest.raises(InvalidError) as raised:
            embed_texts(json.dumps(body).encode(), LIMITS)
        assert "secret" not in f"{raised.value} {raised.value.param}"
    with pytest.raises(InvalidError, match="'texts' is missing"):
        embed_texts(b"{}", LIMITS)


def test_what_nobody_asked_for_takes_no_memory() -> None:
    more = b"[%b]" % b",".join([b'{"a": [1, 2]}'] * 4000)
    more += b"".join(b', "k%d": [[[[]]], {}, 1.5e3, null, true]' % n for n in range(1000))
    body = b'{"model": "all-MiniLM-L6-v2", "input": "a", "more": %b}' % more
    tracemalloc.start()
    try:
        assert openai_request(body, LIMITS) == (["a"], False)
        assert tracemalloc.get_traced_memory()[1] < 2**16
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", ["größer 東京 🙂 " * 60, 'say "so" ' * 100, "\\" * 900])
def test_the_most_that_is_allowed(text: str) -> None:
    """As many texts as may be, near the largest body: taken, within what one caller may keep others waiting."""
    texts = [f"{place:06}{text}" for place in range(LIMITS.texts)]
    body = json.dumps({"texts": texts}).encode()
    assert 4 * 2**20 < len(body) < LIMITS.body_bytes
    started = time.process_time()
    assert embed_texts(body, LIMITS) == texts
    assert time.process_time() - started < 0.5


def test_a_large_request_is_served_and_health_beside_it(service: Service) -> None:
    """4,096 long texts in, megabytes of decimals out; nobody else waits for either to be done."""
    body = json.dumps({"texts": ["the same long text " * 180] * 4096}).encode()
    service.send("/embed", {"texts": ["the same long text " * 180]})
    done, waits = threading.Event(), list[float]()

    def ask() -> bytes:
        try:
            answer = service.send("/embed", raw=body)
            assert answer.status == 200
            return answer.data
        finally:
            done.set()

    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        asked = pool.submit(ask)
        while not done.is_set():
            started = time.monotonic()
            assert service.send("/health/live").status == 200
            waits.append(time.monotonic() - started)
        whole = time.monotonic() - began
        found = json.loads(asked.result())
    assert len(found["embeddings"]) == 4096
    assert len(waits) > 3 and max(waits) < whole / 2
