"""all-MiniLM-L6-v2 in ONNX Runtime, fp32: the fast engine on a CPU (STR-1).

Legend: B texts of a batch · L tokens, padded · H width 384.

ONNX Runtime's products add the terms of an element in an order that the matrix' inner size alone
decides, padding adds zeros only, and threads share out a product's rows and columns, never its terms. So a
text's vector does not depend on the texts beside it, on their number, on the padding or on the threads: a single
text costs what it costs, and needs no fixed shapes as torch does. The tests hold this to the byte.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featrix_core.cores import allowed_cores
from featrix_core.strings.grid import DIMENSION, to_steps

if TYPE_CHECKING:
    from featrix_core.strings.engine import EngineName

MAX_TOKENS = 256
"""What the model was made for; further tokens are not read."""
_BATCH_TOKENS = 1024
_MOST_SHARED = 4
"""Threads of a batch that is alone: products this small are not worth more."""


class OnnxMiniLM:
    """The model and its tokenizer, from a folder with safetensors and tokenizer.json.

    Safe for threads, which compute side by side. With `threads` above one, not to be used after a fork.
    """

    name: EngineName = "onnx"

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Build the graph and load it: `folder` was looked at before; `threads` share a batch that is alone."""
        from onnxruntime.capi.onnxruntime_inference_collection import InferenceSession
        from onnxruntime.capi.onnxruntime_pybind11_state import (
            SessionOptions,
        )
        from tokenizers import Tokenizer

        from featrix_core.strings.onnx_graph import onnx_graph

        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        graph = onnx_graph(folder / "model.safetensors")

        def session(threads: int) -> InferenceSession:
            options = SessionOptions()
            options.log_severity_level = 3
            options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
            # A thread that waits for its share leaves its core to whoever reads requests.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            return InferenceSession(graph, options, providers=["CPUExecutionProvider"])

        # Side by side, batches of a thread each get more done; alone, a batch of two threads is there sooner. The
        # second session has the weights once more (some 100 MB): a session's threads are fixed.
        self._session = session(1)
        self._shared = session(min(threads, _MOST_SHARED)) if threads > 1 else self._session

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of n texts, between 2 and 256 each."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    def forward(self, tokens: Sequence[Sequence[int]], alone: bool = False) -> NDArray[np.int16]:
        """Grid steps (n, 384) of n texts in one batch; n is at least 1."""
        counts_B = np.array([len(ids) for ids in tokens], np.int32)
        length = int(counts_B.max())
        ids_BL = np.zeros((len(tokens), length), np.int64)
        for row, ids in enumerate(tokens):
            ids_BL[row, : len(ids)] = ids
        session = self._shared if alone else self._session
        found = session.run(None, {"ids": ids_BL, "counts": counts_B})
        hidden_BLH: NDArray[np.float32] = np.asarray(found[0])
        if (counts_B < length).any():
            hidden_BLH *= (np.arange(length) < counts_B[:, None])[:, :, None]
        mean_BH = hidden_BLH.sum(axis=1) / counts_B[:, None].astype(np.float32)
        return to_steps(mean_BH / np.linalg.norm(mean_BH, axis=1, keepdims=True))

    def embed(
        self, texts: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> NDArray[np.int16]:
        """Grid steps (n, 384) of n texts, shortest first; `on_batch` hears how many are done."""
        tokens = self.tokenize(texts)
        batches = list(_batches([len(ids) for ids in tokens]))
        steps = np.empty((len(texts), DIMENSION), np.int16)
        done = 0
        with ThreadPoolExecutor(min(_threads(), len(batches)) or 1) as pool:
            computed = pool.map(lambda rows: self.forward([tokens[r] for r in rows]), batches)
            for rows, found in zip(batches, computed, strict=True):
                steps[rows] = found
                done += len(rows)
                if on_batch:
                    on_batch(done)
        return steps


def _threads() -> int:
    """As many as the environment allows numeric libraries, or one per core."""
    return int(os.environ.get("OMP_NUM_THREADS") or allowed_cores())


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of every batch: neighbours by length, so that little is padded."""
    order = np.argsort(lengths, kind="stable").tolist()
    batch: list[int] = []
    for row in order:
        if batch and lengths[row] * (len(batch) + 1) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
