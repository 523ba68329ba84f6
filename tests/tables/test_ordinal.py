"""Orders of categories: scales, ranges, numbered levels (DATA-2)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from featrix_core.tables.ordinal import find_order, forced_order, levels_of
from featrix_core.tables.scales import SCALES, normalised
from featrix_core.tables.texts import DistinctTexts, distinct_texts

ORDERS = [
    "low|medium|high",
    "Low|Medium|High|Very_High",
    "Fair|Good|Very Good|Premium|Ideal",
    "Po|Fa|TA|Gd|Ex",
    "Strongly disagree|Disagree|Neutral|Agree|Strongly agree",
    "never|rarely|sometimes|often|always",
    "XS|S|M|L|XL|XXL",
    "small|medium|large",
    "small_airport|medium_airport|large_airport",
    "Preschool|1st-4th|9th|HS-grad|Some-college|Bachelors|Masters|Doctorate",
    "Below_College|College|Bachelor|Master|Doctor",
    "primary|secondary|tertiary",
    "jan|feb|march|Sept|DEC",
    "Mon|Tue|Wed|Thu|Fri|Sat|Sun",
    "I|II|III|IV|IX",
    "1st|2nd|3rd|10th",
    "first|second|third",
    "Q1|Q2|Q3|Q4",
    "Level 1|Level 2|Level 10",
    "0 - none|1 - some|2 - all",
    "F|C|B-|B|A|A+",
    "10-19|20-29|30-64|65+",
    "<5|5-9|10+",
    "Under 15K|15-24K|25-34K|100-124K|250K+",
    "less than 1 year|1 year|2 years|10+ years",
    "<1|1<=X<4|4<=X<7|>=7",
    "(0, 10]|(10, 20]|(20, 30]",
    "$0 - $9,999|$10,000 - $19,999|$20,000 and over",
    "0|1|2|3+",
    "none|minor|moderate|severe|critical",
    "bronze|silver|gold",
    "debug|info|warning|error",
    "I1|SI2|SI1|VS2|VS1|VVS2|VVS1|IF",
    "month-to-month|one year|two year",
    "1990s|2000s|2010s",
]
NO_ORDERS = [
    "red|green|blue",
    "S|C|Q",
    "A|B|AB|O",
    "A|B|C|D",
    "male|female|other",
    "single|married|divorced",
    "3-2|1-0|0-4|2-2",
    "1|2|3",
    "1e-7|0.1|2.5",
    "low|high",
    "12 Main Street|13 Hill Road|14 Lake View",
    "1.5Fin|2Story|1Story",
    "Excellent|Outstanding",
    "good|red|blue|green|white",
]


def column(values: str) -> DistinctTexts:
    return distinct_texts(pa.array(values.split("|") * 4))


@pytest.mark.parametrize("values", ORDERS)
def test_orders(values: str) -> None:
    texts = column(values)
    order = find_order(texts, "x")
    assert order is not None and order.share == 1.0
    levels = dict(zip(texts.values, levels_of(texts.values, order.keys_V), strict=True))
    assert sorted(levels, key=lambda value: levels[value]) == values.split("|")
    np.testing.assert_allclose(sorted(levels.values()), np.linspace(0.0, 1.0, len(levels)))


@pytest.mark.parametrize("values", NO_ORDERS)
def test_no_orders(values: str) -> None:
    assert find_order(column(values), "x") is None


def test_some_scales_need_the_name() -> None:
    bonds = column("AA|AAA|A|BBB")
    order = find_order(bonds, "credit_rating")
    assert order is not None
    assert [bonds.values[v] for v in np.argsort(order.keys_V)] == ["BBB", "A", "AA", "AAA"]
    colours = column("D|E|F|G|J")
    assert find_order(colours, "x") is None
    assert find_order(colours, "color") is not None


def test_values_off_the_scale_lie_in_the_middle() -> None:
    texts = distinct_texts(pa.array(["<1"] * 10 + ["1-4"] * 20 + ["5+"] * 10 + ["unemployed"] * 2))
    order = find_order(texts, "x")
    assert order is not None and 0.9 < order.share < 1.0
    levels = dict(zip(texts.values, levels_of(texts.values, order.keys_V), strict=True))
    assert levels == {"<1": 0.0, "1-4": 0.5, "5+": 1.0, "unemployed": 0.5}
    too_many = distinct_texts(pa.array(["<1"] * 10 + ["1-4"] * 20 + ["5+"] * 10 + ["none yet"] * 9))
    assert find_order(too_many, "x") is None


def test_an_order_on_request() -> None:
    numbers = forced_order(column("3|1|20"), "x")
    assert numbers is not None and numbers.keys_V.tolist() == [1.0, 20.0, 3.0]
    pair = forced_order(column("high|low"), "x")
    assert pair is not None and pair.keys_V[0] > pair.keys_V[1]
    assert forced_order(column("red|green|blue"), "x") is None


def test_every_scale_has_three_places_and_normal_words() -> None:
    for scale in SCALES:
        assert len(set(scale.places.values())) >= 3, scale.name
        assert all(word == normalised(word) for word in scale.places), scale.name
