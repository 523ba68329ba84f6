"""Gathers the texts of all callers into batches of like length, each text once (STR-1)."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from sys import getsizeof
from typing import TypeAlias, TypeVar

from featrix_core.strings.engine import Engine
from featrix_core.strings.limits import Limits, OverloadedError, UnavailableError
from featrix_core.strings.metrics import ServiceMetrics
from featrix_core.strings.service_cache import Vector, VectorCache

BATCH_TOKENS = 384
"""Padded tokens of a batch at most: with more of them what the layers hand on outgrows a core's own cache."""
_AHEAD_TOKENS = (
    1024  # of texts that wait for each thread tokenized, so that a batch finds neighbours
)
_SHARE_TOKENS = 192  # below that a batch is not split for another thread's sake
_TEXTS_A_TURN = 8  # of each waiting request; batches take texts by length, not by turn
_MOST_IN_A_TURN = (
    64  # requests that count; with all of some hundreds a larger one would wait for 8 texts each
)
_TOKENIZE = 128  # texts tokenized at once
_TOKENIZE_CHARACTERS = 64 * 1024  # of those: no small request waits for 128 long texts
_CHEAP_PADDING = 32  # padding tokens that cost less than a batch more
_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Entry:
    """A text on its way: everyone who wants it waits for this one entry."""

    text: str
    wanted_by: set[Order] = field(default_factory=set)
    tokens: list[int] = field(default_factory=list)


# Turn, number of arrival and entry: lower turns are served first.
_Queue: TypeAlias = list[tuple[float, int, _Entry]]
_Item = TypeVar("_Item")


@dataclass(eq=False, slots=True)
class Order:
    """A request's texts; `on_done` is called once, by a computing thread, when all vectors are there
    or when one failed."""

    texts: list[str]
    on_done: Callable[[], object]
    found: dict[str, Vector] = field(default_factory=dict)
    missing: int = 0
    bytes: int = 0
    error: BaseException | None = None

    def vectors(self) -> list[Vector]:
        """Vectors of the texts in their order, once done.

        Raises:
            UnavailableError: the model failed.
        """
        if self.error is not None:
            raise UnavailableError("The model could not compute these texts") from self.error
        return [self.found[text] for text in self.texts]


class Batcher:
    """Computes vectors with some threads, which share what waits.

    A thread takes the text whose turn it is and those nearest to it by number of tokens, up to a
    budget of padded tokens. A request's n-th text comes n turns after those that are next as it arrives,
    so a small request waits for a text of each large one and not for all of them. Turns also pass with
    texts computed, so no number of small requests holds up a large one for ever. A text that is on its way
    already is not computed again, and one that nobody waits for any more is left out.
    """

    def __init__(
        self,
        engine: Engine,
        cache: VectorCache,
        metrics: ServiceMetrics,
        limits: Limits,
        threads: int,
    ) -> None:
        self._engine = engine
        self._cache = cache
        self._metrics = metrics
        self._limits = limits
        self._changed = threading.Condition()
        self._entries: dict[str, _Entry] = {}  # all texts on their way
        self._raw: _Queue = []  # not tokenized yet
        self._by_length: dict[int, _Queue] = {}
        self._waiting_tokens = 0
        self._orders: set[Order] = set()
        self._order_texts = 0
        self._order_bytes = 0
        self._arrivals = 0
        self._turn = 0.0
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, name=f"compute-{n}", daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, texts: list[str], on_done: Callable[[], object]) -> Order | list[Vector]:
        """The vectors, where the cache has all of them, or an order that is on its way.

        Raises:
            OverloadedError: too much waits already.
            UnavailableError: the batcher was stopped.
        """
        order = Order(texts, on_done)
        with self._changed:
            if self._stopped:
                raise UnavailableError("The service is stopping")
            missing = dict.fromkeys(texts)
            for text in list(missing):
                vector = self._cache.get(text)
                if vector is not None:
                    order.found[text] = vector
                    del missing[text]
            self._metrics.texts.inc(len(texts))
            hits = len(texts) - sum(text in missing for text in texts) if missing else len(texts)
            self._metrics.hits.inc(hits)
            self._metrics.misses.inc(len(texts) - hits)
            if not missing:
                return order.vectors()
            order.bytes = sum(map(getsizeof, texts))
            self._admit(len(missing), order.bytes)
            self._enqueue(order, missing)
        return order

    def _admit(self, texts: int, size: int) -> None:
        """Refuse what would wait too long; whoever comes when nothing waits is always served."""
        limits = self._limits
        full = (
            len(self._orders) >= limits.waiting_requests
            or self._order_texts + texts > limits.waiting_texts
            or self._order_bytes + size > limits.waiting_bytes
        )
        if self._orders and full:
            raise OverloadedError("Too many requests are waiting; try again later")

    def _enqueue(self, order: Order, missing: dict[str, None]) -> None:
        order.missing = len(missing)
        self._orders.add(order)
        self._order_texts += len(missing)
        self._order_bytes += order.bytes
        for place, text in enumerate(missing):
            entry = self._entries.get(text)
            if entry is None:
                self._arrivals += 1
                entry = self._entries[text] = _Entry(text)
                heapq.heappush(self._raw, (self._turn + place, self._arrivals, entry))
            else:
                self._metrics.shared.inc()
            entry.wanted_by.add(order)
        self._report()
        self._changed.notify_all()

    def drop(self, order: Order) -> None:
        """Forget an order whose caller has gone; what nobody else waits for is not computed."""
        with self._changed:
            if order not in self._orders:
                return
            self._close(order)
            for text in order.texts:
                entry = self._entries.get(text)
                if entry is not None:
                    entry.wanted_by.discard(order)
            self._report()

    def stop(self) -> None:
        """Take nothing more, finish what waits, end the threads."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    @property
    def alive(self) -> bool:
        """Whether all threads compute, or the batcher was stopped."""
        return self._stopped or all(thread.is_alive() for thread in self._threads)

    def _close(self, order: Order) -> None:
        self._orders.discard(order)
        self._order_texts -= order.missing
        self._order_bytes -= order.bytes

    def _report(self) -> None:
        self._metrics.waiting_requests.set(len(self._orders))
        self._metrics.waiting_texts.set(self._order_texts)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._raw or self._by_length or self._stopped):
                    self._changed.wait()
                if not (self._raw or self._by_length):
                    return
                if self._raw_is_next():
                    raw, batch = self._take_raw(), []
                else:
                    raw, batch = [], self._take_batch()
            if raw:
                self._each(raw, [item[-1] for item in raw], self._tokenize)
            elif batch:
                self._each(batch, batch, self._compute)

    def _each(
        self, items: Sequence[_Item], entries: Sequence[_Entry], work: Callable[[list[_Item]], None]
    ) -> None:
        """Do the work; where it fails, item by item, so that only callers of a bad text hear of it.

        Nothing ends the thread, which goes on with the next batch.
        """
        try:
            return work(list(items))
        except BaseException as error:
            _log.error("A batch of %d failed: %s", len(items), type(error).__name__)
            if len(items) == 1:
                return self._fail(entries, error)
        for item, entry in zip(items, entries, strict=True):
            with self._changed:
                wanted = self._entries.get(entry.text) is entry and self._is_wanted(entry)
            if wanted:
                self._each([item], [entry], work)

    def _raw_is_next(self) -> bool:
        """Whether to tokenize: for full batches, or since the turn has come of a text not tokenized."""
        if not self._raw or not self._by_length:
            return bool(self._raw)
        if self._waiting_tokens < _AHEAD_TOKENS * len(self._threads):
            return True
        return self._raw[0] < min(queue[0] for queue in self._by_length.values())

    def _take_raw(self) -> _Queue:
        taken: _Queue = []
        characters = 0
        while self._raw and len(taken) < _TOKENIZE:
            characters += len(self._raw[0][-1].text)
            if taken and characters > _TOKENIZE_CHARACTERS:
                break
            taken.append(heapq.heappop(self._raw))
        return [item for item in taken if self._is_wanted(item[-1])]

    def _is_wanted(self, entry: _Entry) -> bool:
        """Whether somebody waits for the text; it is forgotten otherwise."""
        if not entry.wanted_by:
            del self._entries[entry.text]
            self._metrics.dropped.inc()
        return bool(entry.wanted_by)

    def _tokenize(self, raw: _Queue) -> None:
        found = self._engine.tokenize([entry.text for _, _, entry in raw])
        if len(found) != len(raw):
            raise RuntimeError("The tokenizer left texts out")
        with self._changed:
            for item, tokens in zip(raw, found, strict=True):
                item[-1].tokens = tokens
                heapq.heappush(self._by_length.setdefault(len(tokens), []), item)
                self._waiting_tokens += len(tokens)
            self._changed.notify_all()

    def _take_batch(self) -> list[_Entry]:
        """The text whose turn it is and its neighbours by length, within the budget."""
        queues = self._by_length
        first = min(queues, key=lambda length: queues[length][0])
        turn = queues[first][0][0]
        share = -(-self._waiting_tokens // len(self._threads))
        budget = min(BATCH_TOKENS, max(_SHARE_TOKENS, share))
        longest, tokens = first, 0
        batch: list[_Entry] = []
        for length in sorted(queues, key=lambda other: (abs(other - first), other)):
            while length in queues:
                padded = max(longest, length) * (len(batch) + 1)
                padding = padded - tokens - length
                if batch and (padded > budget or padding > max(_CHEAP_PADDING, padded // 16)):
                    break
                longest = max(longest, length)
                tokens += length
                batch.append(heapq.heappop(queues[length])[-1])
                if not queues[length]:
                    del queues[length]
            if len(batch) * longest >= budget:
                break
        self._waiting_tokens -= tokens
        passed = len(batch) / (_TEXTS_A_TURN * max(1, min(_MOST_IN_A_TURN, len(self._orders))))
        self._turn = max(turn, self._turn + passed)
        return [entry for entry in batch if self._is_wanted(entry)]

    def _compute(self, batch: Sequence[_Entry]) -> None:
        with self._changed:
            alone = len(self._entries) == len(batch)  # nothing else is on its way
        started = time.perf_counter()
        steps = self._engine.forward([entry.tokens for entry in batch], alone).astype("<i2")
        metrics, counts = self._metrics, [len(entry.tokens) for entry in batch]
        metrics.compute_seconds.inc(time.perf_counter() - started)
        metrics.batch_texts.observe(len(batch))
        metrics.computed.inc(len(batch))
        metrics.tokens.inc(sum(counts))
        metrics.padding.inc(max(counts) * len(counts) - sum(counts))
        done: list[Order] = []
        with self._changed:
            for entry, row, count in zip(batch, steps, counts, strict=True):
                vector = Vector(row.tobytes(), count)
                self._cache.put(entry.text, vector)
                del self._entries[entry.text]
                for order in entry.wanted_by:
                    order.found[entry.text] = vector
                    order.missing -= 1
                    self._order_texts -= 1
                    if not order.missing:
                        self._close(order)
                        done.append(order)
            self._cache.report()
            self._report()
        _tell(done)

    def _fail(self, batch: Sequence[_Entry], error: BaseException) -> None:
        with self._changed:
            orders = {order for entry in batch for order in entry.wanted_by} & self._orders
            for entry in batch:
                self._entries.pop(entry.text, None)
            for order in orders:
                order.error = error
                self._close(order)
                for text in order.texts:
                    if (entry_of := self._entries.get(text)) is not None:
                        entry_of.wanted_by.discard(order)
            self._report()
        _tell(orders)


def _tell(orders: Iterable[Order]) -> None:
    """Callers hear that they are done; one that cannot be told keeps nothing from the others."""
    for order in orders:
        try:
            order.on_done()
        except BaseException as error:
            _log.error("A caller could not be told: %s", type(error).__name__)
