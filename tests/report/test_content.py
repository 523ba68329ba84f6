import pytest
from pydantic import ValidationError

from featrix_core.report.content import (
    MAX_SPHERE_POINTS,
    MutualInformation,
    Regression,
    ReportContent,
    Sphere,
)
from featrix_core.report.from_schema import columns_from_schema
from featrix_core.report.training_content import Timeline
from featrix_core.tables.schema import ColumnSchema, ColumnType, DroppedColumn, TableSchema


def test_content_survives_its_own_json() -> None:
    content = ReportContent.model_validate(
        {
            "title": "t",
            "key_figures": [{"name": "rows", "value": 3}, {"name": "who", "value": "me"}],
            "timeline": {"epochs": [{"epoch": 1, "train_loss": None}]},
            "mutual_information": {"names": ["a", "b"], "bits": [[1.0, None], [0.5, 2.0]]},
        }
    )
    assert ReportContent.model_validate_json(content.model_dump_json()) == content


def test_timeline_reads_the_file_that_training_writes() -> None:
    entry = {
        "epoch": 25,
        "learning_rate": 0.000842,
        "train_loss": 4.2156,
        "gradients": {"unclipped_norm": 2.4561, "clipped_norm": 2.123, "clip_ratio": 0.864},
        "failures_detected": ["NO_LEARNING"],
        "early_stop_blocked": True,
    }
    epoch = Timeline.from_entries([entry]).epochs[0]
    assert epoch.gradients.clipped_norm == 2.123
    assert epoch.failures_detected == ("NO_LEARNING",)
    assert epoch.validation_loss is None


def test_lengths_that_disagree_are_refused() -> None:
    point = (1.0, 0.0, 0.0)
    with pytest.raises(ValidationError, match="labels has 1 entries for 2 points"):
        Sphere(points=(point, point), labels=("a",))
    with pytest.raises(ValidationError, match="by labels or by values"):
        Sphere(points=(point,), labels=("a",), values=(1.0,))
    with pytest.raises(ValidationError, match="at most 2000"):
        Sphere(points=(point,) * (MAX_SPHERE_POINTS + 1))
    with pytest.raises(ValidationError, match="2 by 2"):
        MutualInformation(names=("a", "b"), bits=((1.0, 2.0),))
    with pytest.raises(ValidationError, match="1 actual for 0 predicted"):
        Regression(actual=(1.0,))


def test_columns_come_from_a_schema() -> None:
    amount = ColumnSchema(
        name="amount",
        type=ColumnType.SCALAR,
        evidence="numbers",
        n_rows=200,
        n_missing=10,
        n_unparsed=2,
        n_unique=150,
        statistics={"median": 240.5, "q01": -3.0, "q99": 90000.0},
    )
    purpose = ColumnSchema(
        name="purpose",
        type=ColumnType.SET,
        evidence="few values",
        overridden=True,
        n_rows=200,
        n_missing=0,
        n_unique=2,
        categories=("car", "other"),
        category_counts=(150, 50),
    )
    seen = ColumnSchema(
        name="seen",
        type=ColumnType.TIMESTAMP,
        evidence="dates",
        n_rows=200,
        n_missing=0,
        n_unique=9,
        statistics={"min": 0.0, "max": 86400.0 * 365},
    )
    key = DroppedColumn(
        name="id", reason="identifier", message="unique", score=0.8, score_parts={"uniqueness": 0.3}
    )
    columns = columns_from_schema(TableSchema(columns=(amount, purpose, seen), dropped=(key,)))
    assert columns.n_rows == 200
    assert [entry.missing_share for entry in columns.kept] == [0.05, 0.0, 0.0]
    assert [entry.statistics for entry in columns.kept] == [
        "median 240.5, 98 % in −3 … 90,000",
        "car 75 %, other 25 %",
        "1970-01-01 to 1971-01-01",
    ]
    assert columns.kept[0].decision == "kept, 2 cells not parsed"
    assert columns.kept[1].decision == "kept, type set by hand"
    assert columns.dropped[0].score_parts == {"uniqueness": 0.3}
