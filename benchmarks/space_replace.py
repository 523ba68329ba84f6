"""A part of the product is another one for the length of a block, in this process only.

The product has no options for what benchmarks turn off. A name that is gone is an error, so that no row of a table
compares a thing with itself.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any

Change = Callable[[], contextlib.AbstractContextManager[object]]


@contextlib.contextmanager
def replaced(module: str, name: str, value: Any) -> Iterator[None]:
    """A module's attribute, or a class's (`module:Class`), has another value inside the block."""
    path, _, owner = module.partition(":")
    place: Any = importlib.import_module(path)
    place = getattr(place, owner) if owner else place
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)
