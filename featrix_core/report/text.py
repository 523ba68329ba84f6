"""Numbers and texts as the report prints them."""

from __future__ import annotations

import html
import math


def shorten(text: str, limit: int) -> str:
    """`text` in one line of at most `limit` characters, cut with an ellipsis."""
    line = " ".join(str(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def number(value: object, digits: int = 4) -> str:
    """A number for reading: about `digits` significant digits, thousands separated, '–' if unknown.

    Texts come back as they are. The sign is a true minus.
    """
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    size = abs(value)
    if float(value).is_integer() and size < 1e15:
        text = f"{value:,.0f}"
    elif size >= 1e7 or size < 1e-4:
        text = f"{value:.{digits - 2}e}"
    else:
        decimals = min(max(digits - 1 - math.floor(math.log10(size)), 0), 4)
        text = f"{value:,.{decimals}f}"
    return text.replace("-", "−")


def plain(value: object, digits: int = 4) -> str:
    """A number without closing zeros, for running text and headlines: 0.31, not 0.3100."""
    text = number(value, digits)
    known = isinstance(value, int | float) and "." in text and "e" not in text
    return text.rstrip("0").rstrip(".") if known else text


def signed(value: float, digits: int = 4) -> str:
    """A number that always shows its sign."""
    text = number(value, digits)
    return text if value <= 0 or text == "–" else "+" + text


def percent(share: float | None) -> str:
    """A share as a percentage with at most one decimal."""
    if share is None or math.isnan(share):
        return "–"
    figure = 100.0 * share
    if 0.0 < figure < 0.1:
        return "< 0.1 %"
    return f"{figure:.1f}".removesuffix(".0") + " %"


def duration(seconds: float) -> str:
    """Wall-clock time: '0.4 s', '12 s', '3 min 20 s'."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def label(text: str, limit: int = 28) -> str:
    """A user's text for plotly, which reads a subset of HTML in labels: cut, then escaped."""
    return html.escape(shorten(text, limit))


def lines(text: str, limit: int = 160) -> str:
    """A user's text of several lines for plotly's hover boxes."""
    return "<br>".join(html.escape(part) for part in str(text)[:limit].split("\n"))
