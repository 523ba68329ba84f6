"""Parts of composite cells: what holds for every type, whatever the text (ENC-5)."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.metadata import distributions

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from featrix_core.tables.parts import PART_SPECS, fits, split_parts
from featrix_core.tables.parts.spec import listed
from featrix_core.tables.schema import ColumnType

TYPES = sorted(PART_SPECS)
GOOD = {
    ColumnType.EMAIL: "jane.doe@example.org",
    ColumnType.DOMAIN: "www.bbc.co.uk",
    ColumnType.URL: "https://docs.python.org/3/library/re.html#re.match",
    ColumnType.PHONE: "+44 20 7946 0958",
    ColumnType.ADDRESS: "350 5th Ave, New York, NY 10118",
}
# Pieces of which strange cells of each kind are made.
SCRAPS = st.sampled_from(
    tuple("@.:/?#[]()<>+-_ ,;%&='\"\\|*\n\t\0，。ßı٣²﷽😀\u0301\u202e\ud800")
    + listed("www com co.uk http:// mailto: xn-- xn--a [::1] 1.2.3.4 :99999 %ff 00 +1 555 x12 ext")
    + listed("st Main NY 10001 USA Apt POBox D-10115 straße ٢٠٢٤ 中国 भारत #5 A1B2C3")
    + ("PO Box", "a" * 70, "9" * 20, "xn--" + "9" * 30)
)
ANYTHING = st.one_of(st.text(max_size=60), st.lists(SCRAPS, max_size=12).map("".join))


@pytest.mark.parametrize("type", TYPES)
def test_names_and_words_of_a_spec_are_unique(type: ColumnType) -> None:
    spec = PART_SPECS[type]
    names = [*spec.pieces, *(name for name, _ in spec.categories), *spec.figures]
    assert len(names) == len(set(names))
    for name, words in spec.categories:
        assert words and len(words) == len(set(words)) and "" not in words, name


@pytest.mark.parametrize("type", TYPES)
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(ANYTHING, max_size=5))
@example(texts=[])
@example(texts=["", " ", "\0", "\ud800@\ud800.com", "http://[", "//", "mailto:", "a@[IPv6:::1]"])
def test_any_text_gives_parts_of_the_right_shape_and_scale(
    type: ColumnType, texts: list[str]
) -> None:
    spec, parts = PART_SPECS[type], split_parts(type, texts)
    n = len(texts)
    assert [len(piece) for piece in parts.pieces_VP] == [n] * len(spec.pieces)
    assert parts.categories_VQ.shape == (n, len(spec.categories))
    assert parts.figures_VG.shape == (n, len(spec.figures))
    assert parts.categories_VQ.dtype == np.int64 and parts.figures_VG.dtype == np.float32
    sizes = np.array([len(words) for _, words in spec.categories])
    assert (parts.categories_VQ >= 0).all() and (parts.categories_VQ <= sizes).all()
    assert np.isfinite(parts.figures_VG).all() and (np.abs(parts.figures_VG) <= 1.0).all()
    for piece in parts.pieces_VP:
        for text in piece:
            assert len(text) <= 256
            text.encode("utf-8")  # the sentence model's tokenizer needs that
    for v in np.flatnonzero(~parts.fits_V):
        assert all(piece[v] == "" for piece in parts.pieces_VP)
        assert not parts.categories_VQ[v].any() and not parts.figures_VG[v].any()
    strict, lenient = fits(type, texts), fits(type, texts, lenient=True)
    assert strict.shape == lenient.shape == (n,)
    assert (lenient | ~strict).all()


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize(
    "scrap",
    ["a", "1", "1 ", "a.", "@", "<", "(", "/", "1-", ", ", "st ", "#1 ", "+1", "[:", "%4", "xn--"],
)
def test_a_text_of_100_000_letters_is_read_in_no_time(type: ColumnType, scrap: str) -> None:
    text = (GOOD[type] + scrap * 100_000)[:100_000]
    started = time.monotonic()
    parts = split_parts(type, [text, GOOD[type]])
    assert parts.fits_V[1]
    assert fits(type, [text, GOOD[type]])[1]
    assert time.monotonic() - started < 5.0  # some milliseconds, unless a pattern backtracks


@pytest.mark.parametrize("type", TYPES)
def test_parts_depend_on_the_text_alone(type: ColumnType) -> None:
    texts = [*GOOD.values(), "", "nothing of this kind"]
    together = split_parts(type, texts)
    for v, text in enumerate(texts):
        alone = split_parts(type, [text])
        assert alone.pieces_VP == tuple((piece[v],) for piece in together.pieces_VP)
        np.testing.assert_array_equal(alone.categories_VQ[0], together.categories_VQ[v])
        np.testing.assert_array_equal(alone.figures_VG[0], together.figures_VG[v])


@pytest.mark.parametrize("type", TYPES)
def test_blanks_around_a_text_do_not_matter(type: ColumnType) -> None:
    parts = split_parts(type, [GOOD[type], f"\t {GOOD[type]} \n"])
    assert parts.fits_V.all()
    assert all(piece[0] == piece[1] for piece in parts.pieces_VP)
    np.testing.assert_array_equal(parts.figures_VG[0], parts.figures_VG[1])


def test_other_types_have_no_parts() -> None:
    with pytest.raises(ValueError, match="scalar is not a composite type"):
        split_parts(ColumnType.SCALAR, ["1"])
    with pytest.raises(ValueError, match="set is not a composite type"):
        fits(ColumnType.SET, ["a"])


def test_the_libraries_are_loaded_late() -> None:
    code = (
        "import sys, featrix_core.tables.parts\n"
        "late = {'phonenumbers', 'tldextract', 'email_validator', 'torch'} & set(sys.modules)\n"
        "print(sorted(late))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def metadata(*names: str) -> list[str]:
    """Values of fields in the metadata of the packages that are installed."""
    found = {
        value
        for dist in distributions()
        for name in names
        for value in dist.metadata.get_all(name) or []
    }
    return sorted(found)


def test_links_of_installed_packages() -> None:
    links = [text.rpartition(", ")[2].strip() for text in metadata("Project-URL", "Home-page")]
    links = sorted({link for link in links if link.startswith("http")})
    assert len(links) > 100
    assert fits(ColumnType.URL, links).all()
    parts = split_parts(ColumnType.URL, links)
    assert parts.fits_V.all()
    main = parts.pieces_VP[PART_SPECS[ColumnType.URL].pieces.index("main")]
    on_github = [v for v, link in enumerate(links) if link.startswith("https://github.com/")]
    assert len(on_github) > 30 and all(main[v] == "github" for v in on_github)


def test_authors_of_installed_packages() -> None:
    from email_validator import validate_email

    authors = [text.strip() for text in metadata("Author-email") if text.count("@") == 1]
    authors = [text for text in authors if "," not in text]
    assert len(authors) > 20
    parts = split_parts(ColumnType.EMAIL, authors)
    assert parts.fits_V.all(), [
        text for text, fit in zip(authors, parts.fits_V, strict=True) if not fit
    ]
    assert fits(ColumnType.EMAIL, authors, lenient=True).all()
    # The pattern for plain addresses and the validator agree.
    plain = [text for text in authors if "<" not in text]
    for text in plain:
        found = validate_email(text, check_deliverability=False)
        words = split_parts(ColumnType.EMAIL, [text]).pieces_VP[0][0].split()
        assert all(word in found.local_part for word in words)
