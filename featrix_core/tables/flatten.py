"""JSON cells → a flat table of texts: what a child space is trained on (ENC-5, JOIN-4).

Columns are named by the path to the value, the root being `$`:

    {"plan": "pro", "owner": {"age": 41}}   →  $.plan, $.owner.age
    [3, 5, 4]                               →  $[*]#count, #mean, #std, #min, #max, #first, #last
    {"tags": ["new", "sale"]}               →  $.tags[*]#count, $.tags[*] = "new; sale"
    [{"kind": "view", "ms": 30}, …]         →  $[*]#count, $[*].kind = "view; buy", $[*].ms#mean, #min, #max,
                                               and the first and last element as $[0].kind, $[-1].ms, …

Values stay text, as in a CSV file: the schema of the child table finds their types. A figure or key that a
cell lacks, a null and a broken cell are missing.

Shape legend: V distinct texts.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from featrix_core.tables.table import Source, Table

LEVELS = 6
"""Objects and lists below this level are counted, not opened."""
COLUMNS = 64
"""Most columns of a flat table: those that most cells have."""
LEAST_SHARE = 0.01
"""Share of the cells that must have a column; keys that are names of things would each make one."""
CELL_VALUES = 256
"""Most values that are read of a cell."""
JOINED = 32
"""Most entries of a list of texts that are read."""
LONGEST = 20_000
"""Characters of a text that are read."""
VALUES = "$#values"
"""Column of the number of values in a cell; it is there where other columns had to be left out."""

_LONGEST_KEY = 200
_SEPARATOR = "; "
_SPECIAL = re.compile(r"([\\.\[#])")


class _Cell:
    """Values of one cell by path; `cut` if some were left out, `n_values` plain values in all."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.n_values = 0
        self.cut = False

    @property
    def full(self) -> bool:
        return len(self.values) >= CELL_VALUES

    def put(self, path: str, value: object) -> None:
        text = _text(value)
        if text is None:
            return
        if self.full:
            self.cut = True
        else:
            self.values.setdefault(path, text)


def flat_columns(texts: Sequence[str]) -> tuple[str, ...]:
    """Columns of the flat table of V JSON texts, sorted by name; () if no cell has a value.

    At most `COLUMNS`: those that most cells have, then those nearest to the root.
    """
    counts: Counter[str] = Counter()
    cut = False
    for text in texts:
        cell = _read(text)
        counts.update(cell.values.keys())
        cut = cut or cell.cut
    least = LEAST_SHARE * len(texts)
    frequent = [name for name, count in counts.items() if count >= least]
    ranked = sorted(
        frequent, key=lambda name: (-counts[name], name.count(".") + name.count("["), name)
    )
    kept = sorted(ranked[:COLUMNS])
    if cut or len(kept) < len(counts):
        kept.append(VALUES)
    return tuple(kept)


def flatten(texts: Sequence[str], columns: Sequence[str] | None = None) -> Table:
    """The flat table of V JSON texts, one row per text, every cell a text or missing.

    `columns`: those of the table that a child space was trained on; other keys are ignored, and keys that
    the texts lack are missing. Without it they are chosen by `flat_columns`. Broken texts are rows without
    a value. Never raises, whatever the texts hold.
    """
    names = flat_columns(texts) if columns is None else tuple(columns)
    cells: dict[str, list[str | None]] = {name: [] for name in names}
    for text in texts:
        cell = _read(text)
        for name, column in cells.items():
            column.append(cell.values.get(name))
        if VALUES in cells and cell.n_values:
            cells[VALUES][-1] = str(cell.n_values)
    arrays = {name: pa.array(column, pa.string()) for name, column in cells.items()}
    return Table(pa.table(arrays), Source("JSON cells", "json"))


def spoken(text: str) -> str:
    """A JSON text in plain words ("plan: pro, owner age: 41"), for a sentence model."""
    pairs = _read(text).values.items()
    return ", ".join(f"{_words(path)}: {value}" if _words(path) else value for path, value in pairs)


def _words(path: str) -> str:
    return " ".join(re.findall(r"\w+", path.lstrip("$")))


def _read(text: str) -> _Cell:
    cell = _Cell()
    try:
        # Infinity and NaN are no JSON, though Python reads them.
        value = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return cell
    _open(value, "$", 1, True, cell)
    cell.n_values = _count(value)
    return cell


def _count(value: object) -> int:
    """Plain values in a value, nulls aside."""
    count, rest = 0, [value]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            rest.extend(item.values())
        elif isinstance(item, list):
            rest.extend(item)
        else:
            count += item is not None
    return count


def _open(value: object, path: str, level: int, ends: bool, cell: _Cell) -> None:
    """Take a value apart; `ends`: a list's first and last element get columns of their own."""
    if cell.full:
        cell.cut = True
        return
    if isinstance(value, dict):
        if level > LEVELS:
            cell.put(f"{path}#count", len(value))
            return
        for key in sorted(value):
            _open(value[key], f"{path}.{_escaped(key)}", level + 1, ends, cell)
    elif isinstance(value, list):
        cell.put(f"{path}[*]#count", len(value))
        if level > LEVELS:
            return
        _entries(value, f"{path}[*]", level + 1, True, cell)
        # Ends of lists in ends of lists would take time that grows with the power of the depth.
        if ends and value and isinstance(value[0], dict):
            _open(value[0], f"{path}[0]", level + 1, False, cell)
        if ends and value and isinstance(value[-1], dict):
            _open(value[-1], f"{path}[-1]", level + 1, False, cell)
    else:
        cell.put(path, value)


def _entries(items: list[object], path: str, level: int, whole: bool, cell: _Cell) -> None:
    """What many values of one place have in common; `whole`: they are the entries of one list."""
    if cell.full:
        cell.cut = True
        return
    numbers = [
        item for item in items if isinstance(item, int | float) and not isinstance(item, bool)
    ]
    words = [item for item in items if isinstance(item, str | bool)]
    lists = [item for item in items if isinstance(item, list)]
    fields: dict[str, list[object]] = {}
    for item in items:
        if isinstance(item, dict):
            for key, value in item.items():
                fields.setdefault(key, []).append(value)
    if numbers:
        _figures(numbers, path, whole, cell)
    if words:
        texts = [_text(word) for word in words[:JOINED]]
        cell.put(path, _SEPARATOR.join(text.replace(";", ",") for text in texts if text))
    if level > LEVELS:
        return
    if lists:
        flat = [entry for entries in lists for entry in entries]
        _entries(flat, f"{path}[*]", level + 1, False, cell)
    for key in sorted(fields)[:CELL_VALUES]:
        _entries(fields[key], f"{path}.{_escaped(key)}", level + 1, False, cell)


def _figures(numbers: list[int | float], path: str, whole: bool, cell: _Cell) -> None:
    found = [number for number in map(_number, numbers) if math.isfinite(number)]
    if not found:
        return
    array = np.array(found)
    with np.errstate(over="ignore", invalid="ignore"):
        figures = {"mean": array.mean(), "min": array.min(), "max": array.max()}
        if whole:
            figures |= {"std": array.std(), "first": array[0], "last": array[-1]}
    for figure, value in figures.items():
        cell.put(f"{path}#{figure}", float(value))


def _number(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond the range of floats
        return math.inf


def _text(value: object) -> str | None:
    """A plain value as the text of a cell; None where there is none."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else None
    # Halves of characters ("\ud800" alone) are legal in JSON and nowhere else.
    return _sound(str(value)[:LONGEST]) or None


def _escaped(key: str) -> str:
    return _SPECIAL.sub(r"\\\1", _sound(key[:_LONGEST_KEY]))


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
