"""What a served predictor reads and answers, as MLflow writes it down (OPS-4, PRED-5).

All of it comes from the JSON files of the bundle: nothing is loaded, torch is not brought in.
"""

from __future__ import annotations

import datetime
import importlib.resources
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrix_core.errors import BundleError
from featrix_core.features.engineer import FeatureEngineer
from featrix_core.features.suggestions import parse_suggestions
from featrix_core.files import read_json
from featrix_core.tables.schema import CATEGORICAL, ColumnSchema, ColumnType, TableSchema
from featrix_core.tables.timestamps import ISO_FORMAT, LAST_CENTURY

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

EXPLAIN = "explain"

# Fields of the response that not every kind of target has.
_KINDS: dict[str, tuple[str, ...]] = {
    "probability": ("binary",),
    "probabilities": ("multiclass", "ordinal"),
    "expected_level": ("ordinal",),
    "prediction_set": ("binary", "multiclass", "ordinal"),
    "interval_low": ("scalar",),
    "interval_high": ("scalar",),
    "std": ("scalar",),
}
# Cells of the example for columns whose own cells the schema does not hold: forms, nobody's data.
_FORMS: dict[ColumnType, str] = {
    ColumnType.TEXT: "a few words",
    ColumnType.DOCUMENT: "A few words. And a few more.",
    ColumnType.EMAIL: "someone@example.com",
    ColumnType.DOMAIN: "example.com",
    ColumnType.URL: "https://example.com/page",
    ColumnType.PHONE: "+1 202 555 0100",
    ColumnType.ADDRESS: "1 Main Street",
    ColumnType.JSON: "{}",
}
_QUANTILES = ("median", "q25", "q75")
_SHARES = (0.5, 0.25, 0.75)
_RANKS = (0, 1, 0)


@dataclass(frozen=True)
class ServingContract:
    """Signature of a model, rows to try it with, and what a JSON client sends for each input.

    `types` has `double`, `string` or `any` per input. It stands beside the signature, in the
    model's metadata, because the signature itself must not say it: mlflow would enforce it, and
    refuse whole numbers from a DataFrame for `double`, and truth values, dates and empty columns
    for `string`, among them the rows that the model was trained on. Inputs are therefore of type
    `any` for mlflow, and cells are judged by the bundle's schema, as everywhere else.
    """

    signature: ModelSignature
    example: pd.DataFrame
    types: dict[str, str]


def input_columns(
    schema: TableSchema, engineer: FeatureEngineer | None, target: str
) -> dict[str, ColumnSchema | None]:
    """The columns that a predictor reads from raw rows, in the schema's order.

    Engineered columns are none of them, because they are computed. The columns that they are made
    from are, with None where the space does not hold them itself.
    """
    made = set() if engineer is None else set(engineer.names)
    columns: dict[str, ColumnSchema | None] = {
        column.name: column for column in schema.columns if column.name not in {*made, target}
    }
    for suggestion in () if engineer is None else parse_suggestions(engineer.suggestions):
        for name in suggestion.inputs:
            if name not in made:
                columns.setdefault(name, None)
    return columns


def serving_contract(bundle: Path) -> ServingContract | None:
    """Signature and example of a predictor's bundle; None for one that names no target and schema.

    Inputs are optional: a column that is left out is missing in every row. The example has three
    rows made from the schema alone: medians and quartiles of numbers, the middle of time spans, the
    two most frequent categories, invented forms for texts and addresses, and in the last row a null
    wherever training had missing cells. So no row of it is a training row, and every value that is
    not invented can be read in the `schema.json` beside it.

    Raises:
        BundleError: a file of the bundle does not hold what this version writes.
    """
    document, space = bundle / "predictor.json", bundle / "space"
    if not (document.is_file() and (space / "schema.json").is_file()):
        return None
    try:
        coding = read_json(document)["coding"]
        target, kind = str(coding["target"]["name"]), str(coding["target"]["kind"])
        features = read_json(space / "space.json")["features"]
        schema = TableSchema.model_validate_json((space / "schema.json").read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"The predictor at {bundle} cannot be described: {error}", remedy="Train it again"
        ) from error
    engineer = None if features is None else FeatureEngineer.from_dict(features)
    columns = input_columns(schema, engineer, target)
    return ServingContract(
        _signature(tuple(columns), kind),
        _example(columns),
        {name: _json_type(column) for name, column in columns.items()},
    )


def _json_type(column: ColumnSchema | None) -> str:
    if column is None:
        return "any"
    return "double" if column.type is ColumnType.SCALAR else "string"


# -- signature ------------------------------------------------------------------------------------


def _signature(inputs: tuple[str, ...], kind: str) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType, TensorSpec

    published = _published()
    required = set(published["required"])
    outputs: list[ColSpec | TensorSpec] = []
    for name, field in published["properties"].items():
        if kind not in _KINDS.get(name, (kind,)):
            continue
        if name == "prediction":
            field = {"type": "number" if kind == "scalar" else "string"}
        always = name in required or (name in _KINDS and name != "prediction_set")
        outputs.append(ColSpec(_type(field, published["$defs"]), name, required=always))
    anything = AnyType()  # type: ignore[no-untyped-call]
    return ModelSignature(
        inputs=Schema([ColSpec(anything, name, required=False) for name in inputs]),
        outputs=Schema(outputs),
        params=ParamSchema([ParamSpec(EXPLAIN, "boolean", False)]),
    )


def _published() -> dict[str, Any]:
    """The response's JSON schema, read as a file: its module would bring torch in."""
    file = importlib.resources.files("featrix_core.predictor") / "response.schema.json"
    published: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return published


def _type(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """MLflow's type for a field of the published schema."""
    from mlflow.types import DataType
    from mlflow.types.schema import Array, Map, Object, Property

    if "anyOf" in field:  # a type, or null
        field = next(option for option in field["anyOf"] if option.get("type") != "null")
    if "$ref" in field:
        field = definitions[field["$ref"].rsplit("/", 1)[1]]
    match field["type"]:
        case "object" if "properties" in field:
            required = field.get("required", ())
            return Object(
                [
                    Property(name, _type(part, definitions), name in required)
                    for name, part in field["properties"].items()
                ]
            )
        case "object":
            return Map(_type(field["additionalProperties"], definitions))
        case "array":
            return Array(_type(field["items"], definitions))
    plain = {"string": DataType.string, "number": DataType.double, "integer": DataType.long}
    return plain[field["type"]]


# -- example --------------------------------------------------------------------------------------


def _example(columns: Mapping[str, ColumnSchema | None]) -> pd.DataFrame:
    import pandas as pd

    cells = {
        name: [_cell(column, row) for row in range(len(_RANKS))] for name, column in columns.items()
    }
    return pd.DataFrame(cells, dtype=object)


def _cell(column: ColumnSchema | None, row: int) -> str | int | float | None:
    """Cell of an example's row; None where the schema says too little to make one."""
    if column is None or (row == len(_RANKS) - 1 and column.n_missing):
        return None
    if column.type is ColumnType.SCALAR:
        if not column.statistics:
            return None
        number = column.statistics[_QUANTILES[row]]
        return round(number) if column.statistics.get("integer") else number
    if column.type in CATEGORICAL:
        ranked = column.categories
        return ranked[min(_RANKS[row], len(ranked) - 1)] if ranked else None
    if column.type is ColumnType.TIMESTAMP:
        return _moment(column, _SHARES[row])
    if column.type is ColumnType.LIST:
        return f"one{column.delimiter or ','}two"
    if column.type is ColumnType.VECTOR and column.dimension:
        return json.dumps([0.0] * column.dimension)
    return _FORMS.get(column.type)


def _moment(column: ColumnSchema, share: float) -> str | None:
    """A moment of the column's span in its own format; None for the forms that strftime lacks."""
    if not column.statistics:
        return None
    low, high = column.statistics["min"], column.statistics["max"]
    try:
        moment = datetime.datetime.fromtimestamp(round(low + share * (high - low)), datetime.UTC)
    except (ValueError, OverflowError, OSError):  # beyond the years that Python knows
        return None
    form = (column.timestamp_format or "").removesuffix(LAST_CENTURY)
    if form == ISO_FORMAT:
        return moment.replace(tzinfo=None).isoformat()
    return moment.strftime(form) if "%" in form else None
