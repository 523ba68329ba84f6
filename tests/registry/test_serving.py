"""A predictor as an MLflow model: its signature, and the answers of the real scoring server."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import pickle
import pickletools
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import jsonschema
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.models.utils import validate_schema
from mlflow.types.schema import AnyType

from featrix_core import EmbeddingSpace, FeatrixInputDataSet, FeatureEngineer, SinglePredictor
from featrix_core.errors import FeatrixUserError
from featrix_core.predictor.response import response_schema
from featrix_core.predictor.standing import BOOSTED, LINEAR, NETS
from featrix_core.registry.pyfunc import BundlePredictor
from featrix_core.registry.versions import INPUT_TYPES, write_model
from featrix_core.version import VERSION
from tests.registry.servers import free_port, running

RAW = ["checking_status", "duration", "credit_amount", "own_telephone", "since", "name"]
RATIO = {
    "kind": "ratio",
    "name": "per month",
    "numerator": "credit_amount",
    "denominator": "duration",
}


@pytest.fixture(scope="module")
def table(few: pd.DataFrame) -> pd.DataFrame:
    """Whole numbers, categories, truth values, dates and texts; some cells are missing.

    Bad are long small loans and short large ones: trees see that where one column alone tells nothing.
    """
    long, large = (few[name] > few[name].median() for name in ("duration", "credit_amount"))
    table = few.assign(
        **{"class": np.where(long != large, "bad", "good")},
        own_telephone=[None if i % 9 == 0 else i % 2 == 0 for i in range(len(few))],
        since=pd.date_range("2020-01-01", periods=len(few)).strftime("%d.%m.%Y"),
        name=[f"Firm {i // 2} of many" for i in range(len(few))],
    )
    return table[[*RAW, "class"]]


@pytest.fixture(scope="module")
def predictor(table: pd.DataFrame) -> SinglePredictor:
    """A two-class predictor on a space with an engineered column."""
    data = FeatrixInputDataSet(table, ["class"])
    space = EmbeddingSpace(data, n_epochs=1, name="few").train()
    engineer = FeatureEngineer([RATIO], exclude=["class"])
    enriched = engineer.fit_transform(table.drop(columns="class"))
    space = EmbeddingSpace.extend_from_existing(space, enriched, n_epochs=1, engineer=engineer)
    predictor = trained(space.train(), table, "class")
    shares = predictor.training_info["selector"]["shares"]
    assert min(shares[name] for name in (NETS, LINEAR, BOOSTED)) > 0  # the server reads them all
    return predictor


def trained(space: EmbeddingSpace, table: pd.DataFrame, target: str) -> SinglePredictor:
    predictor = SinglePredictor(space, fine_tune=False)
    return predictor.prep_for_training(table, target).train(n_epochs=1)


def written(predictor: SinglePredictor, folder: Path) -> Path:
    predictor.save(folder / "predictor")
    write_model(folder / "model", Model(), folder / "predictor", "predictor")
    return folder / "model"


@pytest.fixture(scope="module")
def model(predictor: SinglePredictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(predictor, tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def loaded(model: Path) -> mlflow.pyfunc.PyFuncModel:
    return mlflow.pyfunc.load_model(str(model))


def rows_of(answers: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = answers.to_dict("records")
    return rows


# -- what is written ------------------------------------------------------------------------------


def test_inputs_are_the_raw_columns(model):
    meta = Model.load(str(model))
    inputs = meta.signature.inputs
    assert sorted(inputs.input_names()) == sorted(RAW)  # neither the target nor `per month`
    assert inputs.required_input_names() == []
    assert set(map(repr, inputs.input_types())) == {repr(AnyType())}
    assert meta.metadata[INPUT_TYPES] == {
        name: "double" if name in ("duration", "credit_amount") else "string" for name in RAW
    }
    (explain,) = meta.signature.params.params
    assert (explain.name, explain.default) == ("explain", False)


def test_example_is_made_from_the_schema_and_answered(model, loaded, table):
    request = json.loads((model / "serving_input_example.json").read_text())["dataframe_split"]
    example = pd.DataFrame(request["data"], columns=request["columns"])[RAW]
    assert len(example) == 3
    assert example["name"].tolist() == ["a few words"] * 3
    assert pd.isna(example["own_telephone"].iloc[-1])  # training had missing cells there
    assert re.fullmatch(r"\d\d\.\d\d\.2020", example["since"][0])
    numbers = ["duration", "credit_amount"]
    assert example[numbers].loc[0].tolist() == table[numbers].median().round().tolist()
    answers = rows_of(loaded.predict(example))
    codes = {code for answer in answers for code in answer["warning_codes"]}
    assert not codes & {"unseen_category", "out_of_range", "absent_column"}


def is_pickled(content: bytes) -> bool:
    """A pickle of any protocol, a file that begins as one (joblib's), or an archive (torch's)."""
    names: list[str] = []
    with contextlib.suppress(ValueError):  # a byte that is no code of a pickle
        for code, _, _ in pickletools.genops(content):
            names.append(code.name)
    begins = names[:1] == ["PROTO"] and len(names) > 3
    return begins or names[-1:] == ["STOP"] or content.startswith(b"PK\x03\x04")


def test_no_pickle_is_written(model):
    """CatBoost's trees are `.cbm`, LightGBM's are `.txt`: their libraries' own formats."""
    files = [path for path in model.rglob("*") if path.is_file()]
    endings = {path.suffix for path in files}
    assert endings <= {"", ".cbm", ".json", ".safetensors", ".sha256", ".txt", ".yaml"}
    assert ".cbm" in endings
    assert [path for path in files if is_pickled(path.read_bytes())] == []


def test_pickles_are_known_by_their_content(tmp_path):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert is_pickled(pickle.dumps({"a": [1, 2.0]}, protocol))
    joblib.dump({"a": np.arange(9.0)}, tmp_path / "joblib")
    torch.save({"a": torch.arange(9.0)}, tmp_path / "torch")
    assert is_pickled((tmp_path / "joblib").read_bytes())
    assert is_pickled((tmp_path / "torch").read_bytes())


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("credit_amount", {"interval_low", "interval_high", "std"}),
        ("checking_status", {"probabilities"}),
    ],
)
def test_other_kinds_of_targets(few_space, few, tmp_path, target, fields):
    """The space holds these targets as columns; they are no inputs."""
    own = trained(few_space, few, target)
    home = written(own, tmp_path)
    signature = Model.load(str(home)).signature
    assert target not in signature.inputs.input_names()
    kinds = {"probability", "probabilities", "interval_low", "interval_high", "std"}
    assert kinds & set(signature.outputs.input_names()) == fields
    answers = mlflow.pyfunc.load_model(str(home)).predict(few[:4], params={"explain": True})
    validate_schema(answers, signature.outputs)
    assert rows_of(answers) == own.predict(few[:4])


# -- batch users ----------------------------------------------------------------------------------


@pytest.mark.parametrize("explain", [False, True])
def test_frames_are_answered_with_the_response(loaded, predictor, table, explain):
    """Whole numbers, truth values and an empty column come as pandas has them."""
    rows = table[5:15].assign(checking_status=float("nan"), unknown=1)
    assert rows["duration"].dtype == "int64"
    answers = loaded.predict(rows, params={"explain": explain})
    assert answers.index.tolist() == list(range(5, 15))
    validate_schema(answers, loaded.metadata.signature.outputs)
    assert rows_of(answers) == predictor.predict(rows, explain=explain)
    assert ("feature_importance" in answers) == explain


def test_absent_columns_are_missing_and_said(loaded, predictor, table):
    few_columns = table[:3][["duration", "credit_amount"]]
    answers = rows_of(loaded.predict(few_columns))
    expected = predictor.predict(few_columns.reindex(columns=RAW), explain=False)
    for answer, same in zip(answers, expected, strict=True):
        assert answer["warning_codes"].pop() == "absent_column"
        sentence = answer["warnings"].pop()
        assert "'checking_status'" in sentence and "'duration'" not in sentence
        assert answer == same


def test_a_column_twice_is_refused(loaded, table):
    twice = table[:2][["duration", "credit_amount", "duration"]]
    with pytest.raises(MlflowException, match=r"have a column twice.*duration") as caught:
        loaded._model_impl.predict(twice)
    assert caught.value.get_http_status_code() == 400


def test_a_failure_of_ours_is_told_without_details(model, table):
    broken = BundlePredictor(model / "data" / "predictor")
    broken._predictor.reference = None
    with pytest.raises(MlflowException, match="see the server's log") as caught:
        broken.predict(table[:1])
    assert caught.value.get_http_status_code() == 500
    assert "stack_trace" not in caught.value.serialize_as_json()


def test_a_registered_model_tells_its_version(predictor, table, embedded, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", embedded.uri)
    predictor.save(tmp_path / "first")
    second = copy.copy(predictor)
    second.name = "another"
    second.save(tmp_path / "second")
    with embedded.run("train") as run:
        for name in ("first", "second"):
            ref = embedded.register_bundle(run, tmp_path / name, "predictor", "few", {})
    embedded.client.set_registered_model_alias("few", "champion", "2")
    for address, version in (("models:/few/1", "1"), ("models:/few@champion", "2")):
        (row,) = rows_of(mlflow.pyfunc.load_model(address).predict(table[:1]))
        assert row["metadata"]["model_version"] == version
        assert row["metadata"]["featrix_version"] == VERSION
    embedded.fetch_bundle(ref, tmp_path / "bundle")
    (row,) = SinglePredictor.load(tmp_path / "bundle").predict(table[:1])
    assert "model_version" not in row["metadata"]


# -- the server -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the scoring server of `model`."""
    home, port = tmp_path_factory.mktemp("server"), free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(model)),
        *("--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)),
    ]
    # The command starts `uvicorn` by its name.
    found = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": found, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with running(command, port, "/ping", home, environment) as address:
        yield address


def posted(address: str, body: object, kind: str = "application/json") -> tuple[int, Any]:
    """Status and JSON of an answer; `body` is sent as JSON unless it is bytes already."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": kind}
    request = urllib.request.Request(f"{address}/invocations", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def answered(address: str, body: object) -> list[dict[str, Any]]:
    status, answer = posted(address, body)
    assert status == 200, answer
    assert list(answer) == ["predictions"]
    for row in answer["predictions"]:
        jsonschema.validate(row, response_schema())
    rows: list[dict[str, Any]] = answer["predictions"]
    return rows


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    cells = table.astype(object)
    found: list[dict[str, Any]] = cells.where(cells.notna(), None).to_dict("records")
    return found


@pytest.fixture(scope="module")
def odd_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as a client may send them: gaps, a category that is new, numbers as text, extra columns."""
    rows = records(table[RAW][:6])
    rows[0]["duration"] = None
    rows[1] |= dict.fromkeys(RAW)
    rows[2]["checking_status"] = "never seen"
    rows[3] |= {"duration": "24", "credit_amount": "many"}
    rows[4]["credit_amount"] = 1e9
    return [row | {"note": "x", "class": "bad"} for row in rows]


@pytest.mark.parametrize("explain", [False, True])
def test_records_and_split_get_the_response(server, predictor, odd_rows, explain):
    columns = list(odd_rows[0])
    split = {"columns": columns, "data": [[row[c] for c in columns] for row in odd_rows]}
    expected = predictor.predict(odd_rows, explain=explain)
    codes = [set(row["warning_codes"]) for row in expected]
    assert "empty_row" in codes[1] and "unseen_category" in codes[2]
    assert "unreadable_value" in codes[3] and "out_of_range" in codes[4]
    for body in ({"dataframe_records": odd_rows}, {"dataframe_split": split}):
        assert answered(server, body | {"params": {"explain": explain}}) == expected


def test_a_row_alone_is_answered_as_among_others(server, table):
    """Also where a key that is left out stands for a missing cell."""
    rows = records(table[RAW][:3])
    del rows[1]["duration"]
    together = answered(server, {"dataframe_records": rows})
    alone = [answered(server, {"dataframe_records": [row]})[0] for row in rows]
    absent = ["absent_column" in answer["warning_codes"] for answer in alone]
    assert absent == [False, True, False]
    for one, other in zip(together, alone, strict=True):
        assert other["prediction"] == one["prediction"]
        assert other["probability"] == pytest.approx(one["probability"], abs=1e-6)


def test_a_retyped_column(server, predictor, table):
    """Categories as numbers, numbers as texts."""
    rows = records(table[RAW][:5].assign(checking_status=3))
    rows = [row | {"duration": str(row["duration"])} for row in rows]
    expected = predictor.predict(rows, explain=False)
    assert answered(server, {"dataframe_records": rows}) == expected


def test_parquet_is_read(server, predictor, table):
    body = table[RAW][:5].to_parquet(index=False)
    status, answer = posted(server, body, "application/vnd.apache.parquet")
    assert status == 200
    assert answer["predictions"] == predictor.predict(table[RAW][:5], explain=False)


def test_requests_at_the_same_time(server, predictor, table):
    parts = [records(table[RAW][start : start + 4]) for start in range(0, 24, 4)]
    bodies = [{"dataframe_records": rows, "params": {"explain": True}} for rows in parts]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda body: answered(server, body), bodies))
    assert answers == [predictor.predict(rows) for rows in parts]


WORDS = [{"duration": f"word {i}", "credit_amount": 1000} for i in range(25)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"no JSON", "valid JSON"),
        ({"rows": [{"duration": 3}]}, "dataframe_records"),
        ({"dataframe_records": {"duration": 3}}, "list of records"),
        ({"dataframe_split": {"columns": ["duration"], "data": [[1, 2]]}}, "split"),
        ({"dataframe_split": {"columns": ["duration"], "data": []}}, "at least one row"),
        ({"dataframe_records": []}, "none of the columns"),
        ({"dataframe_records": [{"Duration": 3}]}, "Send some of: .*duration"),
        ({"dataframe_records": WORDS}, r"25 of 25 cells are not a number.*column 'duration'"),
        ({"dataframe_records": [{"duration": 3}], "params": {"explain": "much"}}, "explain"),
    ],
)
def test_bad_requests_are_refused_with_a_sentence(server, body, said):
    status, answer = posted(server, body)
    assert status == 400
    assert re.search(said, answer["message"])
    assert "stack_trace" not in answer and "Traceback" not in json.dumps(answer)


def test_the_same_words_are_refused_without_a_server(predictor):
    """The sentence of the server is the library's own."""
    rows = [dict.fromkeys(RAW) | row for row in WORDS]
    with pytest.raises(FeatrixUserError, match="25 of 25 cells are not a number"):
        predictor.predict(rows)
