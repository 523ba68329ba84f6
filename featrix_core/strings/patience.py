"""How often and after what pauses the strings service is asked again (STR-2)."""

from __future__ import annotations

import random
from time import monotonic, sleep
from types import TracebackType
from typing import TYPE_CHECKING, Any

from urllib3 import Retry
from urllib3.exceptions import MaxRetryError, ResponseError

if TYPE_CHECKING:
    from typing import Self

    from urllib3 import BaseHTTPResponse
    from urllib3.connectionpool import ConnectionPool

AGAIN = (429, 502, 503, 504)
"""Answers after which the same request is sent again."""
_FIRST_PAUSE, _LONGEST_GROWN, _LONGEST_PAUSE = 0.25, 20.0, 30.0
_LONGEST_RECONNECT = 5.0  # a service that was started again is not left waiting
_LEAST_JITTER = 0.25


class Patience(Retry):
    """Retries of one request: failures are counted, answers that the service is busy are not.

    Those are taken until a deadline, since a service with much to do is no broken one. A pause is the
    longer of what the service says and of one that doubles every time, plus up to half of it at random,
    so that callers who were sent away together do not come back together.
    """

    def __init__(
        self,
        total: int = 0,
        *,
        deadline: float = 0.0,
        busy: frozenset[int] = frozenset(),
        **others: Any,
    ) -> None:
        """`deadline`: on the monotonic clock, for answers with a status of `busy`."""
        # None: any method, since a request changes nothing and can be repeated.
        super().__init__(total, **{**others, "allowed_methods": None})
        self.deadline = deadline
        self.busy = busy

    def new(self, **changes: Any) -> Self:
        """As urllib3 wants it: the retries that are left."""
        return super().new(**{"deadline": self.deadline, "busy": self.busy, **changes})

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Whether to ask again after this answer."""
        return status_code in AGAIN

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """What is left after a failure, or MaxRetryError."""
        counted = self
        if response is not None and response.status in self.busy:
            if monotonic() > self.deadline:
                raise MaxRetryError(_pool, url, ResponseError("busy"))  # type: ignore[arg-type]
            counted = self.new(total=int(self.total or 0) + 1)
        left: Self = super(Patience, counted).increment(
            method, url, response, error, _pool, _stacktrace
        )
        return left

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """The pause before the next attempt."""
        grown = _FIRST_PAUSE * 2.0 ** min(len(self.history) - 1, 16)
        longest = _LONGEST_RECONNECT if response is None else _LONGEST_GROWN
        told = 0.0 if response is None else self.get_retry_after(response) or 0.0
        pause = max(told, min(grown, longest))
        sleep(min(pause + random.uniform(0.0, max(_LEAST_JITTER, pause / 2)), _LONGEST_PAUSE))
