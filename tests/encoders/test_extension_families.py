"""Extension copies the weights of every family exactly; phase 1 leaves old columns' tokens alone (EXT-1, ENC-6)."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import pytest
import torch
from torch import Tensor

from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import FAMILIES, TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.space.extension import copy_weights, only_new_columns
from featrix_core.space.model import SpaceConfig, SpaceModel
from featrix_core.space.objective import SpaceObjective
from featrix_core.space.relationships import PairSampler
from featrix_core.tables.build import typed_columns
from featrix_core.tables.schema import TableSchema
from featrix_core.tables.table import TypedColumn
from featrix_core.training.loop import LoopResult, run_loop
from featrix_core.training.plan import plan_space
from featrix_core.training.rotation import Sides
from featrix_core.training.timeline import Timeline

CONFIG = SpaceConfig(d_model=352, width=16)
HALF = ("celsius", "size", "moment", "remark", "part", "mail", "link", "position")
FEW = ("celsius", "carrier")


@dataclass
class Grown:
    """A trained space on some columns, and its extension to all of them, not yet trained."""

    old: Tokenizer
    new: Tokenizer
    before: SpaceModel
    after: SpaceModel
    fresh: dict[str, Tensor]
    old_rows: TokenBatch
    new_rows: TokenBatch

    def encoded(self, model: SpaceModel) -> Tensor:
        """Tokens of all rows, the old columns only, in the old space's order."""
        with torch.no_grad():
            if model is self.before:
                tokens: Tensor = model.encoders(self.old_rows)
                return tokens
            places = [self.new.names.index(name) for name in self.old.names]
            return model.encoders(self.new_rows)[:, places]


def _train(model: SpaceModel, rows: TokenBatch, epochs: int) -> LoopResult:
    sampler = PairSampler(len(model.joint.column_AD), 3, 1)
    objective = SpaceObjective(model, rows, Sides.split(rows.n_rows, 1), sampler)
    plan = plan_space(rows.n_rows, epochs=epochs).model_copy(update={"weight_decay": 0.0})
    return run_loop(objective, plan, Timeline(plan))


@pytest.fixture(scope="module", params=[HALF, FEW], ids=["half", "few"])
def grown(request: pytest.FixtureRequest, kinds: pd.DataFrame, kinds_tokenizer: Tokenizer) -> Grown:
    torch.manual_seed(2)
    schema = kinds_tokenizer.schema
    kept = tuple(column for column in schema.columns if column.name in request.param)
    added = tuple(column for column in schema.columns if column.name not in request.param)
    few = schema.model_copy(update={"columns": kept})
    many = schema.model_copy(update={"columns": kept + added})
    old = Tokenizer.fit(few, _typed(kinds, few))
    new = Tokenizer.fit(many, _typed(kinds, many), base=old, children=kinds_tokenizer.children)
    old_rows, new_rows = old.encode(_typed(kinds, few)), new.encode(_typed(kinds, many))
    before = SpaceModel(old, CONFIG, PairSampler(len(old.names), 3, 1).first())
    _train(before, old_rows, 8)
    before.encoders.settle()
    after = SpaceModel(new, CONFIG, PairSampler(len(new.names), 3, 1).first())
    fresh = copy_weights(before, after, old, new)
    return Grown(old, new, before, after, fresh, old_rows, new_rows)


def _typed(frame: pd.DataFrame, schema: TableSchema) -> dict[str, TypedColumn]:
    return typed_columns(as_table(frame[list(schema.names)]), schema)


def _own_rows(name: str, grown: Grown) -> list[int] | None:
    """Rows of a stacked tensor that belong to old columns, from the names of columns alone."""
    parts = name.split(".")
    if parts[0] == "encoders" and parts[1] in FAMILIES:
        place = FAMILIES.index(parts[1])
        if parts[2].endswith(("_VD", "_VP", "_VO", "opacity_V")):
            return [
                grown.new.set_offsets[grown.new.groups[1].index(column)] + k
                for c, column in enumerate(grown.old.groups[1])
                for k in range(grown.old.set_sizes[c])
            ]
        if parts[2] == "reduce":
            return None
        return [grown.new.groups[place].index(column) for column in grown.old.groups[place]]
    if name == "encoders.missing_AD":
        return [grown.new.names.index(column) for column in grown.old.names]
    return None


def test_codecs_of_old_columns_are_kept(grown: Grown) -> None:
    for name, state in grown.old.states.items():
        assert grown.new.states[name] is state
    assert len(grown.new.names) == 17


def test_encoder_weights_are_copied_bit_for_bit(grown: Grown) -> None:
    after = grown.after.state_dict()
    compared = set()
    for name, value in grown.before.state_dict().items():
        if not name.startswith("encoders."):
            continue
        rows = _own_rows(name, grown)
        part = after[name] if rows is None else after[name][rows]
        assert torch.equal(part, value), name
        compared.add(name.split(".")[1])
    families = {f for f, names in zip(FAMILIES, grown.old.groups, strict=True) if names}
    assert compared == families | {"missing_AD"}


def test_old_columns_are_encoded_as_before(grown: Grown) -> None:
    before, after = grown.encoded(grown.before), grown.encoded(grown.after)
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


def test_phase_one_leaves_old_columns_alone(grown: Grown) -> None:
    model = grown.after
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    before = grown.encoded(model)
    with only_new_columns(model, grown.fresh):
        assert _train(model, grown.new_rows, 8).best_epoch > 4
    # The last bits follow how many columns still have a strategy, and thus the shapes of the products.
    torch.testing.assert_close(grown.encoded(model), before, rtol=0, atol=2e-6)
    moved = set()
    for name, value in model.state_dict().items():
        if not name.startswith("encoders."):
            continue
        rows = _own_rows(name, grown)
        if name in grown.before.state_dict():
            old = value if rows is None else value[rows]
            assert torch.equal(old, grown.before.state_dict()[name]), name
        if not torch.equal(value, weights[name]):
            moved.add(name.split(".")[1])
    grew = [
        f
        for f, old, new in zip(FAMILIES, grown.old.groups, grown.new.groups, strict=True)
        if len(old) < len(new)
    ]
    assert moved == {*grew, "missing_AD"}


def test_choices_of_old_columns_stay_and_new_ones_are_made(grown: Grown) -> None:
    """Strategies, floors and sharpness of the finished space stay where its training ended."""
    encoders = grown.after.encoders
    for epoch in (40, 80, 100):
        encoders.mature(epoch, 0.99)
    for kind in ("scalar", "text"):
        stack, source = getattr(encoders, kind), getattr(grown.before.encoders, kind)
        names = grown.new.groups[FAMILIES.index(kind)]
        old = [] if source is None else grown.old.groups[FAMILIES.index(kind)]
        for name in names:
            place = names.index(name)
            sharp = float(stack.strategies.sharpness_A[place])
            alive = stack.strategies.alive_AK[place]
            if name in old:
                was = list(old).index(name)
                assert torch.equal(alive, source.strategies.alive_AK[was]), name
                assert sharp == float(source.strategies.sharpness_A[was]), name
                assert bool(stack.strategies.settled_A[place])
            else:
                # Half of the way, if the training above ended at its fifth epoch of eight.
                assert sharp >= 16.5
                assert kind != "text" or int(alive.sum()) == 2
    sets = encoders.set
    assert sets is not None
    assert grown.before.encoders.set is not None
    for place, name in enumerate(grown.new.groups[1]):
        floor = float(sets.floor_C[place])
        if name in grown.old.groups[1]:
            was = grown.old.groups[1].index(name)
            assert floor == float(grown.before.encoders.set.floor_C[was])
        else:
            assert floor == pytest.approx(0.1)
    before, after = grown.encoded(grown.before), grown.encoded(grown.after)
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)
