"""all-MiniLM-L6-v2 on the CPU, with vectors that do not depend on the texts beside them (ENC-2, STR-2).

Legend: B texts of a batch · L tokens, padded · H width 384.

Float sums depend on the order in which a kernel adds, and kernels are chosen by the shape of their
input. So a text's length alone decides the shape of every product that it takes part in: lengths
are padded to a fixed ladder, each rung has one batch size (the last batch is filled up), and every
batch is computed by one thread. Several threads work on several batches.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featrix_core.strings.grid import DIMENSION, to_steps

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers.models.bert.modeling_bert import BertModel

    from featrix_core.strings.engine import EngineName

MAX_TOKENS = 256
"""What the model was made for; further tokens are not read."""
LENGTHS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, MAX_TOKENS)
"""Rungs of the ladder: a text is padded to the next one."""
_BATCH_TOKENS = 128
_FIRST, _LAST = 101, 102  # [CLS] and [SEP]: the text that fills up a batch


class MiniLM:
    """The model and its tokenizer, read from a folder with safetensors and tokenizer.json."""

    name: EngineName = "torch"

    def __init__(self, folder: Path) -> None:
        """Load the weights (90 MB) and check nothing else: `folder` was looked at before."""
        # No look-up over the network, whatever the caller's environment says.
        os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        with _quiet():
            from tokenizers import Tokenizer
            from transformers.models.bert.modeling_bert import BertModel

            self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(MAX_TOKENS)
            self._model: BertModel = BertModel.from_pretrained(
                str(folder),
                local_files_only=True,
                add_pooling_layer=False,
                attn_implementation="sdpa",
            )
            self._model.eval()  # type: ignore[no-untyped-call]

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of n texts, between 2 and 256 each."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    def forward(self, tokens: Sequence[Sequence[int]], alone: bool = False) -> NDArray[np.int16]:
        """Grid steps (n, 384) of n tokenized texts, computed by the calling thread alone."""
        import torch

        torch.set_num_threads(1)  # of this thread and of those that start later
        steps = np.empty((len(tokens), DIMENSION), np.int16)
        for length, rows in _batches([len(ids) for ids in tokens]):
            steps[rows] = self._forward([tokens[row] for row in rows], length)
        return steps

    def embed(
        self, texts: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> NDArray[np.int16]:
        """Grid steps (n, 384) of n texts, shortest first; `on_batch` hears how many are done.

        Tokens of all texts are in memory at once: hand over some ten thousand at a time.
        """
        import torch

        tokens = self.tokenize(texts)
        batches = list(_batches([len(ids) for ids in tokens]))
        steps = np.empty((len(texts), DIMENSION), np.int16)
        done, threads = 0, torch.get_num_threads()

        def compute(batch: tuple[int, list[int]]) -> NDArray[np.int16]:
            length, rows = batch
            return self._forward([tokens[row] for row in rows], length)

        try:
            with ThreadPoolExecutor(
                min(threads, len(batches)) or 1, initializer=torch.set_num_threads, initargs=(1,)
            ) as pool:
                for (_, rows), found in zip(batches, pool.map(compute, batches), strict=True):
                    steps[rows] = found
                    done += len(rows)
                    if on_batch:
                        on_batch(done)
        finally:
            # Workers limit themselves only, but threads that start later would follow them.
            torch.set_num_threads(threads)
        return steps

    def _forward(self, tokens: Sequence[Sequence[int]], length: int) -> NDArray[np.int16]:
        """One batch of at most `batch_rows(length)` texts, filled up to exactly that many."""
        import torch

        n_rows = batch_rows(length)
        ids_BL = np.zeros((n_rows, length), np.int64)
        ids_BL[:, 0], ids_BL[:, 1] = _FIRST, _LAST
        counts_B = np.full(n_rows, 2)
        for row, ids in enumerate(tokens):
            ids_BL[row, : len(ids)] = ids
            counts_B[row] = len(ids)
        seen_BL = torch.from_numpy(np.arange(length) < counts_B[:, None])
        with torch.inference_mode():
            # The mask is always there, even where nothing is padded: without it another kernel runs.
            hidden_BLH = self._model(
                input_ids=torch.from_numpy(ids_BL),
                attention_mask=seen_BL[:, None, None, :].expand(-1, -1, length, -1),
            ).last_hidden_state
            weights_BL1 = seen_BL[:, :, None].to(hidden_BLH.dtype)
            mean_BH = (hidden_BLH * weights_BL1).sum(1) / weights_BL1.sum(1)
            unit_BH = torch.nn.functional.normalize(mean_BH, dim=1).numpy()
        return to_steps(unit_BH[: len(tokens)])


def batch_rows(length: int) -> int:
    """Texts in every batch of this padded length."""
    return max(1, _BATCH_TOKENS // length)


def _batches(lengths: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Padded length and rows of every batch, by rising length."""
    rungs = np.searchsorted(LENGTHS, lengths)
    for rung, length in enumerate(LENGTHS):
        rows = np.flatnonzero(rungs == rung).tolist()
        size = batch_rows(length)
        for start in range(0, len(rows), size):
            yield length, rows[start : start + size]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' progress bars and chatter off the terminal."""
    from transformers.utils import logging as transformers_logging

    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
