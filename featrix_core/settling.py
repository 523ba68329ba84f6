"""Linear models of scikit-learn that need not settle: where one is a yardstick, or one voice of several."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unsettled_is_fine() -> Iterator[None]:
    """No warning where a model is stopped after its last step: it is good enough, and nobody could do about it."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
