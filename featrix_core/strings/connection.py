"""The service's connections: how many there may be, and how long one may be silent (STR-1)."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

from featrix_core.strings.answers import TAKEN_SECONDS, TRANSPORT

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from featrix_core.strings.service import StringsService

KEEP_ALIVE = 75
"""Seconds for which an idle connection is kept; longer than clients' pools do."""
RESERVED = 64
"""Connections beyond the limit that are still taken, to answer health probes and to say what is wrong."""
_HEAD_SECONDS = 10.0
# The kernel would otherwise take megabytes: answers that nobody reads would count as taken, and of one that is
# read slowly nothing would move for seconds. Linux doubles it, for its own bookkeeping.
_SEND_BYTES = 128 * 1024


def connection_of(service: StringsService) -> type[H11Protocol]:
    """The protocol of the service's connections, which answers that wait for their caller can end.

    Beyond `limits.connections` the connection that has been idle for longest makes room. Where none is
    idle, the newcomer gets the answers of `service.crowded` and is closed after the first one; beyond
    `RESERVED` of those it is cut off.
    """
    most, metrics = service.limits.connections, service.metrics

    class Connection(H11Protocol):
        """Closed when no request begins: whoever sends nothing, or a head without end, holds nothing."""

        _silence: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES
            )
            super().connection_made(transport)
            metrics.connections.set(len(self.connections))
            beyond = self._make_room()
            if beyond > RESERVED:
                metrics.cut_connections.inc()
                transport.abort()
                return
            self.app = _with_transport(service.crowded if beyond > 0 else self.app, transport)
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self.resume_writing()
            metrics.connections.set(len(self.connections))

        def data_received(self, data: bytes) -> None:
            # The first bytes of a further request: uvicorn's own timer ends with them.
            last = self.cycle
            if last is not None and last.response_complete and self._last is not last:
                self._await_head()
            super().data_received(data)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.transport.get_write_buffer_size():
                self.loop.call_later(TAKEN_SECONDS, self._end_unread, self.cycle)

        def pause_writing(self) -> None:
            # Also of requests that were sent before the answer to an earlier one was read.
            super().pause_writing()
            self._unread = self.loop.call_later(TAKEN_SECONDS, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._unread is not None:
                self._unread.cancel()

        def _make_room(self) -> int:
            """Connections beyond the limit, after the longest idle one was closed for this one."""
            if len(self.connections) <= most:
                return 0
            others = [other for other in self.connections if isinstance(other, H11Protocol)]
            beyond = sum(not other.transport.is_closing() for other in others) - most
            # uvicorn's timer runs while a connection is idle: the first to end began first.
            idle = [
                (timer.when(), place)
                for place, other in enumerate(others)
                if (timer := other.timeout_keep_alive_task) and not other.transport.is_closing()
            ]
            if beyond > 0 and idle:
                others[min(idle)[1]].timeout_keep_alive_handler()
                beyond -= 1
            return beyond

        def _await_head(self) -> None:
            self._last = self.cycle
            if self._silence is not None:  # of an earlier request, which it would keep in memory
                self._silence.cancel()
            self._silence = self.loop.call_later(_HEAD_SECONDS, self._end_silence, self.cycle)

        def _end_silence(self, last: object) -> None:
            if self.cycle is last and not self.transport.is_closing():
                self.transport.close()

        def _end_unread(self, last: object) -> None:
            if self.cycle is last and self.transport.get_write_buffer_size():
                self.transport.abort()

    return Connection


def _with_transport(app: ASGIApp, transport: asyncio.Transport) -> ASGIApp:
    """The application, which finds the transport in the scope and can end the connection."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, TRANSPORT: transport}, receive, send)

    return call
