"""The embedder that asks a strings service (STR-2)."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from featrix_core.errors import FeatrixError, FeatrixUserError
from featrix_core.strings.caching import CachingEmbedder
from featrix_core.strings.disk_cache import DiskCache
from featrix_core.strings.embedder import LocalTextEmbedder
from featrix_core.strings.engine import engine_of
from featrix_core.strings.grid import DIMENSION
from featrix_core.strings.schemas import BINARY, FINGERPRINT_HEADER
from featrix_core.strings.token import read_token

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

RETRIES = 30
"""Attempts after a failed one: with pauses that grow to five seconds, more than two minutes, in which a
service that was stopped can start again."""
BUSY_SECONDS = 15 * 60.0
"""How long a request is repeated while the service says that it is busy."""
_FEW_RETRIES = 4  # where the model can be run in process instead
_REFUSED = (400, 413, 422, 429)  # the service works; the model of this process would be no remedy
_CONNECT_SECONDS, _READ_SECONDS = 5.0, 300.0
_READ_RETRIES = 8  # a service that takes requests and never answers would be waited for all day
_TEXTS, _CHARACTERS = 1024, 1_000_000  # of one request at most
_log = logging.getLogger(__name__)


class StringsServiceError(FeatrixError):
    """The strings service cannot be reached or does not do as it should, also after retries."""


class StringsRequestError(StringsServiceError):
    """The strings service works but does not take this request, or has been too busy for too long."""


class HttpTextEmbedder(CachingEmbedder):
    """Vectors from a strings service: the same bytes as from `LocalTextEmbedder` with its engine.

    Connections are pooled; a request that fails is sent again after growing, jittered pauses, and
    not before the service says; long calls are split. What memory or the disk cache knows is not asked
    for. Every answer names the model that it came from: another one than at first is refused, since
    its vectors would mean something else. Safe for threads and forks.
    """

    def __init__(
        self,
        url: str,
        *,
        token_file: str | Path | None = None,
        fingerprint: str | None = None,
        cache: DiskCache | None = None,
        fallback: bool = False,
        retries: int | None = None,
    ) -> None:
        """`url`: where the service is, such as `http://strings:8080`.

        `fingerprint`: the model that is wanted; by default the one that the service has at the
        first call. `fallback`: whether the model may be run in this process when the service cannot
        be reached; it must have the same fingerprint.

        Raises:
            FeatrixUserError: `url` is no address or the token file is of no use.
        """
        super().__init__(cache)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FeatrixUserError(
                "The strings service's address is not valid",
                value=url,
                remedy="Give an address such as http://strings:8080",
            )
        self._url = url.rstrip("/")
        self._headers = _authorization(token_file)
        self._wanted = fingerprint
        self._fallback = fallback
        self._retries = retries if retries is not None else (_FEW_RETRIES if fallback else RETRIES)
        self._local: LocalTextEmbedder | None = None
        self._pools: dict[int, PoolManager] = {}
        self._fingerprint_lock = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """The service's model; asked for once.

        Raises:
            StringsServiceError: the service cannot be reached and no fallback is allowed.
        """
        with self._fingerprint_lock:
            if self._wanted is None:
                self._wanted = self._ask_fingerprint()
            return self._wanted

    def _ask_fingerprint(self) -> str:
        try:
            return str(json.loads(self._send("GET", "/info").data)["fingerprint"])
        except StringsServiceError as error:
            if not self._may_replace(error):
                raise
            return self._in_process().fingerprint
        except (ValueError, KeyError, TypeError):
            raise StringsServiceError(
                f"{self._url} does not answer like a strings service"
            ) from None

    def _compute(self, texts: list[str], tell: Callable[[int], None]) -> NDArray[np.int16]:
        steps = np.empty((len(texts), DIMENSION), np.int16)
        for chunk in _chunks(texts):
            if self._local is None:
                try:
                    steps[chunk] = self._ask(texts[chunk])
                except StringsServiceError as error:
                    if not self._may_replace(error):
                        raise
                    _log.warning("%s; the model is run in this process from now on", error)
                    self._in_process()
            if self._local is not None:
                steps[chunk] = self._local.steps(texts[chunk])
            tell(chunk.stop)
        return steps

    def _may_replace(self, error: StringsServiceError) -> bool:
        return self._fallback and not isinstance(error, StringsRequestError)

    def _in_process(self) -> LocalTextEmbedder:
        """The embedder of this process with the service's engine and model."""
        if self._local is None:
            engine = "onnx" if self._wanted is None else engine_of(self._wanted)
            local = LocalTextEmbedder(engine=engine)
            if self._wanted is not None and local.fingerprint != self._wanted:
                raise FeatrixUserError(
                    f"The strings service at {self._url} cannot be reached, and the model of this "
                    f"process is another one ({local.fingerprint} instead of {self._wanted})",
                    remedy="Start the service, or install its model here",
                )
            self._local = local
        return self._local

    def _ask(self, texts: list[str]) -> NDArray[np.int16]:
        answer = self._send("POST", "/embed", json.dumps({"texts": texts}).encode())
        found = answer.headers.get(FINGERPRINT_HEADER)
        if found != self._wanted:
            raise FeatrixUserError(
                f"The strings service at {self._url} has another model than the one wanted: "
                f"{found} instead of {self._wanted}; its vectors would mean something else",
                remedy="Serve the model that was used before, or train anew with this one",
            )
        if len(answer.data) != 2 * DIMENSION * len(texts):
            raise StringsServiceError(f"{self._url} sent a body of the wrong length")
        return np.frombuffer(answer.data, "<i2").reshape(-1, DIMENSION).astype(np.int16)

    def _send(self, method: str, path: str, body: bytes | None = None) -> BaseHTTPResponse:
        """The service's answer 200, after as many attempts as are allowed.

        Raises:
            StringsServiceError: there was none.
        """
        from urllib3.exceptions import HTTPError

        from featrix_core.strings.patience import Patience

        headers = {**self._headers, "Accept": BINARY, "Content-Type": "application/json"}
        patience = Patience(
            self._retries,
            read=min(self._retries, _READ_RETRIES),
            redirect=0,
            raise_on_status=False,
            deadline=time.monotonic() + BUSY_SECONDS,
            # A service that starts or stops can be replaced at once where that is allowed.
            busy=frozenset({429} if self._fallback else {429, 503}),
        )
        try:
            answer = self._pool().request(
                method, self._url + path, body=body, headers=headers, retries=patience
            )
        except HTTPError as error:
            raise StringsServiceError(
                f"The strings service at {self._url} cannot be reached ({type(error).__name__})"
            ) from None
        if answer.status == 401:
            raise FeatrixUserError(
                f"The strings service at {self._url} refuses the token",
                remedy="Name the file with its bearer token",
            )
        if answer.status != 200:
            kind = StringsRequestError if answer.status in _REFUSED else StringsServiceError
            raise kind(
                f"The strings service at {self._url} answered {answer.status}: {_message(answer)}"
            )
        return answer

    def _pool(self) -> PoolManager:
        """This process's connections: those of a parent process must not be used by its children."""
        from urllib3 import PoolManager, Timeout

        process = os.getpid()
        if process not in self._pools:
            self._pools[process] = PoolManager(
                timeout=Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)
            )
        return self._pools[process]


def _chunks(texts: list[str]) -> Iterator[slice]:
    """Neighbours that fit into one request."""
    start, characters = 0, 0
    for place, text in enumerate(texts):
        full = place - start == _TEXTS or characters + len(text) > _CHARACTERS
        if full and place > start:
            yield slice(start, place)
            start, characters = place, 0
        characters += len(text)
    yield slice(start, len(texts))


def _authorization(token_file: str | Path | None) -> dict[str, str]:
    return {} if token_file is None else {"Authorization": f"Bearer {read_token(token_file)}"}


def _message(answer: BaseHTTPResponse) -> Any:
    try:
        return json.loads(answer.data)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return "no typed error"
