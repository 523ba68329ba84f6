"""Parts of host names (ENC-5): subdomain, registered name, suffix; the public-suffix list that
tldextract ships is read from disk, and nothing asks the network."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from featrix_core.tables.parts.mail_lists import FREE_MAIL_BRANDS, FREE_MAIL_DOMAINS
from featrix_core.tables.parts.spec import (
    MAX_PIECE,
    YES_NO,
    PartSpec,
    Row,
    listed,
    scaled,
    yes_no,
)

if TYPE_CHECKING:
    from tldextract import TLDExtract

SUFFIXES = listed("com org net edu gov info io co ai uk de fr nl it br in jp au ca ru eu")
"""Top-level domains with a code of their own."""
SUFFIX_TYPES = ("generic", "country", "new", "private", "infrastructure", "ip")
"""Private: names under a company's own suffix, such as `someone.github.io`."""
SECTORS = ("commercial", "academic", "government", "military", "organisation", "network")

HOST_PIECES = ("subdomain", "main")
HOST_CATEGORIES = (
    ("suffix", SUFFIXES),
    ("suffix_type", SUFFIX_TYPES),
    ("sector", SECTORS),
    ("free_mail", YES_NO),
)
HOST_FIGURES = ("labels", "host_length")
SPEC = PartSpec(HOST_PIECES, HOST_CATEGORIES, HOST_FIGURES)

_GENERIC = frozenset(
    listed(
        "com org net edu gov mil int info biz name pro aero asia cat coop jobs mobi museum post tel "
        "travel xxx"
    )
)
_INFRASTRUCTURE = frozenset(
    listed(
        "arpa local localhost localdomain internal lan home intranet corp test example invalid onion "
        "alt"
    )
)
_COUNTRY_SCRIPTS = frozenset(
    listed(
        "рф бг бел ею мкд мон срб укр қаз հայ ελ ευ გე ישראל ایران السعودية مصر المغرب الجزائر تونس "
        "الاردن امارات عمان قطر سورية فلسطين سودان العراق اليمن موريتانيا پاکستان بھارت بارت भारत "
        "भारतम् भारोत ভাৰত ভারত বাংলা ਭਾਰਤ ભારત ଭାରତ இந்தியா இலங்கை சிங்கப்பூர் భారత్ ಭಾರತ ഭാരതം ලංකා ไทย ລາວ "
        "한국 中国 中國 台湾 台灣 香港 澳门 澳門 新加坡 مليسيا البحرين"
    )
)
# As the whole suffix or, for those that are also countries' suffixes, before a country's own.
_SECTOR = {
    "com": "commercial",
    "biz": "commercial",
    "edu": "academic",
    "gov": "government",
    "gouv": "government",
    "gob": "government",
    "gub": "government",
    "mil": "military",
    "org": "organisation",
    "ngo": "organisation",
    "int": "organisation",
    "net": "network",
}
_SECTOR_SECOND = {
    "co": "commercial",
    "ltd": "commercial",
    "plc": "commercial",
    "ac": "academic",
    "sch": "academic",
    "go": "government",
    "nhs": "government",
    "govt": "government",
    "mod": "military",
    "or": "organisation",
    "ne": "network",
}
# Letters of every script with their marks; of ASCII only letters, digits, "-" and "_".
_LABEL = re.compile(r"\*|(?!-)[^\x00-,./:-@\[-^`{-\xa0\s]+(?<!-)")
_SEPARATORS = re.compile(r"[\s_.,;:!?/\\|=&+*#@^~<>()\[\]{}\"$-]+")
_MAX_HOST = 253


def words(text: str) -> str:
    """A name as words for the sentence model: separators become blanks."""
    return _SEPARATORS.sub(" ", text[: 2 * MAX_PIECE]).strip()[:MAX_PIECE]


class Host(NamedTuple):
    """A host name's parts in lower case.

    `public`: a name under a public suffix, a network address or a name of local networks.
    """

    row: Row
    public: bool


@lru_cache(maxsize=1)
def _extract() -> TLDExtract:
    from tldextract import TLDExtract

    return TLDExtract(suffix_list_urls=(), cache_dir=None)


@lru_cache(maxsize=1)
def _top_levels() -> frozenset[str]:
    return frozenset(suffix.rpartition(".")[2] for suffix in _extract().tlds)


@lru_cache(maxsize=4096)
def top_level(label: str) -> bool:
    """Whether `label` is a top-level domain of the public-suffix list."""
    return readable(label.lower()) in _top_levels() or label.lower() in _top_levels()


def readable(label: str) -> str:
    """A label in its own script: `xn--mnchen-3ya` → `münchen`; others and broken ones as is."""
    if not label.startswith("xn--") or len(label) > 63 or not label.isascii():
        return label
    try:
        decoded = label[4:].encode("ascii").decode("punycode").lower()
        decoded.encode("utf-8")  # half of a surrogate pair is no letter
    except (UnicodeError, ValueError):
        return label
    return decoded


def parse_host(name: str) -> Host | None:
    """Parts of a host name or network address (no scheme, port or path); None if it is neither."""
    return _parse_host(name) if len(name) <= _MAX_HOST + 2 else None


@lru_cache(maxsize=32_768)
def _parse_host(name: str) -> Host | None:
    name = name.strip().lower().translate(_DOTS).rstrip(".")
    address = _address(name)
    if address is not None:
        return address
    labels = tuple(readable(label) for label in name.split("."))
    if len(name) > _MAX_HOST or not all(
        len(label) <= 63 and _LABEL.fullmatch(label) for label in labels
    ):
        return None
    top = labels[-1]
    if top.isdigit():
        return None
    joined = ".".join(labels)
    if top in _INFRASTRUCTURE:
        suffix, kind = top, "infrastructure"
        main, sub = (labels[-2] if len(labels) > 1 else top), ".".join(labels[:-2])
        public = True
    else:
        # Names under a company's suffix keep that company as their main part: nothing is lost.
        extract = _extract()
        private = extract.extract_str(joined, include_psl_private_domains=True).is_private
        found = extract.extract_str(joined)
        main, sub, suffix = found.domain, found.subdomain, found.suffix
        public = bool(main and suffix)
        kind = "private" if private else _kind(top) if suffix else ""
    free = f"{main}.{suffix}" in FREE_MAIL_DOMAINS or (
        main in FREE_MAIL_BRANDS and (suffix == "com" or kind == "country")
    )
    row = Row(
        pieces=(words(sub), words(main)),
        categories=(top, kind, _sector(suffix) if public else "", yes_no(free)),
        figures=(scaled(len(labels), 10), scaled(len(joined), 100)),
    )
    return Host(row, public)


_DOTS = str.maketrans(dict.fromkeys("。.。", "."))


def _address(name: str) -> Host | None:
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if not bare or not (bare[0].isdigit() or ":" in bare) or len(bare) > 60:
        return None
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    figures = (scaled(4 if address.version == 4 else 8, 10), scaled(len(bare), 100))
    return Host(Row(("", bare), ("", "ip", "", "no"), figures), True)


def _kind(top: str) -> str:
    if top in _GENERIC:
        return "generic"
    return "country" if (len(top) == 2 and top.isascii()) or top in _COUNTRY_SCRIPTS else "new"


def _sector(suffix: str) -> str:
    first, _, rest = suffix.partition(".")
    return _SECTOR.get(first) or (_SECTOR_SECOND.get(first, "") if rest else "")


_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,20}://", re.I)


def host_of(text: str) -> str:
    """The host inside of a domain cell: without scheme, user, port, path and a leading `@`."""
    text = _SCHEME.sub("", text, count=1)
    text = re.split(r"[/?#]", text, maxsplit=1)[0].rpartition("@")[2]
    name, colon, port = text.rpartition(":")
    if colon and port.isdigit() and (name.endswith("]") or ":" not in name):
        text = name
    return text


def split_domain(text: str) -> Row | None:
    """Parts of a domain cell; None unless it is a network address or has a public suffix."""
    host = parse_host(host_of(text)) if text else None
    return host.row if host is not None and host.public else None
