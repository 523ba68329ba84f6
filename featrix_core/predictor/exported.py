"""An exported predictor: its graph in ONNX Runtime, without torch (issue "Deployment without Python weight").

>>> exported = ExportedPredictor.load("out/export")
>>> exported.run(cells)                     # tensors of rows by name → results by name; no torch is loaded
>>> exported.scores(new_rows)               # raw rows; the codecs that turn them into tensors do load torch

Legend: N rows · K classes · M row width.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featrix_core.bundle import read_tensors, verify_bundle
from featrix_core.cores import cpu_limit
from featrix_core.errors import BundleError, FeatrixUserError
from featrix_core.files import read_json
from featrix_core.input_data_set import TableLike, as_table
from featrix_core.predictor.prediction_sets import PredictionSets
from featrix_core.predictor.response import ClassScores, NumberScores, Scores
from featrix_core.tables.build import typed_columns
from featrix_core.tables.schema import ColumnType, TableSchema
from featrix_core.tables.table import Table, TypedColumn

if TYPE_CHECKING:
    from featrix_core.strings.embedder import TextEmbedder

KIND = "export"
GRAPH = "model.onnx"
DOCUMENT = "export.json"
SCHEMA = "schema.json"
CODECS = "codecs.safetensors"
ROWS = "rows"
"""Name of the first axis of a tensor that has one row per row of the table."""
LEAST_ENTRIES = 2
"""A table of distinct values has at least so many rows: the graph is drawn for any number from there on."""

Arrays = dict[str, NDArray[Any]]


def missing_package(package: str) -> FeatrixUserError:
    """What to say where a package of the extra is not installed."""
    return FeatrixUserError(
        f"Exported predictors need the package {package}, which is not installed",
        value=package,
        remedy='Install it with: pip install "featrix[export]"',
    )


class ExportedPredictor:
    """A folder that `export_predictor` wrote, ready to answer.

    Attributes:
        document: what stands in `export.json` (inputs, outputs, classes, threshold, source).
    """

    def __init__(self, folder: Path, document: dict[str, Any], session: Any) -> None:
        self.folder = folder
        self.document = document
        self._session = session
        self._inputs = {each["name"]: each for each in document["inputs"]}
        self._outputs = [each["name"] for each in document["outputs"]]
        self._tokenizer: Any = None

    @classmethod
    def load(cls, folder: str | Path, threads: int = 0) -> ExportedPredictor:
        """Read a folder after checking every digest.

        Args:
            threads: of ONNX Runtime; 0: those of a container's CPU limit, or as many as it thinks best.

        Raises:
            BundleError: missing, damaged, of another kind or another version.
            FeatrixUserError: ONNX Runtime is not installed.
        """
        folder = Path(folder)
        verify_bundle(folder, KIND)
        try:
            document = read_json(folder / DOCUMENT)
        except (OSError, ValueError) as error:
            raise BundleError(
                f"The exported predictor at {folder} cannot be read: {error}",
                remedy="Export it again",
            ) from error
        return cls.opened(folder, document, threads)

    @classmethod
    def opened(cls, folder: Path, document: dict[str, Any], threads: int = 0) -> ExportedPredictor:
        """The same without checking the folder's digests, for a folder that is not sealed yet."""
        try:
            import onnxruntime
        except ImportError as error:
            raise missing_package("onnxruntime") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or cpu_limit() or 0
        options.log_severity_level = 3  # errors only
        session = onnxruntime.InferenceSession(
            str(folder / GRAPH), options, providers=["CPUExecutionProvider"]
        )
        return cls(folder, document, session)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, the positive one last where there are two; none for a number."""
        return tuple(self.document["classes"])

    def run(self, cells: Mapping[str, NDArray[Any]]) -> Arrays:
        """Results by name for the tensors of N rows by name; N = 0 is fine. Others than `inputs` are ignored.

        Raises:
            FeatrixUserError: a tensor is missing or has another type or shape than `export.json` says.
        """
        fed = {name: self._checked(cells, wanted) for name, wanted in self._inputs.items()}
        rows = [len(fed[n]) for n, wanted in self._inputs.items() if wanted["shape"][0] == ROWS]
        if len(set(rows)) > 1:
            raise FeatrixUserError(
                "The tensors have different numbers of rows",
                value=", ".join(str(n) for n in sorted(set(rows))),
                remedy="Give every tensor of rows the same first axis",
            )
        if rows[0] == 0:
            return {
                each["name"]: np.zeros((0, *each["shape"][1:]), each["dtype"])
                for each in self.document["outputs"]
            }
        answered = self._session.run(self._outputs, fed)
        return dict(zip(self._outputs, answered, strict=True))

    def _checked(self, cells: Mapping[str, NDArray[Any]], wanted: dict[str, Any]) -> NDArray[Any]:
        name, dtype, shape = wanted["name"], wanted["dtype"], tuple(wanted["shape"][1:])
        given = cells.get(name)
        if given is None or str(given.dtype) != dtype or given.shape[1:] != shape:
            what = "nothing" if given is None else f"{given.dtype} {given.shape}"
            raise FeatrixUserError(
                f"The tensor {name} does not fit the exported predictor",
                value=what,
                remedy=f"Give {dtype} with the axes ({', '.join(map(str, wanted['shape']))})",
            )
        if wanted["shape"][0] != ROWS and len(given) < LEAST_ENTRIES:
            # Nothing points at the rows that are added.
            more = np.zeros((LEAST_ENTRIES - len(given), *shape), dtype)
            given = np.concatenate([given, more])
        return np.ascontiguousarray(given)

    def scores(self, data: TableLike, embedder: TextEmbedder | None = None) -> Scores:
        """Calibrated probabilities, or numbers with intervals, of raw rows (loads torch: see `cells`)."""
        return self.scored(self.run(self.cells(data, embedder)))

    def scored(self, results: Mapping[str, NDArray[Any]]) -> Scores:
        """Results of `run` as the library's own scores."""
        found = self.document
        if found["classes"]:
            sets = found["prediction_sets"]
            return ClassScores(
                self.classes,
                results["probabilities"],
                found["threshold"],
                None if sets is None else PredictionSets.from_dict(sets),
                found["ordered"],
            )
        return NumberScores(
            results["value"],
            results["low"],
            results["high"],
            results["std"],
            found["target_width"],
        )

    def cells(self, data: TableLike, embedder: TextEmbedder | None = None) -> Arrays:
        """Tensors of raw rows by name. The codecs' container holds torch tensors, so that this loads torch.

        Args:
            embedder: reads texts and unseen categories; the library's own by default.

        Raises:
            FeatrixUserError: columns do not fit the schema, or one of them is read by a space of its own.
        """
        tokenizer = self._codecs()
        batch = tokenizer.encode(self._typed(as_table(data), tokenizer.schema), embedder)
        return {name: getattr(batch, name).numpy() for name in self._inputs}

    def _codecs(self) -> Any:
        from featrix_core.encoders.tokenizer import Tokenizer

        if self._tokenizer is None:
            schema = TableSchema.model_validate_json((self.folder / SCHEMA).read_bytes())
            nested = schema.of_type(ColumnType.JSON)
            if nested:
                raise FeatrixUserError(
                    "Cells of JSON are read by a space of their own, which an exported predictor does not hold",
                    column=nested[0].name,
                    remedy="Make the tensors with the predictor's bundle and give them to `run`",
                )
            self._tokenizer = Tokenizer.from_state(
                schema,
                read_tensors(self.folder / CODECS),
                # Exports of earlier versions say nothing.
                sentence_model=self.document.get("sentence_model"),
            )
        return self._tokenizer

    def _typed(self, table: Table, schema: TableSchema) -> dict[str, TypedColumn]:
        """Typed columns; engineered ones are computed, and the target, should the space hold it, is hidden."""
        target, features = self.document["target"], self.document["features"]
        shown = tuple(c for c in schema.columns if c.name != target)
        if features is not None and {c.name for c in shown} - set(table.names):
            import pyarrow as pa

            from featrix_core.features.engineer import FeatureEngineer

            frame = FeatureEngineer.from_dict(features).transform(table.to_pandas())
            made = pa.Table.from_pandas(frame, preserve_index=False)
            table = Table(made, table.source, table.notices)
        if target in table.names:
            table = table.drop([target])
        typed = dict(typed_columns(table, schema.model_copy(update={"columns": shown})))
        if target in schema.names:
            typed[target] = TypedColumn.hidden(target, schema.column(target).type, table.n_rows)
        return typed
