"""Every automatic value is named with its reason, and beside the source's (TRAIN-2, D4.4)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import space_plan
from featrix_core.planning import Limit, PlanValue, TableFacts, class_weight_value, plan_document
from featrix_core.space.plan import plan_shape
from featrix_core.training import source_rules
from featrix_core.training.plan import plan_space

NAMED = (
    "batch size",
    "peak learning rate",
    "first learning rate",
    "updates",
    "epochs",
    "first dropout",
    "last dropout",
    "weight decay",
    "temperature",
    "gradient clipping",
    "d_model",
    "token width",
    "first weights",
    "layers",
    "attention heads",
    "spread loss weight",
    "joint loss weight",
    "marginal loss weight",
    "reconstruction loss weight",
    "column pairs",
    "hidden cells",
    "patience",
    "weight averaging (EMA)",
)


def _values(rows: int, columns: int) -> dict[str, PlanValue]:
    facts = TableFacts(rows=rows, training_rows=rows, columns=columns)
    document = plan_document(facts, plan_space(rows), plan_shape())
    found = [
        PlanValue.model_validate(value) for value in json.loads(json.dumps(document["values"]))
    ]
    return {value.name: value for value in found}


@given(st.integers(2, 2_000_000), st.integers(1, 500))
def test_every_value_has_a_reason_and_every_difference_a_row(rows: int, columns: int) -> None:
    values = _values(rows, columns)
    assert set(values) == set(NAMED)
    for value in (*values.values(), class_weight_value("y", {"a": 3, "b": 1})):
        assert value.reason
        differs = value.value != value.source
        assert bool(value.why) == bool(value.benchmark) == differs, value
        suite, _, row = value.benchmark.partition("/")
        assert suite != "plan" or row in space_plan.rows(), value


def test_the_rows_that_no_value_names_are_variants_only() -> None:
    values = [*_values(800, 20).values(), class_weight_value("y", {"a": 3, "b": 1})]
    named = {value.benchmark.partition("/")[2] for value in values}
    spare = set(space_plan.rows()) - named
    assert spare == {"d_model 256", "heads 16", space_plan.ALL}


def test_values_are_those_that_training_uses() -> None:
    values, plan, shape = _values(1000, 20), plan_space(1000), plan_shape()
    assert values["batch size"].value == plan.batch_size
    assert values["updates"].value == plan.updates
    assert values["peak learning rate"].value == plan.learning_rate
    assert values["d_model"].value == shape.d_model
    assert values["attention heads"].value == shape.heads
    assert values["epochs"].value == plan.epochs


@pytest.mark.parametrize(
    "rows, batch, rate, decay, epochs",
    [
        (800, 32, 5e-5, 0.1, 1440),
        (3_000, 32, 1e-4, 0.01, 388),
        (10_000, 128, 2e-4, 0.001, 462),
        (100_000, 1024, 3e-4, 0.0001, 372),
        (1_000_000, 2048, 3e-4, 0.0001, 74),
    ],
)
def test_the_sources_rules(rows: int, batch: int, rate: float, decay: float, epochs: int) -> None:
    assert source_rules.batch_size(rows) == batch
    assert source_rules.learning_rate(rows) == rate
    assert source_rules.weight_decay(rows) == decay
    assert source_rules.epochs(rows) == epochs


def test_class_weights_are_inverse_square_roots() -> None:
    weights = source_rules.class_weights({"common": 900, "rare": 100})
    assert weights["rare"] / weights["common"] == pytest.approx(3.0, rel=1e-3)
    assert sum(weights.values()) == pytest.approx(2.0, abs=1e-3)


def test_a_limit_is_named_in_the_reason() -> None:
    facts = TableFacts(rows=1000, training_rows=900, columns=20)
    plan = plan_space(900, epochs=7)
    document = plan_document(facts, plan, plan_shape(), Limit(max_seconds=30, planned_epochs=100))
    (epochs,) = [value for value in document["values"] if value["name"] == "epochs"]
    assert "cut from 100 to fit into 30 s" in epochs["reason"]
    assert document["limit"] == {"max_seconds": 30.0, "planned_epochs": 100}
