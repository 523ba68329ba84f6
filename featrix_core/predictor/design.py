"""A table's tensors as plain features, for the models that stand beside the nets (PRED-7).

They read what the nets read, a `TokenBatch`, and not the table: so calibration, importance, guardrails and bundle
are the same for all, and a row is parsed once.

Legend: N rows · F numbers · C category columns, X text columns, K = C + X · S scalar columns · U distinct texts ·
E sentence width · P reduced width · V frequent texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

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
LEAST_REPEATS, MOST_REPEATED = 5, 2_000
"""A text with so many training rows is a category as well; at most so many of a column are."""
_SAME = 5e-5
"""Squared distance up to which two sentence vectors are of one text: engines and processors move coordinates by a
step of 1e-4, which makes 4e-6 if they move them all."""
_AT_ONCE = 4_096
LARGEST_VOCABULARY = 100
"""Categories, in order of frequency, that a linear model tells apart."""
_CODE_WIDTH, _LEAST_BINS = 1_000, 8
"""A linear model reads about so many piecewise-linear bins over all numbers, and at least so many of one."""
_LARGEST_RANK = 1e30
"""Categories that are larger numbers count as this one: float32 has to hold it, and sums of many."""
_SAMPLE = 5_000


@dataclass(frozen=True)
class Features:
    """numbers_NF: float32, NaN where missing. codes_NK: place in a column's vocabulary, of category columns and then
    of text columns; 0 is missing, 1 a value that training never saw, or a text that was rare."""

    numbers_NF: NDArray[np.float32]
    codes_NK: NDArray[np.int64]

    def rows(self, index: NDArray[np.int64] | slice) -> Features:
        """Some of the rows."""
        return Features(self.numbers_NF[index], self.codes_NK[index])


@dataclass(frozen=True)
class Shown:
    """What trees read of the features: numbers_F and codes_K, true where they do. Of other codes they read whether
    there is one."""

    numbers_F: NDArray[np.bool_]
    codes_K: NDArray[np.bool_]

    def of(self, read: Features) -> Features:
        """The features that are shown."""
        if self.numbers_F.all() and self.codes_K.all():
            return read
        codes_NK = np.where(self.codes_K, read.codes_NK, np.minimum(read.codes_NK, UNKNOWN))
        return Features(np.ascontiguousarray(read.numbers_NF[:, self.numbers_F]), codes_NK)


@dataclass(frozen=True)
class Design:
    """How features are made of a batch.

    order_VC: rank of a category among numbers or ordered levels, NaN where it has none; ordered: the columns that
    have any. text_XEP, text_mean_XE: reduction of sentence vectors, by text column; known_XVE: sentence vectors of
    its frequent texts, by frequency, zeros behind the last one. mean_F, scale_F: of the numbers. shown: what trees
    read.
    """

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    order_VC: NDArray[np.float32]
    ordered: tuple[int, ...]
    text_XEP: NDArray[np.float32]
    text_mean_XE: NDArray[np.float32]
    known_XVE: NDArray[np.float32]
    mean_F: NDArray[np.float32]
    scale_F: NDArray[np.float32]
    shown: Shown

    @classmethod
    def fit(cls, tokenizer: Tokenizer, batch: TokenBatch) -> Design:
        """Learn the reduction of texts, the frequent ones, and what is usual of every number, from training rows;
        trees read everything."""
        width, texts = batch.text_UE.shape[1], batch.text_NX.shape[1]
        frequent = [_frequent(batch, place) for place in range(texts)]
        known = np.zeros((texts, max(map(len, frequent), default=0), width), np.float32)
        basis = np.zeros((texts, width, TEXT_PARTS), np.float32)
        centre = np.zeros((texts, width), np.float32)
        for place in range(texts):
            index = batch.text_NX[:, place]
            vectors = batch.text_UE[index[index > 0][:_SAMPLE]].numpy().astype(np.float64)
            if len(vectors) > 1:
                mean, directions, _ = main_directions(vectors, TEXT_PARTS)
                centre[place], basis[place, :, : directions.shape[1]] = mean, directions
            known[place, : len(frequent[place])] = frequent[place]
        none, nothing = np.zeros(0, np.float32), np.zeros(0, np.bool_)
        learned: dict[str, NDArray[Any]] = {
            "text": basis,
            "text_mean": centre,
            "known": known,
            "mean": none,
            "scale": none,
            "shown_numbers": nothing,
            "shown_codes": nothing,
        }
        bare = cls.from_state(tokenizer, learned)
        read = bare.features(batch)
        numbers = np.ma.masked_invalid(read.numbers_NF)
        scale = numbers.std(axis=0).filled(1.0)
        return replace(
            bare,
            shown=Shown(
                *(np.ones(part.shape[1], np.bool_) for part in (read.numbers_NF, read.codes_NK))
            ),
            mean_F=numbers.mean(axis=0).filled(0.0).astype(np.float32),
            scale_F=np.where(scale > 1e-6, scale, 1.0).astype(np.float32),
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """What was learned, for the bundle."""
        return {
            "text": self.text_XEP,
            "text_mean": self.text_mean_XE,
            "known": self.known_XVE,
            "shown_numbers": self.shown.numbers_F,
            "shown_codes": self.shown.codes_K,
            "mean": self.mean_F,
            "scale": self.scale_F,
        }

    @classmethod
    def from_state(cls, tokenizer: Tokenizer, state: Mapping[str, NDArray[Any]]) -> Design:
        """The inverse of `state`."""
        columns = tokenizer.families["set"]
        order = np.full((max(tokenizer.set_sizes, default=0), len(columns)), np.nan, np.float32)
        ordered = []
        for place, column in enumerate(columns):
            found = _ranks(column)
            if found is not None:
                order[2 : 2 + len(found), place] = found
                ordered.append(place)
        known = state["known"]
        return cls(
            tokenizer.set_offsets,
            (*tokenizer.set_sizes, *(2 + known.any(axis=2).sum(axis=1)).tolist()),
            order,
            tuple(ordered),
            state["text"],
            state["text_mean"],
            known,
            state["mean"],
            state["scale"],
            Shown(state["shown_numbers"], state["shown_codes"]),
        )

    def features(self, batch: TokenBatch) -> Features:
        """Features of N rows."""
        codes_NC = self._codes(batch)
        texts, codes_NX = self._texts(batch)
        with np.errstate(invalid="ignore"):
            parts = [
                _holed(batch.position_NS.numpy(), batch.scalar_missing_NS),
                np.take_along_axis(self.order_VC, codes_NC, axis=0)[:, list(self.ordered)],
                self._times(batch),
                texts,
                _flat(batch.summary_NYZ, batch.composite_missing_NY),
                _flat(batch.vector_NRH, batch.vector_missing_NR),
            ]
        numbers_NF = np.ascontiguousarray(np.concatenate(parts, axis=1), np.float32)
        return Features(numbers_NF, np.concatenate([codes_NC, codes_NX], axis=1))

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
        codes = np.where(read.codes_NK < np.asarray(kept, np.int64), read.codes_NK, UNKNOWN)
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
        sizes = np.asarray(self.sizes[: len(self.offsets)], np.int64)
        inside = (local >= 0) & (local < sizes)
        codes = np.where(inside, local, UNKNOWN)
        codes[batch.code_missing_NC.numpy()] = MISSING
        return codes.astype(np.int64)

    def _times(self, batch: TokenBatch) -> NDArray[np.float32]:
        """Eight turns as angles (a year's day, an hour …) and the linear features; (N, T · 12)."""
        turns = batch.time_NTF[..., :CYCLICAL]
        angle = torch.atan2(turns[..., 0::2], turns[..., 1::2]) % (2 * torch.pi)
        both = torch.cat([angle, batch.time_NTF[..., CYCLICAL:]], dim=-1)
        return _flat(both, batch.time_missing_NT)

    def _texts(self, batch: TokenBatch) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Texts' places along the main directions (N, X · P), and their codes (N, X)."""
        rows, texts = batch.text_NX.shape
        codes = np.zeros((rows, texts), np.int64)
        if not texts:
            return np.zeros((rows, 0), np.float32), codes
        found = []
        for x in range(texts):  # the table of distinct texts may be far longer than these rows
            used, place = np.unique(batch.text_NX[:, x].numpy(), return_inverse=True)
            vectors = batch.text_UE[torch.from_numpy(used)].numpy()
            found.append(((vectors - self.text_mean_XE[x]) @ self.text_XEP[x])[place])
            codes[:, x] = self._known(vectors, x)[place]
        codes[batch.text_missing_NX.numpy()] = MISSING
        return _flat(torch.from_numpy(np.stack(found, axis=1)), batch.text_missing_NX), codes

    def _known(self, vectors_UE: NDArray[np.float32], x: int) -> NDArray[np.int64]:
        """Codes of texts by their sentence vectors: 2 and more for the frequent ones of column x."""
        codes_U = np.full(len(vectors_UE), UNKNOWN, np.int64)
        known_VE = self.known_XVE[x, : self.sizes[len(self.offsets) + x] - 2]
        if not len(known_VE):
            return codes_U
        length_V = np.square(known_VE).sum(axis=1)
        for start in range(0, len(vectors_UE), _AT_ONCE):
            part_UE = vectors_UE[start : start + _AT_ONCE]
            near_UV = 2.0 * part_UE @ known_VE.T - length_V
            best_U = near_UV.argmax(axis=1)
            apart_U = np.square(part_UE - known_VE[best_U]).sum(axis=1)
            codes_U[start : start + _AT_ONCE][apart_U <= _SAME] = 2 + best_U[apart_U <= _SAME]
        return codes_U


def _frequent(batch: TokenBatch, x: int) -> NDArray[np.float32]:
    """Sentence vectors (V, E) of a text column's frequent texts, the most frequent one first. Spellings that the
    sentence model does not tell apart are one."""
    index = batch.text_NX[:, x].numpy()
    used, counts = np.unique(index[index > 0], return_counts=True)
    vectors_UE = batch.text_UE[torch.from_numpy(used)].numpy()
    vectors_UE = vectors_UE + np.float32(0.0)  # one zero, not two
    found_VE, place = np.unique(vectors_UE, axis=0, return_inverse=True)
    counts = np.bincount(place.ravel(), counts, len(found_VE))
    enough = np.flatnonzero((counts >= LEAST_REPEATS) & found_VE.any(axis=1))
    # By vector where two are as frequent: the order of the table of texts must not decide.
    order = enough[np.argsort(-counts[enough], kind="stable")][:MOST_REPEATED]
    frequent_VE: NDArray[np.float32] = found_VE[order]
    return frequent_VE


def _ranks(column: ColumnSchema) -> NDArray[np.float32] | None:
    """Places of the categories where they are numbers or have an order."""
    if column.levels:
        return np.asarray(column.levels, np.float32)
    try:
        found = np.asarray([float(text) for text in column.categories], np.float64)
    except ValueError:
        return None
    return np.clip(found, -_LARGEST_RANK, _LARGEST_RANK).astype(np.float32)


def _holed(values: NDArray[np.float32], missing: torch.Tensor) -> NDArray[np.float32]:
    return np.where(missing.numpy(), np.float32(np.nan), values)


def _flat(values_NKF: torch.Tensor, missing_NK: torch.Tensor) -> NDArray[np.float32]:
    """(N, K, F) → (N, K · F), NaN in missing cells."""
    holed = values_NKF.masked_fill(missing_NK.unsqueeze(-1), float("nan"))
    return holed.flatten(1).numpy()
