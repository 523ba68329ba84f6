"""Extending a space by columns: exact weight copies and gradients for the new columns only (EXT-1).

All parameters that belong to columns carry a column (or vocabulary) axis in front, so that extension is
an indexed copy along it; everything else is copied whole.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.space.model import SpaceModel
from featrix_core.space.plan import SHARE
from featrix_core.space.relationships import PairSampler
from featrix_core.version import VERSION

_GROUP_OF = {
    "encoders.scalar.": 0,
    "encoders.set.": 1,
    "encoders.timestamp.": 2,
    "encoders.text.": 3,
    "encoders.composite.": 4,
    "encoders.vector.": 5,
    "decoders.code": 0,
    "decoders.z_": 0,
    "decoders.set": 1,
    "decoders.time": 2,
    "decoders.text": 3,
    "decoders.composite": 4,
    "decoders.vector": 5,
}
_ALL_COLUMNS = (
    "encoders.missing_AD",
    "joint.convert",
    "joint.column_AD",
    "joint.hidden_AD",
    "joint.skip.",
    "joint.products.project.",
    "joint.random.weight",
    "marginal_",
)
_VOCABULARY = (
    "encoders.set.learned_VD",
    "encoders.set.semantic_VP",
    "encoders.set.waves_VO",
    "encoders.set.opacity_V",
)
_SHARED = ("encoders.text.reduce.",)


def _places(name: str, old: Tokenizer, new: Tokenizer) -> Tensor | None:
    """Where the old rows of parameter `name` stand on the new first axis; None if it has no column axis."""
    if name in _VOCABULARY:
        place: list[int] = []
        for c, column in enumerate(old.groups[1]):
            start = new.set_offsets[new.groups[1].index(column)]
            place += range(start, start + old.set_sizes[c])
        return torch.tensor(place, dtype=torch.int64)
    if name.startswith(_ALL_COLUMNS):
        return torch.tensor([new.names.index(c) for c in old.names], dtype=torch.int64)
    if name.startswith(_SHARED):
        return None
    for prefix, group in _GROUP_OF.items():
        if name.startswith(prefix):
            columns = new.groups[group]
            return torch.tensor([columns.index(c) for c in old.groups[group]], dtype=torch.int64)
    return None


@torch.no_grad()
def copy_weights(
    source: SpaceModel, target: SpaceModel, old: Tokenizer, new: Tokenizer
) -> dict[str, Tensor]:
    """Copy every weight of `source` into `target`, exactly; tell what is new.

    Returns:
        for every parameter of `target`, a mask (broadcastable) that is 1 where the weight is new.
    """
    fresh: dict[str, Tensor] = {}
    weights = dict(source.state_dict())
    parameters = dict(target.named_parameters())
    for name, value in target.state_dict().items():
        if name == "pairs_Q2":
            continue
        if name not in weights:
            fresh[name] = torch.ones(1)
            continue
        place = _places(name, old, new)
        if place is None:
            value.copy_(weights[name])
            fresh[name] = torch.zeros(1)
            continue
        # A wider decoder (a new column with more classes) keeps the old columns' part in front.
        window = (place, *(slice(0, size) for size in weights[name].shape[1:]))
        value[window] = weights[name]
        mask = torch.ones(value.shape[0], *([1] * (value.ndim - 1)))
        mask[place] = 0.0
        fresh[name] = mask
    return {name: mask for name, mask in fresh.items() if name in parameters}


@contextmanager
def only_new_columns(model: SpaceModel, fresh: dict[str, Tensor]) -> Iterator[None]:
    """Phase 1: gradients reach the weights of new columns alone; old weights stay bit for bit."""
    hooks = []
    for name, parameter in model.named_parameters():
        mask = fresh[name]
        if not bool(mask.any()):
            parameter.requires_grad_(False)
        elif not bool(mask.all()):
            hooks.append(
                parameter.register_hook(lambda grad, mask=mask: grad * mask.to(grad.device))  # type: ignore[no-untyped-call]
            )
    try:
        yield
    finally:
        # What the new columns have found by themselves is not thrown open again by the joint phase.
        model.encoders.settle()
        for hook in hooks:
            hook.remove()
        model.requires_grad_(True)


def extended_pairs(pairs_Q2: Tensor, old: Tokenizer, new: Tokenizer, seed: int) -> Tensor:
    """The old space's pairs in the new numbering, and a part of those with a new column, drawn: as large a share as a
    finished space reads of all its pairs."""
    where = torch.tensor([new.names.index(c) for c in old.names], dtype=torch.int64)
    known = torch.zeros(len(new.names), dtype=torch.bool)
    known[where] = True
    pairs_P2 = PairSampler(len(new.names), 1, seed).pairs_P2
    fresh_P2 = pairs_P2[~known[pairs_P2].all(dim=1)]
    order = torch.randperm(len(fresh_P2), generator=torch.Generator().manual_seed(seed))
    drawn_Q2 = fresh_P2[order[: max(1, round(SHARE * len(fresh_P2)))]]
    kept_Q2 = where[pairs_Q2.cpu()].view(-1, 2).sort(dim=1).values
    return torch.cat([kept_Q2, drawn_Q2]).unique(dim=0)  # type: ignore[no-untyped-call]


def extension_record(added: Sequence[str], old: Tokenizer, new: Tokenizer) -> dict[str, Any]:
    """What an extended space remembers of its making: version, day, columns (EXT-1)."""
    return {
        "extended_from_es_version": {"version": VERSION},
        "extension_date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT00:00:00Z"),
        "new_columns_added": list(added),
        "original_column_count": len(old.names),
        "extended_column_count": len(new.names),
    }
