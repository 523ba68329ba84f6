"""Linear models of scikit-learn that need not settle: where one is a yardstick, or one voice of several."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unsettled_is_fine() -> Iterator[None]:
    """No warning of a model that is stopped before it settles: it is good enough, and users can do nothing about it."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
