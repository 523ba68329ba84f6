"""Where the registry is and how mlflow is brought in: quietly, and only when it is needed."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from featrix_core.errors import FeatrixUserError
from featrix_core.registry.redact import redact

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

# Error codes with which MLflow says that a thing does not exist (an alias: an invalid value).
MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")

# Defaults only: whatever the environment says wins.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",  # it would copy files of the current folder into the model
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # seven tries keep a user waiting for four minutes
}


@cache
def quiet_mlflow() -> None:
    """Import mlflow with telemetry off and its chatter (migrations, links, hints) silenced."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    # mlflow reads its level at import; a program that imported it before us gets the same quiet.
    level = os.environ["MLFLOW_LOGGING_LEVEL"].upper()
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(level)


def locate(
    tracking_uri: str | None, workdir: Path | None, *, begin: bool = True
) -> tuple[str, str | None]:
    """The tracking URI and, for a database that is opened directly, the folder for artifacts.

    The argument comes first, then `MLFLOW_TRACKING_URI`, then `<workdir>/mlflow.db` (embedded
    SQLite). Behind a server the artifacts are the server's business: the second value is then None.
    `begin`: the folder of a database is made where there is none.

    Raises:
        FeatrixUserError: nothing says where the registry is, it is a plain folder, or without `begin` there
            is no database.
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        if workdir is None:
            raise FeatrixUserError(
                "Nothing says where the model registry is",
                remedy="Give a work folder or a tracking URI, or set MLFLOW_TRACKING_URI",
            )
        uri = f"sqlite:///{workdir.resolve() / 'mlflow.db'}"
    if "://" not in uri or uri.startswith("file:"):
        raise FeatrixUserError(
            "A plain folder cannot be a model registry",
            value=redact(uri),
            remedy="Use sqlite:///PATH.db, or the http:// address of an MLflow server",
        )
    if uri.startswith(("http://", "https://")):
        return uri, None
    home = workdir
    if uri.startswith("sqlite:///"):
        home = home or Path(uri.removeprefix("sqlite:///")).parent
    if home is None:
        return uri, None
    root = str((home / "mlartifacts").resolve())
    if odd := sorted(set("?#%") & set(uri + root if uri.startswith("sqlite:") else root)):
        # mlflow reads both as addresses and would write somewhere else.
        raise FeatrixUserError(
            f"The embedded registry cannot be in a folder with {' '.join(odd)} in its path",
            value=root,
            remedy="Choose another work folder",
        )
    if uri.startswith("sqlite:///"):
        file = Path(uri.removeprefix("sqlite:///"))
        if not begin and not file.is_file():
            raise FeatrixUserError(
                f"There is no registry in the folder {str(file.parent)!r}",
                remedy=f"Give the work folder of a run: it holds {file.name}",
            )
        file.parent.mkdir(parents=True, exist_ok=True)
    return uri, root


def connect(uri: str) -> MlflowClient:
    """A client for `uri` that has answered once.

    Raises:
        FeatrixUserError: the registry does not answer, refuses us, or is no MLflow registry.
    """
    quiet_mlflow()
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
    except MlflowException as error:
        raise FeatrixUserError(
            f"The model registry cannot be used: {redact(str(error))[:300]}",
            value=redact(uri),
            remedy="Check the address, that the server runs, and the MLFLOW_TRACKING_* credentials",
        ) from error
    return client
