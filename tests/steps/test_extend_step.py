"""Step extend: the extension is kept if it pays on development rows, and the decision is on record."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from featrix_core import EmbeddingSpace
from featrix_core.bundle import bundle_digest
from featrix_core.errors import FeatrixUserError
from featrix_core.files import read_json
from featrix_core.steps import extend_space, ingest
from featrix_core.steps.data_step import load_dataset
from featrix_core.steps.extend_step import compare_spaces
from featrix_core.steps.figures import figures

from .conftest import Run

RATE = {
    "kind": "ratio",
    "name": "rate",
    "numerator": "credit_amount",
    "denominator": "duration",
}


def suggestions(folder: Path, *records: dict[str, Any]) -> str:
    path = folder / "features.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    return str(path)


def test_the_decision_follows_the_development_rows(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    document = extend_space(
        run.space, run.dataset, out, features=suggestions(tmp_path, RATE), seed=5
    )
    record = read_json(out / "extension.json")
    assert set(record) == {"new_columns", "suggestions", "accepted", "metrics"}
    assert [(c["name"], c["type"]) for c in record["new_columns"]] == [("rate", "scalar")]
    assert record["suggestions"] == [RATE]
    assert [(m["target"], m["metric"]) for m in record["metrics"]] == [
        ("class", "roc_auc"),
        ("age", "r2"),
    ]
    for m in record["metrics"]:
        low, high = m["interval"]
        assert low <= m["difference"] <= high
        assert m["difference"] == pytest.approx(m["after"] - m["before"])
        clear = "better" if low > 0 else "worse" if high < 0 else "no clear difference"
        assert m["verdict"] == clear
        assert document["metrics"][f"{m['metric']}_change_{m['target']}"] == m["difference"]
    gain = sum(m["error_before"] - m["error_after"] for m in record["metrics"])
    assert record["accepted"] is (gain > 0)
    _consistent(run, out, record["accepted"])


def _consistent(run: Run, out: Path, accepted: bool) -> None:
    """What is in the folder is what the decision says."""
    space = EmbeddingSpace.load(out)
    assert figures(out)["metrics"]["accepted"] == float(accepted)
    assert ("rate" in space.column_names) is accepted
    assert (out / "previous").is_dir() is accepted
    if accepted:
        assert bundle_digest(out / "previous") == bundle_digest(run.space)
        assert EmbeddingSpace.load(out / "previous").column_names == tuple(
            name for name in space.column_names if name != "rate"
        )
        assert space.extension_metadata is not None
        assert space.extension_metadata["feature_metadata"] == {"source": "features.json"}
    else:
        assert bundle_digest(out) == bundle_digest(run.space)


def test_both_decisions(rows: pd.DataFrame, run: Run, tmp_path: Path) -> None:
    """A label that is one ratio's alone is told by that ratio, and not by a number made of noise."""
    amount, months = (rows[name].astype(float) for name in ("credit_amount", "duration"))
    high = amount / months > (amount / months).median()
    frame = rows.drop(columns="age").assign(**{"class": np.where(high, "high", "low")})
    noise = np.random.default_rng(0).normal(size=len(rows)).round(3)
    frame["noise"] = noise.astype(str)
    frame.to_csv(tmp_path / "planted.csv", index=False)
    dataset = tmp_path / "dataset"
    ingest(str(tmp_path / "planted.csv"), ["class"], dataset)
    data = load_dataset(dataset)
    space = EmbeddingSpace(data.development, name="planted", schema=data.schema).train(n_epochs=2)
    space.save(tmp_path / "space")
    outcomes = {}
    for name, record in {
        "told": RATE,
        "noise": {"kind": "log", "name": "rate", "column": "noise"},
    }.items():
        out = tmp_path / name
        extend_space(
            tmp_path / "space", dataset, out, features=suggestions(tmp_path, record), seed=1
        )
        found = read_json(out / "extension.json")
        (m,) = found["metrics"]
        assert found["accepted"] is (m["error_after"] < m["error_before"])
        outcomes[name] = found["accepted"]
        _decided(tmp_path / "space", out, found["accepted"])
    assert outcomes == {"told": True, "noise": False}


def _decided(before: Path, out: Path, accepted: bool) -> None:
    assert (out / "previous").is_dir() is accepted
    kept = out / "previous" if accepted else out
    assert bundle_digest(kept) == bundle_digest(before)
    assert ("rate" in EmbeddingSpace.load(out).column_names) is accepted


def test_a_space_against_itself_differs_in_nothing(run: Run) -> None:
    space = EmbeddingSpace.load(run.space)
    for m in compare_spaces(space, space, load_dataset(run.dataset), seed=3):
        assert m["error_before"] == m["error_after"]
        assert (m["difference"], m["interval"], m["verdict"]) == (
            0.0,
            [0.0, 0.0],
            "no clear difference",
        )


def test_where_nothing_is_suggested_the_space_goes_on_as_it_is(
    rows: pd.DataFrame, run: Run, tmp_path: Path
) -> None:
    """Below 60 rows nothing is proposed."""
    rows.iloc[:50].to_csv(tmp_path / "few.csv", index=False)
    ingest(str(tmp_path / "few.csv"), ["class", "age"], tmp_path / "dataset")
    document = extend_space(run.space, tmp_path / "dataset", tmp_path / "out")
    assert read_json(tmp_path / "out" / "extension.json") == {
        "new_columns": [],
        "accepted": False,
        "metrics": [],
    }
    assert bundle_digest(tmp_path / "out") == bundle_digest(run.space)
    assert document["metrics"]["columns"] == 6.0


def test_a_class_that_nobody_can_measure_decides_nothing(
    rows: pd.DataFrame, run: Run, tmp_path: Path
) -> None:
    """Four rows of a class are all trained on, so there is nothing to compare on."""
    frame = rows.assign(**{"class": ["bad"] * 4 + ["good"] * 196})
    frame.to_csv(tmp_path / "rare.csv", index=False)
    ingest(str(tmp_path / "rare.csv"), ["class"], tmp_path / "dataset", config=None)
    out = tmp_path / "out"
    extend_space(run.space, tmp_path / "dataset", out, features=suggestions(tmp_path, RATE), seed=5)
    record = read_json(out / "extension.json")
    assert (record["accepted"], record["metrics"]) == (False, [])
    _consistent(run, out, accepted=False)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({**RATE, "denominator": "age"}, "must not know"),
        ({**RATE, "name": "class"}, "must not know"),
        ({**RATE, "denominator": "salary"}, "does not have"),
        ({**RATE, "kind": "eval"}, "refused"),
    ],
)
def test_suggestions_that_are_refused(
    record: dict[str, Any], says: str, run: Run, tmp_path: Path
) -> None:
    with pytest.raises(FeatrixUserError, match=says):
        extend_space(
            run.space, run.dataset, tmp_path / "out", features=suggestions(tmp_path, record)
        )
    assert not (tmp_path / "out").exists()


def test_a_damaged_space_is_refused(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.space, tmp_path / "space")
    weights = tmp_path / "space" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(FeatrixUserError, match="damaged"):
        extend_space(tmp_path / "space", run.dataset, tmp_path / "out")
