"""One set of weights per column, one product for all columns; a column more is a row more (ENC-6)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from torch.utils._python_dispatch import TorchDispatchMode

from featrix_core.encoders.column_encoders import ColumnEncoders
from featrix_core.encoders.stacked import StackedLinear, StackedMLP, StackedNorm
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.tables.build import build_schema, typed_columns

WIDTH = 8


class Calls(TorchDispatchMode):
    """Counts the operators that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[str(func)] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "layer", [StackedLinear(5, 4, 3), StackedMLP(5, 4, 6, 3), StackedNorm(5, 4)]
)
def test_every_column_has_its_own_map(layer: torch.nn.Module) -> None:
    values = torch.randn(7, 5, 4, generator=torch.Generator().manual_seed(1))
    before = layer(values)
    for parameter in layer.parameters():
        assert parameter.shape[0] == 5
        with torch.no_grad():
            parameter[2] += 1.0
    after = layer(values)
    changed = (before != after).flatten(2).any(dim=2).any(dim=0)
    assert changed.tolist() == [False, False, True, False, False]


def test_linear_is_the_plain_formula() -> None:
    layer = StackedLinear(3, 4, 2)
    values = torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(1))
    for column in range(3):
        plain = values[:, column] @ layer.weight_AIO[column] + layer.bias_AO[column]
        torch.testing.assert_close(layer(values)[:, column], plain)


@pytest.mark.parametrize("rows, columns", [(0, 3), (1, 3), (4, 0), (0, 0)])
def test_no_rows_and_no_columns(rows: int, columns: int) -> None:
    layer = StackedMLP(columns, 4, 6, 2)
    assert layer(torch.zeros(rows, columns, 4)).shape == (rows, columns, 2)


def _numbers(columns: int) -> tuple[Tokenizer, TokenBatch]:
    measured = load_breast_cancer(as_frame=True).data.iloc[:64]
    wide = pd.concat([measured.add_suffix(f" {k}") for k in range(4)], axis=1)
    table = as_table(wide.iloc[:, :columns])
    schema = build_schema(table)
    typed = typed_columns(table, schema)
    tokenizer = Tokenizer.fit(schema, typed)
    return tokenizer, tokenizer.encode(typed)


def test_a_hundred_columns_take_as_many_operators_as_ten() -> None:
    counts = []
    shapes = []
    for columns in (10, 100):
        tokenizer, batch = _numbers(columns)
        encoders = ColumnEncoders(tokenizer, WIDTH)
        with Calls() as calls:
            tokens = encoders(batch)
        assert tokens.shape == (64, columns, WIDTH)
        counts.append(calls.counts)
        shapes.append({name: tuple(p.shape) for name, p in encoders.named_parameters()})
    assert counts[0] == counts[1]
    # Two layers of the continuous path, two of the gate, one of the binned path.
    assert counts[0]["aten.baddbmm.default"] == 5
    assert shapes[0].keys() == shapes[1].keys()
    for name, shape in shapes[0].items():
        assert shape[0] == 10, name
        assert shapes[1][name] == (100, *shape[1:]), name


def test_columns_that_come_later_do_not_change_the_earlier_ones() -> None:
    few, few_rows = _numbers(10)
    many, many_rows = _numbers(12)
    small, large = ColumnEncoders(few, WIDTH), ColumnEncoders(many, WIDTH)
    weights = dict(small.named_parameters())
    with torch.no_grad():
        for name, parameter in large.named_parameters():
            parameter[:10] = weights[name]
    torch.testing.assert_close(large(many_rows)[:, :10], small(few_rows))
