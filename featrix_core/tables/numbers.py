"""Texts → numbers, as the world writes them (DATA-3).

Thousands by comma, dot, blank, apostrophe or underscore; decimal points and commas; per cent; money
before or behind the figure; negatives in brackets, with a trailing or a typographic minus; `1.2M`,
`3k`, `5bn`; units (`12 kg`, `5'7"`). The decimal mark and the unit are decided once per column.
All patterns are RE2's (through Arrow), whose time grows linearly with the text.

Shape legend: V distinct texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Decimal = Literal[".", ","]
Floats = NDArray[np.float64]

_PLAIN = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?$"
_SYMBOLS = {
    "$": "USD", "US$": "USD", "C$": "CAD", "CA$": "CAD", "A$": "AUD", "AU$": "AUD", "NZ$": "NZD",
    "HK$": "HKD", "S$": "SGD", "R$": "BRL", "MX$": "MXN", "€": "EUR", "£": "GBP", "¥": "JPY",
    "₹": "INR", "Rs": "INR", "Rs.": "INR", "₽": "RUB", "₩": "KRW", "₺": "TRY", "₫": "VND",
    "₴": "UAH", "₦": "NGN", "₱": "PHP", "₪": "ILS", "฿": "THB", "zł": "PLN", "Kč": "CZK",
    "kr": "SEK", "kr.": "DKK", "Fr.": "CHF", "₿": "BTC",
}  # fmt: skip
_ISO_TEXT = """
    USD EUR GBP JPY CHF CAD AUD NZD INR CNY RMB HKD SGD KRW SEK NOK DKK PLN CZK HUF
    RON BGN TRY RUB UAH BRL MXN ARS CLP COP PEN ZAR NGN KES EGP MAD ILS AED SAR QAR
    KWD THB IDR MYR PHP VND TWD PKR BTC ETH
"""
_ISO_CODES = _ISO_TEXT.split()
CURRENCIES = frozenset([*_SYMBOLS.values(), *_ISO_CODES])
_CODES = frozenset([*_SYMBOLS, *_ISO_CODES])
_CODE_LENGTHS = sorted({len(code) for code in _CODES}, reverse=True)
_MONEY = "|".join(
    sorted([s.replace("$", r"\$").replace(".", r"\.") for s in _SYMBOLS] + _ISO_CODES, key=len)[
        ::-1
    ]
)
_SCALES = {
    "k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "mn": 1e6, "mio": 1e6, "mln": 1e6, "million": 1e6,
    "bn": 1e9, "mrd": 1e9, "bln": 1e9, "billion": 1e9, "tn": 1e12, "trn": 1e12, "trillion": 1e12,
    "thousand": 1e3, "hundred": 1e2, "lakh": 1e5, "crore": 1e7,
}  # fmt: skip
PERCENT = "%"
SCALED = "×"
"""Stands for the unit of a figure with a bare letter as its scale, such as `1.2M`."""
_MONEY_SCALES = {"m": 1e6, "b": 1e9, "T": 1e12, "t": 1e12, "G": 1e9}  # units where no money stands
_UNITS: dict[str, str] = {
    form: unit
    for unit, forms in {
        "kg": "kg kgs kilo kilos kilogram kilograms", "g": "g gr gram grams", "mg": "mg", "µg": "µg mcg",
        "t": "t ton tons tonne tonnes", "lb": "lb lbs pound pounds", "oz": "oz ounce ounces",
        "st": "stone", "km": "km kms kilometer kilometers kilometre kilometres",
        "m": "m meter meters metre metres", "cm": "cm", "mm": "mm", "nm": "nm", "µm": "µm um",
        "mi": "mi mile miles", "ft": "ft feet foot", "in": "in inch inches", "yd": "yd yard yards",
        "l": "l liter liters litre litres ltr", "ml": "ml", "cl": "cl", "dl": "dl", "gal": "gal gallon gallons",
        "qt": "qt", "pt": "pint pints", "cu ft": "cuft", "s": "s sec secs second seconds", "ms": "ms",
        "min": "min mins minute minutes", "h": "h hr hrs hour hours", "day": "d day days",
        "week": "wk wks week weeks", "month": "mo mos mth mths month months", "year": "y yr yrs year years",
        "°C": "°c degc celsius", "°F": "°f degf fahrenheit", "°": "° deg degree degrees",
        "km/h": "km/h kmh kph", "mph": "mph", "m/s": "m/s", "kn": "kn kt kts knot knots",
        "W": "w watt watts", "kW": "kw", "MW": "mw", "kWh": "kwh", "hp": "hp bhp ps", "V": "volt volts",
        "mAh": "mah", "Hz": "hz", "kHz": "khz", "MHz": "mhz", "GHz": "ghz", "B": "byte bytes",
        "KB": "kb kib", "MB": "mb mib", "GB": "gb gib", "TB": "tb tib", "Mbps": "mbps", "px": "px pixel pixels",
        "MP": "mp megapixel megapixels", "cc": "cc", "rpm": "rpm", "Nm": "nm", "m²": "m² m2 sqm",
        "km²": "km² km2 sqkm", "sq ft": "sqft ft² ft2", "m³": "m³ m3", "ha": "ha hectare hectares",
        "acre": "ac acre acres", "ppm": "ppm", "dB": "db", "bar": "bar", "psi": "psi", "hPa": "hpa",
        "kPa": "kpa", "mmHg": "mmhg", "bpm": "bpm", "kcal": "kcal", "cal": "cal cals", "kJ": "kj",
        "mg/dL": "mg/dl", "mmol/L": "mmol/l", "g/L": "g/l", "mpg": "mpg", "km/l": "kmpl km/l",
        "l/100km": "l/100km", "x": "x", "pt.": "pts points", "ct": "ct count pcs pc pieces",
        "bp": "bps bp", "person": "people persons", "inch": '" ″', "item": "items item",
    }.items()
    for form in forms.split()
}  # fmt: skip
_KNOWN = CURRENCIES.union(_UNITS.values(), [PERCENT])
_UNIT_WORD = r"[A-Za-zµ°\"″][A-Za-z²³µ./°0-9]{0,11}|°|sq\.? ?ft|cu\.? ?ft|sq\.? ?m"
_SIGNS = str.maketrans(
    {"−": "-", "–": "-", "﹣": "-", "－": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " "}
    | {"\u2007": " ", "\u2002": " ", "\u2003": " ", "’": "'", "‘": "'", "＋": "+", "％": "%"}
)
_DRESS = (
    r"^(?P<open>\(?)\s?(?P<sign>[+-]?)\s?(?P<money>(?:{money})?)\s?(?P<inner>[+-]?)\s?"
    r"(?P<figure>{figure})(?P<exponent>(?:[eE][+-]?\d{{1,4}})?)"
    r"(?P<tail>(?:\s?(?:%|{word}|{money}))?(?:\s?(?:{money}))?)\s?(?P<minus>-?)\s?(?P<close>\)?)$"
)
_MONEY_AHEAD = rf"^({_MONEY})\s?\(([^()]*)\)$"
_FIGURES: dict[str, str] = {
    ".": (
        r"\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d*)?|\d{1,3}(?: \d{3})+(?:\.\d*)?"
        r"|\d{1,3}(?:'\d{3})+(?:\.\d*)?|\d{1,3}(?:_\d{3})+(?:\.\d*)?|\d+\.?\d*|\.\d+"
    ),
    ",": (
        r"\d{1,3}(?:\.\d{3})+(?:,\d*)?|\d{1,3}(?: \d{3})+(?:,\d*)?"
        r"|\d{1,3}(?:'\d{3})+(?:,\d*)?|\d{1,3}(?:_\d{3})+(?:,\d*)?|\d+,?\d*|,\d+"
    ),
}
_PATTERNS = {
    mark: _DRESS.format(money=_MONEY, figure=figure, word=_UNIT_WORD)
    for mark, figure in _FIGURES.items()
}
# Cells that can be read in one way only; an odd one such as 1,234 follows them.
_POINT = (
    r"^[^\d.,]*(?:\d{1,3}(?:[, '_]\d{3})+\.\d*|\d+\.(?:\d{1,2}|\d{4,})|0?\.\d+|\d{4,}\.\d+"
    r"|\d{1,3}(?:,\d{3}){2,})[^\d.,]*$"
)
_COMMA = (
    r"^[^\d.,]*(?:\d{1,3}(?:[. '_]\d{3})+,\d*|\d+,(?:\d{1,2}|\d{4,})|0?,\d+|\d{4,},\d+"
    r"|\d{1,3}(?:\.\d{3}){2,})[^\d.,]*$"
)
_EITHER = r"^[^\d.,]*[1-9]\d{0,2}[.,]\d{3}[^\d.,]*$"
_HEIGHT = r"^(?P<feet>\d{1,2})\s?(?:'|ft\.?|feet)\s?(?:(?P<inches>\d{1,2}(?:\.\d+)?)\s?(?:\"|''|″|in\.?|inches)?)?$"
_WORDY_SHARE = 0.9
_THOUSAND = r"^[+-]?\d{1,3}\.\d{3}$"  # where commas are decimal marks


@dataclass(frozen=True)
class Numbers:
    """V numbers (NaN: no number) and what stood beside them: a unit, a currency's code, `SCALED`, or ""."""

    values_V: Floats
    units_V: NDArray[np.object_]


def parse_numbers(
    texts: Sequence[str] | NDArray[np.object_],
    decimal: Decimal = ".",
    unit: str | None = None,
) -> Floats:
    """Numbers of V texts, NaN where a text is none.

    `decimal` is the column's decimal mark. `unit` is the column's unit or currency: figures in
    another one are NaN. Without it money of any currency is read, and no unit. `12%` is 0.12;
    where per cent is the unit, a bare 12 is NaN.
    Words, infinities and values beyond float64 stay unparsed.
    """
    numbers = read_numbers(texts, decimal)
    return np.where(in_unit(numbers.units_V, unit), numbers.values_V, np.nan)


def in_unit(units_V: NDArray[np.object_], unit: str | None) -> NDArray[np.bool_]:
    """Which of V figures a column of this unit takes; without a unit, money of any currency.

    A bare `4M` is four million beside money and plain numbers; beside `8m` or `3 kg` it may be
    anything. Beside `12%`, a bare figure may be anything too.
    """
    if unit is None:
        taken = (u in ("", SCALED, PERCENT) or u in CURRENCIES for u in units_V)
        return np.fromiter(taken, bool, len(units_V))
    if unit == PERCENT:
        # A bare 12 may be 12 % or 1,200 %.
        percent: NDArray[np.bool_] = units_V == PERCENT
        return percent
    own: NDArray[np.bool_] = (units_V == "") | (units_V == unit)
    return own | (units_V == SCALED) if unit in CURRENCIES else own


def read_numbers(texts: Sequence[str] | NDArray[np.object_], decimal: Decimal = ".") -> Numbers:
    """Figures of V texts with whatever unit stands behind them."""
    array = pc.utf8_trim_whitespace(pa.array(list(texts), pa.string()))
    values = np.full(len(array), np.nan)
    units = np.full(len(array), "", dtype=object)
    plain = _matches(array, _PLAIN)
    if decimal == ",":
        plain &= ~_matches(array, _THOUSAND)
    if plain.any():
        values[plain] = _cast(array.filter(pa.array(plain)))
    rest = ~plain & _matches(array, r"\d")
    if rest.any():
        cells = [text.translate(_SIGNS) for text in array.filter(pa.array(rest)).to_pylist()]
        values[rest], units[rest] = _dressed(pa.array(cells, pa.string()), decimal)
    return Numbers(np.where(np.isfinite(values), values, np.nan), units)


def native_decimal(kind: pa.DataType, frozen: Decimal) -> Decimal:
    """The mark to read cells of a type by: numbers that arrive as numbers have a point.

    `frozen` is the mark that the texts of training had; texts are read by it.
    """
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        kind = kind.value_type
    native = pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_integer(kind)
    return "." if native else frozen


def clear_points(array: pa.Array) -> pa.Array:
    """Texts of numbers that arrived as numbers, in a form that is no thousand: 1.234 is 1.2340.

    For columns that have to become text because other cells are texts.
    """
    return pc.replace_substring_regex(array, _THOUSAND[:1] + f"({_THOUSAND[1:-1]})$", r"\10")


def decide_decimal(texts: Sequence[str], counts_V: NDArray[np.int64]) -> Decimal:
    """The decimal mark of a column, by the cells that can be read in one way only; "." in doubt."""
    return clear_decimal(texts, counts_V) or "."


def clear_decimal(texts: Sequence[str], counts_V: NDArray[np.int64]) -> Decimal | None:
    """`decide_decimal`, but None where no cell can be read in one way only."""
    array = pa.array([text.translate(_SIGNS) for text in texts], pa.string())
    commas = int(counts_V[_matches(array, _COMMA)].sum())
    points = int(counts_V[_matches(array, _POINT)].sum())
    if not commas and not points:
        return None
    return "," if commas > points else "."


def two_readings(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Which of V texts are such as 1.234 or 1,234: a thousand, or a number with three decimals."""
    return _matches(pa.array([text.translate(_SIGNS) for text in texts], pa.string()), _EITHER)


def decide_unit(numbers: Numbers, counts_V: NDArray[np.int64]) -> str | None:
    """The unit or currency that most of a column's figures with a unit have; None without any.

    A word that is no known unit ("36 rooms") counts only where nearly all figures have it, and per cent
    where more than half of them do.
    """
    scaled = ~np.isnan(numbers.values_V) & (numbers.units_V == SCALED)
    found = ~np.isnan(numbers.values_V) & (numbers.units_V != "") & ~scaled
    if not found.any():
        return None
    names, position = np.unique(numbers.units_V[found].astype(str), return_inverse=True)
    cells = np.bincount(position, weights=counts_V[found])
    known = np.fromiter((str(name) in _KNOWN for name in names), bool, len(names))
    numeric = float(counts_V[~np.isnan(numbers.values_V)].sum())
    eligible = np.where(known | (cells >= _WORDY_SHARE * numeric), cells, -1.0)
    eligible[(names == PERCENT) & (cells <= numeric / 2)] = -1.0
    best = int(np.argmax(eligible))
    chosen = str(names[best])
    # Of "4M", "5M" and "3m" the last is the odd one.
    least = 0.0 if chosen in CURRENCIES else float(counts_V[scaled].sum())
    return chosen if eligible[best] > least else None


def _dressed(array: pa.Array, decimal: Decimal) -> tuple[Floats, NDArray[np.object_]]:
    values = np.full(len(array), np.nan)
    units = np.full(len(array), "", dtype=object)
    array = pc.replace_substring_regex(array, _MONEY_AHEAD, r"(\1\2)")  # $(7) is ($7)
    parts = pc.extract_regex(array, pattern=_PATTERNS[decimal])
    found = pc.is_valid(parts).to_numpy(zero_copy_only=False).astype(bool)
    if found.any():
        table = {
            field.name: pc.struct_field(parts, field.name).filter(pa.array(found))
            for field in parts.type
        }
        values[found], units[found] = _assembled(table, decimal)
    feet = _heights(array)
    taken = ~np.isnan(feet)
    return np.where(taken, feet, values), np.where(taken, "ft", units)


def _assembled(table: dict[str, pa.Array], decimal: Decimal) -> tuple[Floats, NDArray[np.object_]]:
    separators = r"[,' _]" if decimal == "." else r"[.' _]"
    figure = pc.replace_substring_regex(table["figure"], separators, "")
    figure = pc.replace_substring(figure, ",", ".")
    values = _cast(pc.binary_join_element_wise(figure, table["exponent"], ""))
    signs = pc.binary_join_element_wise(table["sign"], table["inner"], table["minus"], "")
    open_, close = (
        pc.not_equal(table[name], "").to_numpy(zero_copy_only=False).astype(bool)
        for name in ("open", "close")
    )
    n_signs = pc.utf8_length(signs).to_numpy(zero_copy_only=False)
    negative = pc.match_substring(signs, "-").to_numpy(zero_copy_only=False).astype(bool)
    # One sign at most, and brackets in pairs and without a sign.
    sound = (n_signs + open_ <= 1) & (open_ == close)
    values = np.where(negative | open_, -values, values)
    tails = pc.binary_join_element_wise(table["money"], table["tail"], "\t").dictionary_encode()
    meaning = [_meaning(*text.split("\t", 1)) for text in tails.dictionary.to_pylist()]
    codes = tails.indices.to_numpy(zero_copy_only=False)
    factor = np.array([f for f, _ in meaning], np.float64)[codes]
    units = np.array([u for _, u in meaning], dtype=object)[codes]
    return np.where(sound, values * factor, np.nan), units


def _meaning(money: str, tail: str) -> tuple[float, str]:
    """Factor and unit of what stands around a figure; factor NaN where it makes no sense."""
    tail = tail.strip()
    codes = [money] if money else []
    for length in _CODE_LENGTHS:
        if tail[-length:] in _CODES:
            codes.append(tail[-length:])
            tail = tail[:-length].strip()
            break
    if len(codes) > 1:
        return float("nan"), ""
    currency = _SYMBOLS.get(codes[0], codes[0]) if codes else ""
    if not tail:
        return 1.0, currency
    if tail == "%":
        return (0.01, PERCENT) if not codes else (float("nan"), "")
    scale = _SCALES.get(tail) or _SCALES.get(tail.lower() if len(tail) > 1 else tail)
    if scale is None and codes:
        scale = _MONEY_SCALES.get(tail)
    if scale is not None:
        return scale, currency or (SCALED if len(tail) == 1 else "")
    if codes:
        return float("nan"), ""
    word = tail.lower().rstrip(".").replace(" ", "").replace("sq.", "sq")
    if word in _UNITS:
        return 1.0, _UNITS[word]
    # One or two letters that are no known unit make a code ("12A").
    if len(word) < 3 or not word.isalpha():
        return float("nan"), ""
    return 1.0, word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _heights(array: pa.Array) -> Floats:
    """Feet of `5'7"` and `5 ft 7 in`; NaN elsewhere."""
    parts = pc.extract_regex(array, pattern=_HEIGHT)
    feet = pc.struct_field(parts, "feet")
    inches = pc.struct_field(parts, "inches")
    inches = pc.if_else(pc.equal(inches, ""), "0", inches)
    cast = (pc.cast(part, pa.float64()).fill_null(np.nan).to_numpy() for part in (feet, inches))
    whole, twelfths = cast
    return np.where(twelfths < 12, whole + twelfths / 12, np.nan)


def _cast(array: pa.Array) -> Floats:
    result: Floats = pc.cast(array, pa.float64()).to_numpy(zero_copy_only=False)
    return result


def _matches(array: pa.Array, pattern: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (
        pc.match_substring_regex(array, pattern).to_numpy(zero_copy_only=False).astype(bool)
    )
    return found
