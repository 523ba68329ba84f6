"""Weights that start from the main components of a column's own sentence vectors (TRAIN-3).

Legend: K categories or texts of a column · V flat vocabulary · P reduced semantic width · E sentence width ·
H hidden width · D token width.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featrix_core.encoders.column_encoders import ColumnEncoders
from featrix_core.encoders.directions import main_directions
from featrix_core.encoders.sentences import SCALE
from featrix_core.encoders.set_encoder import SetEncoder
from featrix_core.encoders.text_encoder import TextEncoder
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import TokenBatch

WANTED = False
"""Whether spaces start so. In trials on three tables the validation loss fell no faster from main components and
ended a little higher: the semantic path has them as its inputs from the start, so there is little left to gain. The
row "main components as first weights" of the ablation (benchmarks, "The space") puts it to the test."""
MOST_TEXTS = 2_000
"""Distinct texts of a column, at even distances, that its components are found from."""
NOTHING = 1e-6
"""Share of the widest component's deviation under which there is no component."""


def first_weights(encoders: ColumnEncoders, tokenizer: Tokenizer, batch: TokenBatch) -> None:
    """Main components where they are `WANTED`; random weights stay as they are otherwise."""
    if WANTED:
        start_from_components(encoders, tokenizer, batch)


@torch.no_grad()
def start_from_components(
    encoders: ColumnEncoders, tokenizer: Tokenizer, batch: TokenBatch
) -> None:
    """Replace random first weights, in place, by main components; call it before any training.

    Category vectors become the categories' places along the components, first projections of texts become
    the components themselves. Every block keeps the size that its random weights had, so that
    rates and norms stay what they were. Columns without sentence vectors are left alone.

    Args:
        batch: the rows that the space is made from; texts are read from it.
    """
    if encoders.set is not None:
        _start_set(encoders.set, tokenizer)
    if encoders.text is not None:
        _start_text(encoders.text, batch)


def _start_set(encoder: SetEncoder, tokenizer: Tokenizer) -> None:
    """`semantic_VP` holds the places along the components already, the widest first (`fit_set`)."""
    for c, (offset, size) in enumerate(
        zip(tokenizer.set_offsets, tokenizer.set_sizes, strict=True)
    ):
        if not encoder.worded_C[c] or size < 4:  # two categories: any two vectors are as good
            continue
        block = encoder.learned_VD[offset + 2 : offset + size]
        semantic_KP = encoder.semantic_VP[offset + 2 : offset + size]
        # Directions of the token's own random weights: all along its first axes would be too much for a norm.
        frame_DP = torch.linalg.qr(encoder.semantic.weight_AIO[c].T)[0]
        places_KD = semantic_KP[:, : frame_DP.shape[1]] @ frame_DP.T
        block.copy_(_as_large_as(block, places_KD))


def _start_text(encoder: TextEncoder, batch: TokenBatch) -> None:
    networks = [n.first for n in (encoder.aggressive, encoder.moderate, encoder.standard)]
    for x in range(batch.text_NX.shape[1]):
        vectors_KE = _vectors(batch, batch.text_NX[:, x])
        for first in networks:
            _project(first.weight_AIO[x], first.bias_AO[x], vectors_KE)
    # One projection for the parts of all lists and documents.
    parts_KE = _vectors(batch, batch.part_NXL.flatten())
    _project(encoder.reduce.weight.T, encoder.reduce.bias, parts_KE)


def _vectors(batch: TokenBatch, codes: Tensor) -> NDArray[np.float64]:
    """Vectors of the distinct texts, at most `MOST_TEXTS`."""
    used = torch.unique(codes[codes > 0]).numpy()
    if len(used) > MOST_TEXTS:
        used = used[np.linspace(0, len(used) - 1, MOST_TEXTS).round().astype(int)]
    return batch.text_UE[torch.from_numpy(used)].numpy().astype(np.float64)


def _project(weight_EH: Tensor, bias_H: Tensor, vectors_KE: NDArray[np.float64]) -> None:
    """Components in the first columns, as many as there are, around their mean; the rest stays random."""
    if len(vectors_KE) < 2:
        return
    mean_E, basis_EH, size_H = main_directions(vectors_KE, weight_EH.shape[1])
    found = int((size_H > NOTHING * size_H[0]).sum())  # directions of rounding errors are none
    if not found:
        return
    components = torch.from_numpy(basis_EH[:, :found]).to(weight_EH.dtype)
    components = _as_large_as(weight_EH[:, :found], components)
    weight_EH[:, :found] = components
    bias_H[:found] = -SCALE * (torch.from_numpy(mean_E).to(weight_EH.dtype) @ components)


def _as_large_as(random: Tensor, found: Tensor) -> Tensor:
    """Scaled to the root mean square of the weights that it replaces."""
    size = found.square().mean().sqrt().clamp(min=1e-12)
    return found * (random.square().mean().sqrt() / size)
