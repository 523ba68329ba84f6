"""What `mlflow.pyfunc.load_model` calls for a registered predictor: no pickle involved (OPS-4)."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrix_core.errors import FeatrixUserError
from featrix_core.registry.signature import EXPLAIN, input_columns

if TYPE_CHECKING:
    import pandas as pd

ABSENT = "absent_column"

logger = logging.getLogger(__name__)


class BundlePredictor:
    """The predictor of a bundle with the one method that MLflow asks for.

    Both `mlflow models serve` and `mlflow.pyfunc.load_model(...).predict(frame)` come here, so both
    answer with the response of docs/response-schema.md.

    Args:
        path: the bundle.
        version: its version in the registry, if it is known; every answer's metadata tells it.
    """

    def __init__(self, path: Path, version: str | None = None) -> None:
        # Late, because this module must cost nothing to import: it brings torch in.
        from featrix_core.single_predictor import SinglePredictor

        self._predictor = SinglePredictor.load(path)
        self._predictor.registered_version = version
        coding, space = self._predictor.coding, self._predictor.space
        assert coding is not None
        self._inputs = list(input_columns(space.schema, space.engineer, coding.target.name))
        # The server answers each request in a thread of its own, and torch's generators are global.
        self._lock = threading.Lock()

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row of answers per row of `frame`, in its order and with its index (PRED-5).

        The columns are the fields of the response; `metadata` is a dict in every row. The server
        writes each row as one JSON object. Columns that the model does not read are ignored.
        Columns that `frame` lacks are missing in every row, and a warning says so.

        Args:
            frame: raw rows, at least one, with at least one column that the model reads.
            params: `{"explain": True}` adds `feature_importance`; off by default, because it takes
                many times as long as the rest of the answer.

        Raises:
            MlflowException: the rows cannot be read (the server answers 400), or something else
                failed (500; the details are in the log and not in the answer).
        """
        from mlflow.exceptions import MlflowException
        from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE

        explain = bool((params or {}).get(EXPLAIN, False))
        try:
            with self._lock:
                return self._answers(frame, explain)
        except FeatrixUserError as error:
            raise MlflowException(str(error), INVALID_PARAMETER_VALUE) from error
        except Exception as error:
            # mlflow would send the traceback of anything but its own exception to the client.
            logger.exception("Rows could not be answered")
            raise MlflowException(
                "The model failed; see the server's log", INTERNAL_ERROR
            ) from error

    def _answers(self, frame: pd.DataFrame, explain: bool) -> pd.DataFrame:
        import pandas as pd

        if not frame.columns.is_unique:
            twice = frame.columns[frame.columns.duplicated()][0]
            raise FeatrixUserError(
                "The rows have a column twice", column=str(twice), remedy="Send every column once"
            )
        absent = [name for name in self._inputs if name not in frame.columns]
        if len(absent) == len(self._inputs):
            raise FeatrixUserError(
                "The rows have none of the columns that the model reads",
                remedy=f"Send some of: {', '.join(self._inputs[:20])}",
            )
        if not len(frame):
            raise FeatrixUserError("There is no row to answer", remedy="Send at least one row")
        rows = frame.reindex(columns=self._inputs)
        answers = pd.DataFrame(self._predictor.predict(rows, explain=explain), index=frame.index)
        if absent:
            named = ", ".join(repr(name) for name in absent)
            sentence = f"Columns that the rows lack and that were taken as missing: {named}."
            answers["warnings"] = [[*said, sentence] for said in answers["warnings"]]
            answers["warning_codes"] = [[*codes, ABSENT] for codes in answers["warning_codes"]]
        return answers


def _registered_version(home: Path) -> str | None:
    """The version that mlflow writes beside `MLmodel` when it fetches a model by its registered name."""
    from mlflow.store.artifact.models_artifact_repo import REGISTERED_MODEL_META_FILE_NAME
    from mlflow.utils.yaml_utils import read_yaml

    if not (home / REGISTERED_MODEL_META_FILE_NAME).is_file():
        return None
    meta = read_yaml(str(home), REGISTERED_MODEL_META_FILE_NAME)  # type: ignore[no-untyped-call]
    version = meta.get("model_version")
    return None if version is None else str(version)


def _load_pyfunc(path: str) -> BundlePredictor:
    bundle = Path(path)
    return BundlePredictor(bundle, _registered_version(bundle.parent.parent))
