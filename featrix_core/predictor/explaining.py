"""Why a predictor said what it said: the importance of every column in the output's own unit (PRED-5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.predictor.importance import explained_rows
from featrix_core.predictor.outputs import Outputs
from featrix_core.predictor.response import Importance
from featrix_core.predictor.target_coding import TargetCoding


def explain_batch(
    said: Callable[[TokenBatch], NDArray[np.float32]],
    batch: TokenBatch,
    background: TokenBatch,
    tokenizer: Tokenizer,
    outputs: Outputs,
    coding: TargetCoding,
    seed: int,
) -> Importance:
    """Signed importance of every column for every row of a batch.

    Args:
        said: the predictor's answer for a batch (N, O), before calibration.
        background: training rows that stand in for columns that are not known yet.

    The base and the error are of the figures that a response shows: base + sum = figure, up to the error.
    """
    answer_NO = said(batch)
    predicted = outputs.explained_class(answer_NO)
    both = batch.followed_by(background, tokenizer.vocabulary)
    others = torch.arange(batch.n_rows, both.n_rows)
    values: NDArray[np.float64] = np.zeros((batch.n_rows, batch.missing_NA.shape[1]))
    base, error = np.zeros((2, batch.n_rows))
    for label in np.unique(predicted).tolist():

        def output(mixed: TokenBatch, label: int = label) -> NDArray[np.float64]:
            return outputs.explained(said(mixed), coding, label)

        chosen = np.flatnonzero(predicted == label)
        found = explained_rows(output, both, torch.from_numpy(chosen), others, seed)
        shown = outputs.explained(answer_NO[chosen], coding, label)
        values[chosen], base[chosen] = found.values_BA, found.base
        error[chosen] = replace(found, output_B=shown).error_B
    return Importance(tokenizer.names, values, base, error)
