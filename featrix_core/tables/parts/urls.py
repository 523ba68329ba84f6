"""Parts of URLs (ENC-5): protocol, the domain's parts, path, endpoint and query."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, unquote_plus, urlsplit

from featrix_core.tables.parts.emails import split_address
from featrix_core.tables.parts.hosts import (
    HOST_CATEGORIES,
    HOST_FIGURES,
    HOST_PIECES,
    host_of,
    parse_host,
    words,
)
from featrix_core.tables.parts.spec import PartSpec, Row, listed, scaled, signed

PROTOCOLS = ("none", "http", "https", "ftp", "mailto", "file", "ssh", "git", "s3", "gs", "ws")
_PROTOCOL_OF = {name: name for name in PROTOCOLS} | {"ftps": "ftp", "sftp": "ftp", "wss": "ws"}
_EXTENSIONS = {
    "page": "html htm xhtml shtml php php3 php5 asp aspx jsp jspx cgi cfm do pl",
    "document": "pdf doc docx odt rtf txt md tex ps epub ppt pptx odp",
    "data": "csv tsv xls xlsx ods json jsonl xml yaml yml parquet sql db rss atom geojson",
    "image": "jpg jpeg png gif svg webp bmp tif tiff ico heic avif",
    "video": "mp4 webm avi mov mkv mpg mpeg m4v wmv flv m3u8",
    "audio": "mp3 wav ogg flac m4a aac wma opus",
    "archive": "zip gz tgz tar bz2 xz 7z rar zst jar whl",
    "code": "js mjs css ts py java c cpp h rb go rs wasm map ipynb",
    "program": "exe msi dmg apk deb rpm bin sh bat iso ps1 scr dll",
}
EXTENSIONS = ("none", *_EXTENSIONS)
"""Kinds of file by the endpoint's extension; a page without one has `none`."""
_EXTENSION_OF = {name: kind for kind, names in _EXTENSIONS.items() for name in listed(names)}

SPEC = PartSpec(
    pieces=(*HOST_PIECES, "path", "endpoint", "query"),
    categories=(("protocol", PROTOCOLS), *HOST_CATEGORIES, ("extension", EXTENSIONS)),
    figures=(
        *HOST_FIGURES,
        "length",
        "depth",
        "parameters",
        "path_digits",
        "fragment",
        "port",
    ),
)

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{1,20}):(?=//|[^\d])", re.I)
_ENDING = re.compile(r"(.+)\.([a-z][a-z0-9]{0,7}|7z)", re.I)
_BLANK = re.compile(r"\s")


def split_url(text: str) -> Row | None:
    """Parts of one URL, with or without scheme, or of a path from the root; None if it is none."""
    if not text or _BLANK.search(text):
        text = text.replace(" ", "%20")  # the one blank that browsers mend
        if not text or _BLANK.search(text) or "://" not in text:
            return None
    scheme = _SCHEME.match(text)
    protocol = scheme[1].lower() if scheme is not None else "none"
    if protocol == "mailto":
        return _mailto(text)
    if scheme is not None and not text.startswith("//", scheme.end()):
        if "." not in protocol:
            return None  # javascript:, data:, tel: and the like
        protocol = "none"
    try:
        url = urlsplit(text if protocol != "none" or text.startswith("/") else f"//{text}")
        port = url.port is not None
    except ValueError:
        return None
    host = parse_host(host_of(url.netloc)) if url.netloc else None
    if protocol == "none":
        # Without a scheme only a public host name, or a path from the root, is enough evidence.
        rooted = text.startswith("/") and not url.netloc and len(text) > 1
        if not rooted and (host is None or not host.public):
            return None
    elif host is None and protocol not in ("file", "s3", "gs"):
        return None
    no_host = Row(("", words(url.netloc)), ("", "", "", "no"), (-1.0, -1.0))
    return _row(text, protocol, no_host if host is None else host.row, url, port)


def _row(text: str, protocol: str, host: Row, url: SplitResult, port: bool) -> Row:
    segments = [segment for segment in unquote_plus(url.path).split("/") if segment]
    ends = bool(segments) and not url.path.endswith("/")
    endpoint = segments[-1] if segments else ""
    ending = _ENDING.fullmatch(endpoint) if ends else None
    extension = "none"
    if ending is not None:
        endpoint, extension = ending[1], _EXTENSION_OF.get(ending[2].lower(), "")
    parameters = [part for part in url.query.split("&") if part]
    path = "".join(segments)
    digits = sum(letter.isdigit() for letter in path)
    return Row(
        pieces=(
            *host.pieces,
            words(" ".join(segments[:-1])),
            words(endpoint),
            words(unquote_plus(url.query)),
        ),
        categories=(_PROTOCOL_OF.get(protocol, ""), *host.categories, extension),
        figures=(
            *host.figures,
            scaled(len(text), 500),
            scaled(len(segments), 12),
            scaled(len(parameters), 12),
            2.0 * digits / len(path) - 1.0 if path else 0.0,
            signed(bool(url.fragment)),
            signed(port),
        ),
    )


def _mailto(text: str) -> Row | None:
    found = split_address(text)
    if found is None:
        return None
    local, host = found
    url = SplitResult("mailto", "", f"/{local}/", text.partition("?")[2], "")
    return _row(text, "mailto", host.row, url, False)
