"""The strings service as a process: ports, signals, logs (STR-1)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from featrix_core.cores import allowed_cores
from featrix_core.errors import FeatrixUserError
from featrix_core.strings.embedder import find_weights
from featrix_core.strings.engine import EngineName, fingerprint_of
from featrix_core.strings.extra import ONNX, SERVER, TORCH, require
from featrix_core.strings.limits import Limits
from featrix_core.strings.logs import FIELDS, log_json
from featrix_core.strings.token import read_token

if TYPE_CHECKING:
    from featrix_core.strings.service import StringsService

_LONGEST_DRAIN = 60
_log = logging.getLogger(__name__)


def serve(
    host: str = "127.0.0.1",
    port: int = 8080,
    metrics_port: int = 9090,
    *,
    model_path: str | Path | None = None,
    engine: EngineName = "onnx",
    threads: int | None = None,
    token_file: str | Path | None = None,
    drain_seconds: float = 0.0,
    cache_entries: int | None = None,
    cache_mib: int | None = None,
    expect_fingerprint: str | None = None,
    max_connections: int | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun and return.

    `threads` batches are computed at a time, by default one per core; one that is alone is shared by several.
    `token_file` holds the bearer token that callers must show. After the signal the service is not ready, and
    `drain_seconds` later it takes no more connections. `expect_fingerprint` is the only model that may be served.
    `max_connections`, `cache_entries` and `cache_mib` replace what `Limits` and the cache have by default.

    Raises:
        FeatrixUserError: fewer threads than one, no weights or those of another model, an unusable
            token file, a package that is not installed, or a port that is taken.
    """
    if threads is not None and threads < 1:
        raise FeatrixUserError(
            "Somebody must compute: fewer threads than one",
            value=threads,
            remedy="Give --threads 1 or more, or leave it out for one per core",
        )
    require(*SERVER, *(ONNX if engine == "onnx" else TORCH))
    from prometheus_client import start_http_server

    from featrix_core.strings.service import StringsService

    folder = find_weights(model_path)
    if expect_fingerprint is not None:
        _check_fingerprint(expect_fingerprint, fingerprint_of(engine, folder))
    service = StringsService(
        folder,
        engine=engine,
        threads=allowed_cores() if threads is None else threads,
        limits=Limits() if max_connections is None else Limits(connections=max_connections),
        token=None if token_file is None else read_token(token_file),
        cache_entries=cache_entries,
        cache_mib=cache_mib,
    )
    log_json()
    try:
        metrics_server, metrics_thread = start_http_server(
            metrics_port, addr=host, registry=service.metrics.registry
        )
    except OSError as error:
        raise FeatrixUserError(
            f"The metrics cannot be served on {host}:{metrics_port}: {error.strerror}",
            remedy="Choose another --metrics-port",
        ) from None
    try:
        if not asyncio.run(_run(service, host, port, drain_seconds)):
            raise FeatrixUserError(
                f"The service cannot listen on {host}:{port}", remedy="Choose another --port"
            )
    finally:
        metrics_server.shutdown()
        metrics_thread.join()
        service.close()
    _log.info("Stopped")


async def _run(service: StringsService, host: str, port: int, drain_seconds: float) -> bool:
    """Serve until a signal; False if the port could not be had."""
    import uvicorn

    from featrix_core.strings.connection import KEEP_ALIVE, connection_of

    class Server(uvicorn.Server):
        """Leaves signals to this module: uvicorn would raise them again and spoil the exit status."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    server = Server(
        uvicorn.Config(
            service.app,
            host=host,
            port=port,
            http=connection_of(service),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=_LONGEST_DRAIN,
        )
    )
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    def drain() -> None:
        if service.draining:
            server.force_exit = True
            return stop()
        _log.info("Draining", extra={FIELDS: {"seconds": drain_seconds}})
        service.drain()
        loop.call_later(drain_seconds, stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, drain)
    # Alive while the model loads: probes tell a slow start from a dead process.
    loading = asyncio.create_task(asyncio.to_thread(service.load))
    loading.add_done_callback(lambda task: stop() if task.exception() else None)
    try:
        await server.serve()
    except SystemExit:  # what uvicorn does about a port that is taken
        await asyncio.wait((loading,))
        return False
    await loading
    return True


def _check_fingerprint(expected: str, found: str) -> None:
    if found != expected:
        raise FeatrixUserError(
            f"The model here has the fingerprint {found}",
            value=expected,
            remedy="Serve the model that was expected, or expect this one",
        )
