"""Vectors in memory: least recently used goes first (STR-2)."""

from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from featrix_core.strings.grid import DIMENSION
from featrix_core.strings.memory import MemoryCache


def _key(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


def _steps(numbers: list[int]) -> NDArray[np.int16]:
    return np.repeat(np.array(numbers, np.int16)[:, None], DIMENSION, axis=1).reshape(-1, DIMENSION)


def _read(cache: MemoryCache, numbers: list[int]) -> list[int | None]:
    into = np.full((len(numbers), DIMENSION), -1, np.int16)
    known = cache.read([_key(number) for number in numbers], into)
    assert (into[~known] == -1).all()
    assert (into == into[:, :1]).all()
    return [int(row[0]) if hit else None for row, hit in zip(into, known, strict=True)]


def test_read_back_and_growth() -> None:
    cache = MemoryCache(5000)
    assert _read(cache, [1]) == [None]
    for start in range(0, 4000, 500):
        numbers = list(range(start, start + 500))
        cache.write([_key(number) for number in numbers], _steps(numbers))
    assert len(cache) == 4000
    assert _read(cache, [3999, 0, 4001, 1700]) == [3999, 0, None, 1700]
    assert _read(cache, []) == []


def test_what_was_read_last_stays() -> None:
    cache = MemoryCache(3)
    cache.write([_key(n) for n in (1, 2, 3)], _steps([1, 2, 3]))
    assert _read(cache, [1]) == [1]
    cache.write([_key(4), _key(5)], _steps([4, 5]))
    assert _read(cache, [1, 2, 3, 4, 5]) == [1, None, None, 4, 5]
    cache.write([_key(n) for n in range(10, 20)], _steps(list(range(10, 20))))
    assert _read(cache, [16, 17, 18, 19, 1]) == [None, 17, 18, 19, None]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 9), unique=True)), max_size=12),
)
def test_like_a_list_in_order_of_use(capacity: int, calls: list[tuple[bool, list[int]]]) -> None:
    cache, used = MemoryCache(capacity), list[int]()
    for write, numbers in calls:
        if write:
            cache.write([_key(n) for n in numbers], _steps(numbers))
            touched = numbers[-capacity:]
        else:
            touched = [n for n in numbers if n in used]
            expected = [n if n in used else None for n in numbers]
            assert _read(cache, numbers) == expected
        for number in touched:
            used = [*(n for n in used if n != number), number][-capacity:]
        assert len(cache) == len(used)
