"""Realistic cells of every composite type and the parts they must give (ENC-5)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featrix_core.tables.parts import PART_SPECS, fits, guess_phone_region, split_parts
from featrix_core.tables.schema import ColumnType

EXAMPLES = Path(__file__).parents[2] / "examples" / "data"


def parts_of(type: ColumnType, text: str, region: str = "US") -> dict[str, str | float] | None:
    """Parts by name; None if the text does not fit. Unknown categories and no pieces are ""."""
    spec, parts = PART_SPECS[type], split_parts(type, [text], region)
    if not parts.fits_V[0]:
        return None
    found: dict[str, str | float] = {}
    for name, piece in zip(spec.pieces, parts.pieces_VP, strict=True):
        found[name] = piece[0]
    for (name, words), code in zip(spec.categories, parts.categories_VQ[0], strict=True):
        found[name] = words[code - 1] if code else ""
    for name, figure in zip(spec.figures, parts.figures_VG[0], strict=True):
        found[name] = float(figure)
    return found


def check(
    type: ColumnType, text: str, expected: dict[str, str | float], region: str = "US"
) -> None:
    found = parts_of(type, text, region)
    assert found is not None, text
    assert {name: found[name] for name in expected} == pytest.approx(expected), text


DOMAINS: dict[str, dict[str, str | float]] = {
    "example.com": {"main": "example", "subdomain": "", "suffix": "com", "suffix_type": "generic"},
    "www.bbc.co.uk": {
        "subdomain": "www",
        "main": "bbc",
        "suffix": "uk",
        "suffix_type": "country",
        "sector": "commercial",
    },
    "cs.ox.ac.uk": {"subdomain": "cs", "main": "ox", "sector": "academic"},
    "www.whitehouse.gov": {"main": "whitehouse", "suffix": "gov", "sector": "government"},
    "shop.my-store.app": {
        "subdomain": "shop",
        "main": "my store",
        "suffix_type": "new",
        "suffix": "",
    },
    "xn--mnchen-3ya.de": {"main": "münchen", "suffix": "de"},
    "münchen.de": {"main": "münchen", "suffix": "de"},
    "почта.рф": {"main": "почта", "suffix_type": "country"},
    "octocat.github.io": {"subdomain": "octocat", "main": "github", "suffix_type": "private"},
    "192.168.1.1": {"main": "192.168.1.1", "suffix_type": "ip", "suffix": ""},
    "[2001:db8::1]:443": {"main": "2001:db8::1", "suffix_type": "ip"},
    "localhost": {"main": "localhost", "suffix_type": "infrastructure"},
    "printer.local": {"main": "printer", "suffix_type": "infrastructure"},
    "GMAIL.com.": {"main": "gmail", "free_mail": "yes"},
    "yahoo.co.jp": {"main": "yahoo", "free_mail": "yes", "suffix": "jp"},
    "yahoo.net": {"main": "yahoo", "free_mail": "no"},
    "http://user:pw@www.example.org:8080/a?b": {"subdomain": "www", "main": "example"},
    "_dmarc.example.com": {"subdomain": "dmarc", "main": "example"},
}
EMAILS: dict[str, dict[str, str | float]] = {
    "john.smith42@gmail.com": {
        "local": "john smith",
        "main": "gmail",
        "suffix": "com",
        "role": "personal",
        "free_mail": "yes",
        "local_digits": 2 * 2 / 12 - 1,
        "plus_tag": -1.0,
    },
    "user@company.com": {"main": "company", "suffix": "com", "free_mail": "no"},
    "info@siemens.de": {"role": "info", "suffix_type": "country", "free_mail": "no"},
    "No-Reply+42@mail.example.co.uk": {
        "local": "No Reply",
        "role": "noreply",
        "subdomain": "mail",
        "plus_tag": 1.0,
    },
    "sales.emea@acme.io": {"role": "sales", "local": "sales emea"},
    "Jane Doe <jane@acme.io>": {"local": "jane", "main": "acme"},
    "mailto:jane@acme.io?subject=hi": {"local": "jane", "main": "acme"},
    "josé@exämple.com": {"local": "josé", "main": "exämple"},
    '"odd name"@example.org': {"local": "odd name", "main": "example"},
    "12345@qq.com": {"local": "", "local_digits": 1.0, "free_mail": "yes"},
    "root@localhost": {"role": "admin", "suffix_type": "infrastructure"},
    "a@[127.0.0.1]": {"suffix_type": "ip"},
}
URLS: dict[str, dict[str, str | float]] = {
    "https://example.com/path?query=value": {
        "protocol": "https",
        "main": "example",
        "endpoint": "path",
        "path": "",
        "query": "query value",
    },
    "https://www.amazon.co.uk/Some-Product/dp/B00X.html?ref=sr_1&k=two+words#top": {
        "subdomain": "www",
        "main": "amazon",
        "suffix": "uk",
        "path": "Some Product dp",
        "endpoint": "B00X",
        "extension": "page",
        "query": "ref sr 1 k two words",
        "fragment": 1.0,
        "port": -1.0,
    },
    "example.com/a/b.pdf": {"protocol": "none", "endpoint": "b", "extension": "document"},
    "www.example.com": {"protocol": "none", "main": "example", "depth": -1.0},
    "http://localhost:8080/": {"suffix_type": "infrastructure", "port": 1.0, "endpoint": ""},
    "example.com:8080/x": {"main": "example", "port": 1.0, "endpoint": "x"},
    "https://de.wikipedia.org/wiki/M%C3%BCnchen": {"endpoint": "München", "path": "wiki"},
    "ftp://ftp.example.org/pub/": {"protocol": "ftp", "endpoint": "pub", "extension": "none"},
    "s3://bucket/2024/part.parquet": {"protocol": "s3", "main": "bucket", "extension": "data"},
    "mailto:jane@acme.io": {"protocol": "mailto", "main": "acme", "endpoint": "jane"},
    "/shop/cart.php?id=3": {"protocol": "none", "main": "", "path": "shop", "extension": "page"},
    "https://example.com/x.dwg": {"endpoint": "x", "extension": ""},
    "http://93.184.216.34/index.html": {"suffix_type": "ip", "endpoint": "index"},
}
PHONES: dict[tuple[str, str], dict[str, str | float]] = {
    ("+1-415-555-2671", "US"): {
        "area": "San Francisco, CA",
        "country_code": "1",
        "valid": 1.0,
        "international": 1.0,
        "extension": -1.0,
        "area_1": 4 / 4.5 - 1,
        "area_2": 1 / 4.5 - 1,
        "area_3": 5 / 4.5 - 1,
        "next_1": 5 / 4.5 - 1,
    },
    ("(415) 555-2671 ext. 12", "US"): {"extension": 1.0, "international": -1.0},
    ("4155552671", "US"): {"area": "San Francisco, CA"},
    ("415.555.2671", "US"): {"area": "San Francisco, CA"},
    ("+1-555-123-4567", "US"): {"valid": -1.0, "area": "area code 555", "area_1": 5 / 4.5 - 1},
    ("1-800-356-9377", "US"): {"kind": "toll_free", "area": "area code 800"},
    ("1-800-FLOWERS", "US"): {"kind": "toll_free"},
    ("020 7946 0958", "GB"): {"area": "London", "country_code": "44"},
    ("+33 6 12 34 56 78", "US"): {"kind": "mobile", "country_code": "33", "area": "France"},
    ("0171/1234567", "DE"): {"kind": "mobile", "country_code": "49"},
    ("0049 89 1234567", "US"): {"area": "Munich", "international": 1.0},
    ("tel:+81-3-1234-5678", "US"): {"area": "Tokyo", "country_code": "81"},
    ("Tel.: (415) 555-2671", "US"): {"country_code": "1", "valid": 1.0},
    ("＋１ ４１５ ５５５ ２６７１", "US"): {"area": "San Francisco, CA"},
}
ADDRESSES: dict[str, dict[str, str | float]] = {
    "123 Main St, NYC, NY 10001": {
        "street": "Main St",
        "city": "NYC",
        "region": "NY",
        "country": "us",
        "street_type": "street",
        "unit": "no",
        "po_box": "no",
        "postcode_1": 1 / 4.5 - 1,
        "postcode_2": -1.0,
    },
    "123 Main St Springfield IL 62704": {
        "street": "Main St",
        "city": "Springfield",
        "region": "IL",
    },
    "350 5th Ave, Apt 4B, New York, NY 10118-0110": {
        "street": "5th Ave",
        "city": "New York",
        "unit": "yes",
        "street_type": "avenue",
    },
    "5th Ave, New York, NY": {"street": "5th Ave", "house_number": 0.0, "region": "NY"},
    "456 Elm St.\nSuite 200\nAustin, Texas 78701": {
        "city": "Austin",
        "region": "TX",
        "unit": "yes",
    },
    "1600 Pennsylvania Avenue NW, Washington, DC 20500, USA": {
        "street": "Pennsylvania Avenue NW",
        "city": "Washington",
        "region": "DC",
    },
    "PO Box 12, Bend, OR 97701": {"po_box": "yes", "city": "Bend", "region": "OR", "street": ""},
    "Acme Inc., 5 W 34th St., New York, NY": {"street": "W 34th St", "rest": "Acme Inc"},
    "742 Evergreen Terrace": {"street": "Evergreen Terrace", "city": "", "street_type": "terrace"},
    "12 Oak Street NE": {"street": "Oak Street NE", "region": ""},
    "5 Broadway, New York": {"city": "New York", "region": ""},
    "100 Main St, Portland, Maine": {"city": "Portland", "region": "ME"},
    "100 Queen St W, Toronto, ON M5H 2N2, Canada": {
        "city": "Toronto",
        "region": "ON",
        "country": "ca",
    },
    "Flat 3, 221B Baker St, London NW1 6XE": {"city": "London", "country": "gb", "unit": "yes"},
    "Hauptstraße 12, 10115 Berlin, Germany": {
        "street": "Hauptstraße",
        "city": "Berlin",
        "country": "de",
        "street_type": "strasse",
        "postcode_1": 1 / 4.5 - 1,
    },
    "D-80331 München, Marienplatz 8": {"city": "München", "country": "de", "street": "Marienplatz"},
    "12 rue de la Paix, 75002 Paris, France": {"street": "rue de la Paix", "street_type": "rue"},
    "Calle Mayor 5, 28013 Madrid, España": {"city": "Madrid", "country": "es"},
    "Damrak 1, 1012 LG Amsterdam": {"city": "Amsterdam", "country": "nl"},
    "1-2-3 Shibuya, Tokyo 150-0002, Japan": {"street": "Shibuya", "city": "Tokyo", "country": "jp"},
}


@pytest.mark.parametrize("text", DOMAINS)
def test_domains(text: str) -> None:
    check(ColumnType.DOMAIN, text, DOMAINS[text])


@pytest.mark.parametrize("text", EMAILS)
def test_emails(text: str) -> None:
    check(ColumnType.EMAIL, text, EMAILS[text])


@pytest.mark.parametrize("text", URLS)
def test_urls(text: str) -> None:
    check(ColumnType.URL, text, URLS[text])


@pytest.mark.parametrize(("text", "region"), PHONES)
def test_phones(text: str, region: str) -> None:
    check(ColumnType.PHONE, text, PHONES[text, region], region)


@pytest.mark.parametrize("text", ADDRESSES)
def test_addresses(text: str) -> None:
    check(ColumnType.ADDRESS, text, ADDRESSES[text])


NOT = {
    ColumnType.DOMAIN: [
        "hello",
        "hello world",
        "3.5",
        "node.js",
        "",
        "a..com",
        "-a.com",
        "1.2.3",
        "uk",
    ],
    ColumnType.EMAIL: ["jane", "a@b@c.com", "@example.com", "a@x.com; b@y.com", "a b@c.com", ""],
    ColumnType.URL: [
        "hello",
        "and/or",
        "km/h",
        "javascript:alert(1)",
        "http://",
        "N/A",
    ],
    ColumnType.PHONE: ["hello", "12", "2020-01-15", "", "123456789012345678"],
    ColumnType.ADDRESS: ["", "12345", "Oxford", "---", "?"],
}


@pytest.mark.parametrize(("type", "text"), [(type, text) for type in NOT for text in NOT[type]])
def test_other_texts_are_unparsed(type: ColumnType, text: str) -> None:
    assert parts_of(type, text) is None
    assert not fits(type, [text])[0]


def test_what_looks_right_may_still_be_wrong() -> None:
    assert (
        fits(ColumnType.URL, ["http://[::1"])[0] and parts_of(ColumnType.URL, "http://[::1") is None
    )
    wrong_country = "+999 123456"
    assert fits(ColumnType.PHONE, [wrong_country])[0]
    assert parts_of(ColumnType.PHONE, wrong_country) is None
    assert fits(ColumnType.DOMAIN, ["co.uk"])[0] and parts_of(ColumnType.DOMAIN, "co.uk") is None


def test_figures_grow_with_what_they_count() -> None:
    spec = PART_SPECS[ColumnType.URL].figures
    urls = [
        f"https://example.com/{'a/' * n}?{'&'.join(f'k{i}=1' for i in range(n))}" for n in range(9)
    ]
    figures = split_parts(ColumnType.URL, urls).figures_VG
    for name in ("depth", "parameters", "length"):
        assert (np.diff(figures[:, spec.index(name)]) > 0).all(), name
    streets = [f"{number} Main St" for number in (1, 10, 100, 1000, 10_000)]
    houses = split_parts(ColumnType.ADDRESS, streets).figures_VG[:, 0]
    assert (np.diff(houses) > 0.25).all()


STRICT = {
    ColumnType.DOMAIN: ["example.com", "www.bbc.co.uk", "münchen.de", "XN--MNCHEN-3YA.DE", "a.рф"],
    ColumnType.EMAIL: ["a@b.com", "john.o'neil+x@mail.co.uk", "josé@exämple.com", "mailto:a@b.de"],
    ColumnType.URL: ["HTTPS://x.com/a?b=1", "example.com/path", "www.x.com", "s3://b/k"],
    ColumnType.PHONE: [
        *(
            "+1-555-123-4567",
            "(415) 555-1234",
            "415-555-1234 x12",
            "415.555.1234",
            "06 12 34 56 78",
        ),
        *("020 7946 0958", "+49 30 123456", "030/1234567", "1-800-356-9377", "+5511912345678"),
    ],
    ColumnType.ADDRESS: [
        *(
            "123 Main St, NYC, NY 10001",
            "12 rue de la Paix, 75002 Paris",
            "Hauptstraße 12, 10115 Berlin",
        ),
        *("PO Box 12", "Calle Mayor 5, Madrid", "10 Downing Street, London SW1A 2AA", "1 Elm Rd"),
    ],
}
LENIENT = {
    ColumnType.DOMAIN: [],
    ColumnType.EMAIL: ["Jane <jane@acme.io>", "root@srv7.corp"],
    ColumnType.URL: ["example.com", "/shop/cart.php?id=3"],
    ColumnType.PHONE: ["4155552671", "02079460958"],
    ColumnType.ADDRESS: ["Unit 5 The Maltings", "Plot 12 Sector 4 Gurgaon"],
}
NEITHER = {
    ColumnType.DOMAIN: ["hello", "3.5", "node.js", "U.S.", "192.168.1.1", "2024.01.02"],
    ColumnType.EMAIL: ["@jane", "jane", "a b@c.com", "a@b@c.com"],
    ColumnType.URL: ["km/h", "and/or", "N/A", "hello", "1/2"],
    ColumnType.PHONE: [
        *("2020-01-15", "01/02/2020", "123-45-6789", "192.168.1.1", "1 234 567", "12345-6789"),
        *("978-3-16-148410-0", "1990-2000", "1.234567", "+5", "(1) 2", "-122.4194", "12:30:00"),
    ],
    ColumnType.ADDRESS: ["Main Street", "hello", "12345", "St."],
}


@pytest.mark.parametrize("type", sorted(STRICT))
def test_checks_before_the_type_is_known(type: ColumnType) -> None:
    strict, lenient, neither = STRICT[type], LENIENT[type], NEITHER[type]
    texts = [*strict, *lenient, *neither]
    assert fits(type, texts).tolist() == [text in strict for text in texts]
    assert fits(type, texts, lenient=True).tolist() == [text not in neither for text in texts]


def test_words_of_trade_are_no_addresses() -> None:
    texts = [
        "3 days a week on the road",
        "Engineering 101",
        "Spring 2020",
        "5 stars",
        "2 way radio",
    ]
    assert fits(ColumnType.ADDRESS, texts).mean() <= 0.2


def test_columns_of_the_example_data_are_of_no_composite_type() -> None:
    frames = [pd.read_csv(EXAMPLES / "german_credit.csv", dtype=str)]
    frames += [pd.read_parquet(path) for path in sorted((EXAMPLES / "flights").glob("*.parquet"))]
    n_columns = 0
    for frame in frames:
        for name in frame:
            texts = frame[name].dropna().astype(str).unique()[:1000].tolist()
            n_columns += 1
            for type in PART_SPECS:
                assert fits(type, texts).mean() < 0.01, (name, type)
    assert n_columns > 40


@pytest.mark.parametrize(
    ("texts", "region"),
    [
        (["(415) 555-2671", "212-736-5000"], "US"),
        (["555-123-4567", "555-987-6543"], "US"),
        (["4155552671", "2127365000"], "US"),
        (["020 7946 0958", "07911 123456", "0161 496 0000"], "GB"),
        (["06 12 34 56 78", "01 42 68 53 00"], "FR"),
        (["030 901820", "0171 1234567", "089 12345678"], "DE"),
        (["9876543210", "9812345678"], "IN"),
        (["03-3581-0101", "090-1234-5678"], "JP"),
        (["(11) 91234-5678", "(21) 2123-4567"], "BR"),
        (["0412 345 678", "(02) 9374 4000"], "AU"),
        (["+49 30 901820", "+49 89 123456", "+33 1 42 68 53 00"], "DE"),
        (["hello", ""], "US"),
        ([], "US"),
    ],
)
def test_the_region_of_a_column_of_phone_numbers(texts: list[str], region: str) -> None:
    assert guess_phone_region(texts) == region
    assert guess_phone_region(texts * 300) == region  # of a long column a sample is looked at


def test_the_region_decides_how_national_numbers_are_read() -> None:
    british, american = "020 7946 0958", "(415) 555-2671"
    assert parts_of(ColumnType.PHONE, british, "GB") is not None
    assert split_parts(ColumnType.PHONE, [british, american], "US").fits_V.tolist() == [False, True]
    with pytest.raises(ValueError, match="'XX' is no known region"):
        split_parts(ColumnType.PHONE, [british], "XX")
