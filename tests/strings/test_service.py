"""The strings service over HTTP: a real process with the real model (STR-1)."""

from __future__ import annotations

import base64
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openai
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from featrix_core.strings.embedder import LocalTextEmbedder
from featrix_core.strings.grid import STEPS_PER_UNIT
from tests.strings.services import Service

TEXTS = ["unemployed", "out of work", "radio/tv", "", "unemployed", "größer 東京"]


def test_vectors_are_those_of_this_process(service: Service, local: LocalTextEmbedder) -> None:
    answer = service.send("/embed", {"texts": TEXTS})
    assert answer.status == 200
    found = json.loads(answer.data)
    vectors = np.array(found["embeddings"], np.float32)
    assert vectors.tobytes() == local.embed(TEXTS).tobytes()
    assert found["fingerprint"] == local.fingerprint == answer.headers["X-Featrix-Fingerprint"]
    steps = service.steps(TEXTS)
    assert (steps.astype(np.float32) / np.float32(STEPS_PER_UNIT)).tobytes() == vectors.tobytes()


def test_every_step_survives_its_decimal_form() -> None:
    steps = np.arange(-STEPS_PER_UNIT, STEPS_PER_UNIT + 1)
    decimals = np.array([float(repr(step / STEPS_PER_UNIT)) for step in steps.tolist()])
    expected = steps.astype(np.float32) / np.float32(STEPS_PER_UNIT)
    assert decimals.astype(np.float32).tobytes() == expected.tobytes()


def test_many_callers_at_once_get_their_own_vectors(
    service: Service, local: LocalTextEmbedder
) -> None:
    texts = [f"caller {n} wants {'more ' * (n % 6)}" for n in range(48)]
    expected = dict(zip(texts, np.rint(local.embed(texts) * STEPS_PER_UNIT), strict=True))

    def ask(seed: int) -> None:
        mine = np.random.default_rng(seed).choice(texts, 9).tolist()
        np.testing.assert_array_equal(service.steps(mine), [expected[text] for text in mine])

    before = service.metric("computed_texts_total")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(24)))
    assert service.metric("computed_texts_total") - before <= len(texts)


def test_the_cache_answers_the_second_time(service: Service) -> None:
    texts = [f"seen twice {n}" for n in range(10)]
    first = service.steps(texts)
    hits = service.metric("cache_hits_total")
    np.testing.assert_array_equal(service.steps(texts), first)
    assert service.metric("cache_hits_total") - hits == 10
    assert service.metric("cache_bytes") > 768 * 10


@pytest.mark.parametrize(
    ("accept", "binary"),
    [
        ("application/vnd.featrix.steps", True),
        ("application/json;q=0.5, Application/vnd.featrix.steps ; q=0.9", True),
        ("application/vnd.featrix.steps;q=0.001", True),
        ("application/vnd.featrix.steps;q=0", False),
        ("application/vnd.featrix.steps; q=0.000, */*", False),
        ("application/vnd.featrix.steps2", False),
        ("*/*", False),
    ],
)
def test_the_form_is_the_one_accepted(service: Service, accept: str, binary: bool) -> None:
    answer = service.send("/embed", {"texts": ["a form"]}, Accept=accept)
    kind = "application/vnd.featrix.steps" if binary else "application/json"
    assert answer.headers["Content-Type"] == kind and answer.headers["Vary"] == "Accept"


def test_info_and_health(service: Service, local: LocalTextEmbedder) -> None:
    info = json.loads(service.send("/info").data)
    assert info["model"] == "all-MiniLM-L6-v2" and info["dimension"] == 384
    assert info["fingerprint"] == local.fingerprint and len(info["revision"]) == 64
    assert info["limits"]["texts"] == 4096
    for path in ("/health/live", "/health/ready"):
        assert service.send(path).status == 200
    assert service.metric("ready") == 1


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_the_openai_client(service: Service, local: LocalTextEmbedder, encoding: str) -> None:
    client = openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0)
    answer = client.embeddings.create(
        model="all-MiniLM-L6-v2",
        input=TEXTS,
        encoding_format=encoding,  # type: ignore[arg-type]
    )
    found = [item.embedding for item in answer.data]
    if encoding == "base64":
        found = [np.frombuffer(base64.b64decode(text), "<f4") for text in found]
    assert np.array(found, np.float32).tobytes() == local.embed(TEXTS).tobytes()
    assert [item.index for item in answer.data] == list(range(len(TEXTS)))
    assert answer.usage.prompt_tokens >= 2 * len(TEXTS)
    single = client.embeddings.create(model="all-MiniLM-L6-v2", input="radio/tv")
    np.testing.assert_array_equal(
        np.array(single.data[0].embedding, np.float32), local.embed(TEXTS)[2]
    )
    with pytest.raises(openai.UnprocessableEntityError, match="model"):
        client.embeddings.create(model="text-embedding-3-small", input="radio/tv")


def test_a_caller_who_goes_away_is_dropped(service: Service) -> None:
    texts = [f"nobody waits for {n} " + "word " * 200 for n in range(300)]
    body = json.dumps({"texts": texts}).encode()
    head = f"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    before = service.metric("dropped_texts_total")
    with socket.create_connection(("127.0.0.1", service.port)) as caller:
        caller.sendall(head + body)
        while service.metric("waiting_texts") < 200:
            threading.Event().wait(0.02)
    while service.metric("waiting_texts"):
        threading.Event().wait(0.02)
    service.steps(["someone else"])
    while service.metric("dropped_texts_total") - before < 100:
        threading.Event().wait(0.02)


def test_what_is_published_is_what_is_done(service: Service) -> None:
    """Hostile and valid requests made from the OpenAPI document: no 5xx, and answers as published."""
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    statuses: set[int] = set()
    modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in modes:
            if mode is schemathesis.GenerationMode.NEGATIVE and not operation.body:
                continue  # nothing can be wrong with a request that holds nothing
            cases = operation.as_strategy(generation_mode=mode)

            @given(case=cases)
            @settings(
                max_examples=25,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def check(case: schemathesis.Case) -> None:
                answer = case.call()
                statuses.add(answer.status_code)
                case.validate_response(answer, checks=checks)

            check()
    assert {200, 422} <= statuses
