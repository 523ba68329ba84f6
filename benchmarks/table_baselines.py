"""What pandas and skrub infer about the same columns, and when that counts as right.

Both know fewer kinds than the labels do, so a kind counts as right for every label that it can stand
for. The same coarse kinds are taken from featrix' types, so that the comparison is like with like.
"""

from __future__ import annotations

import io
import warnings

import pandas as pd

NUMBER, TRUTH, TIME, WORDS = "number", "boolean", "time", "words"
FEW, MANY = "few words", "many words"

_NUMBERS = frozenset({"scalar"})
_TRUTHS = frozenset({"boolean"})
_TIMES = frozenset({"timestamp"})
_FEW = frozenset({"set", "ordinal", "boolean", "code"})
_WORDS = frozenset(
    {"set", "ordinal", "text", "document", "list", "code", "email", "domain", "url", "phone"}
    | {"address", "vector", "json"}
)
FITS: dict[str, frozenset[str]] = {
    NUMBER: _NUMBERS,
    TRUTH: _TRUTHS,
    TIME: _TIMES,
    WORDS: _WORDS,
    FEW: _FEW,
    MANY: _WORDS,
}
"""Labels that a coarse kind is right for."""


def coarse(type: str) -> str:
    """The coarse kind of one of featrix' types."""
    return {"scalar": NUMBER, "boolean": TRUTH, "timestamp": TIME}.get(type, WORDS)


def right(kind: str, accepted: frozenset[str], *, two_numbers: bool) -> bool:
    """Whether a coarse kind fits one of the accepted labels.

    `two_numbers`: the cells are 0 and 1, or true and false, which serve as numbers just as well.
    """
    if two_numbers and kind in (NUMBER, TRUTH) and accepted & _TRUTHS:
        return True
    return bool(FITS[kind] & accepted)


def read(text: str) -> pd.DataFrame:
    """A CSV text as pandas reads it by itself."""
    return pd.read_csv(io.StringIO(text), low_memory=False)


def pandas_kinds(frame: pd.DataFrame) -> dict[str, str]:
    """Kinds of `read_csv` and `convert_dtypes`, with an attempt at dates where texts are left."""
    kinds = {}
    for name in frame.columns:
        series = frame[name].convert_dtypes()
        if pd.api.types.is_bool_dtype(series.dtype):
            kinds[str(name)] = TRUTH
        elif pd.api.types.is_numeric_dtype(series.dtype):
            kinds[str(name)] = NUMBER
        else:
            kinds[str(name)] = TIME if _all_dates(series) else WORDS
    return kinds


def _all_dates(series: pd.Series[str]) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pd.to_datetime(series.dropna())
        except (ValueError, TypeError, OverflowError):
            return False
    return True


def skrub_kinds(frame: pd.DataFrame) -> dict[str, str]:
    """Kinds of skrub's `TableVectorizer`."""
    from skrub import TableVectorizer

    vectorizer = TableVectorizer(
        low_cardinality="passthrough",
        high_cardinality="passthrough",
        numeric="passthrough",
        datetime="passthrough",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vectorizer.fit(frame)
    names = {
        "numeric": NUMBER,
        "datetime": TIME,
        "low_cardinality": FEW,
        "high_cardinality": MANY,
    }
    found = {
        str(column): kind
        for key, kind in names.items()
        for column in vectorizer.kind_to_columns_.get(key, [])
    }
    # A column that skrub leaves out (it holds one value, or none) has no kind.
    return {str(name): found.get(str(name), "none") for name in frame.columns}


FITS["none"] = frozenset()
