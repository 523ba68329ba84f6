"""A table's tensors as plain features, for the models that stand beside the nets (PRED-7).

They read what the nets read, a `TokenBatch`, and not the table: so calibration, importance, guardrails and bundle
are the same for all, and a row is parsed once.

Legend: N rows · F numbers · C category columns · S scalar columns · U distinct texts · E sentence width ·
P reduced width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from featrix_core.encoders.directions import main_directions
from featrix_core.encoders.scalar_codec import BINS
from featrix_core.encoders.set_codec import MISSING, UNKNOWN
from featrix_core.encoders.timestamp_codec import CYCLICAL
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.tables.schema import ColumnSchema

TEXT_PARTS = 16
"""Main directions that a text column's sentence vectors are read by."""
LARGEST_VOCABULARY = 100
"""Categories, in order of frequency, that a linear model tells apart."""
_CODE_WIDTH, _LEAST_BINS = 1_000, 8
"""A linear model reads about so many piecewise-linear bins over all numbers, and at least so many of one."""
_SAMPLE = 5_000


@dataclass(frozen=True)
class Features:
    """numbers_NF: float32, NaN where missing. codes_NC: place in a category column's vocabulary; 0 is missing,
    1 a value that training never saw."""

    numbers_NF: NDArray[np.float32]
    codes_NC: NDArray[np.int64]

    def rows(self, index: NDArray[np.int64] | slice) -> Features:
        """Some of the rows."""
        return Features(self.numbers_NF[index], self.codes_NC[index])


@dataclass(frozen=True)
class Design:
    """How features are made of a batch.

    order_VC: rank of a category among numbers or ordered levels, NaN where it has none; ordered: the columns that
    have any. text_XEP, text_mean_XE: reduction of sentence vectors, by text column. mean_F, scale_F: of the numbers.
    """

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    order_VC: NDArray[np.float32]
    ordered: tuple[int, ...]
    text_XEP: NDArray[np.float32]
    text_mean_XE: NDArray[np.float32]
    mean_F: NDArray[np.float32]
    scale_F: NDArray[np.float32]

    @classmethod
    def fit(cls, tokenizer: Tokenizer, batch: TokenBatch) -> Design:
        """Learn the reduction of texts, and what is usual of every number, from training rows."""
        width, texts = batch.text_UE.shape[1], batch.text_NX.shape[1]
        basis = np.zeros((texts, width, TEXT_PARTS), np.float32)
        centre = np.zeros((texts, width), np.float32)
        for place in range(texts):
            index = batch.text_NX[:, place]
            vectors = batch.text_UE[index[index > 0][:_SAMPLE]].numpy().astype(np.float64)
            if len(vectors) > 1:
                mean, directions, _ = main_directions(vectors, TEXT_PARTS)
                centre[place], basis[place, :, : directions.shape[1]] = mean, directions
        none = np.zeros(0, np.float32)
        learned = {"text": basis, "text_mean": centre, "mean": none, "scale": none}
        bare = cls.from_state(tokenizer, learned)
        numbers = np.ma.masked_invalid(bare.features(batch).numbers_NF)
        scale = numbers.std(axis=0).filled(1.0)
        return replace(
            bare,
            mean_F=numbers.mean(axis=0).filled(0.0).astype(np.float32),
            scale_F=np.where(scale > 1e-6, scale, 1.0).astype(np.float32),
        )

    def state(self) -> dict[str, NDArray[np.float32]]:
        """What was learned, for the bundle."""
        return {
            "text": self.text_XEP,
            "text_mean": self.text_mean_XE,
            "mean": self.mean_F,
            "scale": self.scale_F,
        }

    @classmethod
    def from_state(cls, tokenizer: Tokenizer, state: Mapping[str, NDArray[np.float32]]) -> Design:
        """The inverse of `state`."""
        columns = tokenizer.families["set"]
        order = np.full((max(tokenizer.set_sizes, default=0), len(columns)), np.nan, np.float32)
        ordered = []
        for place, column in enumerate(columns):
            found = _ranks(column)
            if found is not None:
                order[2 : 2 + len(found), place] = found
                ordered.append(place)
        return cls(
            tokenizer.set_offsets,
            tokenizer.set_sizes,
            order,
            tuple(ordered),
            state["text"],
            state["text_mean"],
            state["mean"],
            state["scale"],
        )

    def features(self, batch: TokenBatch) -> Features:
        """Features of N rows."""
        codes_NC = self._codes(batch)
        with np.errstate(invalid="ignore"):
            parts = [
                _holed(batch.position_NS.numpy(), batch.scalar_missing_NS),
                np.take_along_axis(self.order_VC, codes_NC, axis=0)[:, list(self.ordered)],
                self._times(batch),
                self._texts(batch),
                _flat(batch.summary_NYZ, batch.composite_missing_NY),
                _flat(batch.vector_NRH, batch.vector_missing_NR),
            ]
        return Features(np.ascontiguousarray(np.concatenate(parts, axis=1), np.float32), codes_NC)

    def linear(self, batch: TokenBatch, read: Features) -> NDArray[np.float32]:
        """What a linear model reads (N, Z): piecewise-linear codes, categories as zeros and ones, the others centred
        and divided by what is usual.

        Args:
            read: `features` of the same rows.
        """
        present = (~batch.scalar_missing_NS).float()
        bins = max(_LEAST_BINS, min(BINS, _CODE_WIDTH // max(1, present.shape[1])))
        place = batch.position_NS * (bins / BINS)
        steps = (place.unsqueeze(-1) - torch.arange(bins)).clamp(0.0, 1.0) * present.unsqueeze(-1)
        kept = [min(size, LARGEST_VOCABULARY + 2) for size in self.sizes]
        codes = np.where(read.codes_NC < np.asarray(kept, np.int64), read.codes_NC, UNKNOWN)
        one_hot = [np.eye(size, dtype=np.float32)[codes[:, c]] for c, size in enumerate(kept)]
        others = (read.numbers_NF - self.mean_F) / self.scale_F
        parts = [
            steps.flatten(1).numpy(),
            batch.missing_NA.float().numpy(),
            batch.time_NTF[..., :CYCLICAL].flatten(1).numpy(),
            np.nan_to_num(np.clip(others, -5.0, 5.0)),
            *one_hot,
        ]
        return np.concatenate(parts, axis=1)

    @property
    def linear_width(self) -> int:
        """Columns Z of `linear`, about: what a row of it takes."""
        sets = sum(min(size, LARGEST_VOCABULARY + 2) for size in self.sizes)
        return sets + _CODE_WIDTH + len(self.mean_F)

    def _codes(self, batch: TokenBatch) -> NDArray[np.int64]:
        local = batch.codes_NC.numpy() - np.asarray(self.offsets, np.int64)
        inside = (local >= 0) & (local < np.asarray(self.sizes, np.int64))
        codes = np.where(inside, local, UNKNOWN)
        codes[batch.code_missing_NC.numpy()] = MISSING
        return codes.astype(np.int64)

    def _times(self, batch: TokenBatch) -> NDArray[np.float32]:
        """Eight turns as angles (a year's day, an hour …) and the linear features; (N, T · 12)."""
        turns = batch.time_NTF[..., :CYCLICAL]
        angle = torch.atan2(turns[..., 0::2], turns[..., 1::2]) % (2 * torch.pi)
        both = torch.cat([angle, batch.time_NTF[..., CYCLICAL:]], dim=-1)
        return _flat(both, batch.time_missing_NT)

    def _texts(self, batch: TokenBatch) -> NDArray[np.float32]:
        rows, texts = batch.text_NX.shape
        if not texts:
            return np.zeros((rows, 0), np.float32)
        found = []
        for x in range(texts):  # the table of distinct texts may be far longer than these rows
            used, place = np.unique(batch.text_NX[:, x].numpy(), return_inverse=True)
            vectors = batch.text_UE[torch.from_numpy(used)].numpy() - self.text_mean_XE[x]
            found.append((vectors @ self.text_XEP[x])[place])
        return _flat(torch.from_numpy(np.stack(found, axis=1)), batch.text_missing_NX)


def _ranks(column: ColumnSchema) -> NDArray[np.float32] | None:
    """Places of the categories where they are numbers or have an order."""
    if column.levels:
        return np.asarray(column.levels, np.float32)
    try:
        return np.asarray([float(text) for text in column.categories], np.float32)
    except ValueError:
        return None


def _holed(values: NDArray[np.float32], missing: torch.Tensor) -> NDArray[np.float32]:
    return np.where(missing.numpy(), np.float32(np.nan), values)


def _flat(values_NKF: torch.Tensor, missing_NK: torch.Tensor) -> NDArray[np.float32]:
    """(N, K, F) → (N, K · F), NaN in missing cells."""
    holed = values_NKF.masked_fill(missing_NK.unsqueeze(-1), float("nan"))
    return holed.flatten(1).numpy()
