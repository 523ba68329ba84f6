"""The least recently used sentence vectors, in memory (STR-1, STR-2)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featrix_core.strings.grid import DIMENSION

_SMALLEST = 1024


class MemoryCache:
    """Grid steps by key, at most `capacity` of them; the one that was asked for longest ago goes first.

    One array holds all vectors (768 bytes each) and grows with their number. Not safe for threads.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._places: OrderedDict[bytes, int] = OrderedDict()
        self._steps = np.empty((0, DIMENSION), np.int16)

    def __len__(self) -> int:
        return len(self._places)

    def read(self, keys: Sequence[bytes], into: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Fill the known rows of `into` (n, 384) and tell which they are."""
        places_n = np.fromiter((self._places.get(key, -1) for key in keys), np.int64, len(keys))
        known_n = places_n >= 0
        into[known_n] = self._steps[places_n[known_n]]
        for row in np.flatnonzero(known_n).tolist():
            self._places.move_to_end(keys[row])
        return known_n

    def write(self, keys: Sequence[bytes], steps: NDArray[np.int16]) -> None:
        """Keep n new vectors (n, 384); of more than the capacity the last ones."""
        keys, steps = keys[-self._capacity :], steps[-self._capacity :]
        places = [self._place(key) for key in keys]
        if (needed := len(self._places)) > len(self._steps):
            size = min(self._capacity, max(_SMALLEST, 2 * len(self._steps), needed))
            grown = np.empty((size, DIMENSION), np.int16)
            grown[: len(self._steps)] = self._steps
            self._steps = grown
        self._steps[places] = steps

    def _place(self, key: bytes) -> int:
        place = self._places.get(key)
        if place is None:
            full = len(self._places) >= self._capacity
            place = self._places.popitem(last=False)[1] if full else len(self._places)
        self._places[key] = place
        self._places.move_to_end(key)
        return place
