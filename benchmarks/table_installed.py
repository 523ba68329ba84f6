"""Real tables that the project's own environment holds: what is installed, and what that ships."""

from __future__ import annotations

import base64
import importlib
import importlib.metadata
import inspect
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd


def _first(metadata: importlib.metadata.PackageMetadata, field: str) -> str | None:
    """A field's first value; absent ones are None, whichever library made the metadata."""
    return next(iter(metadata.get_all(field) or []), None)


def distributions() -> pd.DataFrame:
    """Installed distributions: what their metadata says."""
    rows = []
    found = {
        str(_first(each.metadata, "Name")).lower(): each
        for each in importlib.metadata.distributions()
    }
    for _, each in sorted(found.items()):
        said = each.metadata
        links = [link.partition(",")[2].strip() for link in said.get_all("Project-URL") or []]
        person = _first(said, "Author-email") or _first(said, "Maintainer-email") or ""
        address = re.search(r"[^\s<>,]+@[^\s<>,]+", person)
        rows.append(
            {
                "name": _first(said, "Name"),
                "version": _first(said, "Version"),
                "summary": _first(said, "Summary"),
                "homepage": _first(said, "Home-page") or next(iter(links), None),
                "author_email": address.group() if address else None,
                "keywords": _first(said, "Keywords"),
                "requires_python": _first(said, "Requires-Python"),
                "metadata_version": _first(said, "Metadata-Version"),
                "licence": _first(said, "License-Expression"),
                "development_status": next(
                    (c for c in said.get_all("Classifier") or [] if c.startswith("Development")),
                    None,
                ),
                "classifiers": said.get_all("Classifier"),
                "dependencies": len(said.get_all("Requires-Dist") or []),
                "files": len(each.files or []),
                "description": str(said.json.get("description", "")) or None,
                "metadata": {
                    key: value for key, value in said.json.items() if key != "description"
                },
            }
        )
    return pd.DataFrame(rows)


def files() -> pd.DataFrame:
    """Installed files, each content once: path, size and SHA-256, as the distributions record."""
    rows = []
    found = {
        str(_first(each.metadata, "Name")).lower(): each
        for each in importlib.metadata.distributions()
    }
    for name, each in sorted(found.items()):
        for path in sorted(each.files or [], key=str):
            if path.hash is not None and path.hash.mode == "sha256":
                digest = base64.urlsafe_b64decode(path.hash.value + "=")
                rows.append(
                    {
                        "distribution": name,
                        "path": str(path),
                        "suffix": path.suffix or None,
                        "bytes": path.size,
                        "sha256": digest.hex(),
                    }
                )
    return pd.DataFrame(rows).drop_duplicates("sha256", ignore_index=True)


def authors() -> pd.DataFrame:
    """The people of SymPy's AUTHORS file."""
    text = _file("sympy", "AUTHORS").read_text(encoding="utf-8")
    found = re.findall(r"^(.+?) <([^<>\s]+@[^<>\s]+)>", text, re.MULTILINE)
    return pd.DataFrame(found, columns=["author", "mail"])


def suffixes() -> pd.DataFrame:
    """The private part of the public-suffix list: who asked for which suffix."""
    import tldextract

    path = Path(tldextract.__file__).parent / ".tld_set_snapshot"
    text = path.read_text(encoding="utf-8").partition("===BEGIN PRIVATE DOMAINS===")[2]
    rows = []
    for block in text.split("\n\n"):
        head = re.search(r"^// (.+?)(?: : (\S+))?$", block, re.MULTILINE)
        person = re.search(r"Submitted by (.+?)\s*<([^<>\s]+)>", block)
        for line in block.splitlines():
            if line and not line.startswith(("//", "*", "!")):
                rows.append(
                    {
                        "organisation": head.group(1) if head else None,
                        "website": head.group(2) if head else None,
                        "submitted_by": person.group(1) if person else None,
                        "contact": person.group(2) if person else None,
                        "suffix": line.strip(),
                    }
                )
    return pd.DataFrame(rows)


def certificates() -> pd.DataFrame:
    """The root certificates of certifi."""
    import certifi
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    def part(name: x509.Name, which: x509.ObjectIdentifier) -> str | None:
        values = name.get_attributes_for_oid(which)
        return str(values[0].value) if values else None

    rows = []
    for each in x509.load_pem_x509_certificates(Path(certifi.where()).read_bytes()):
        key = each.public_key()
        rows.append(
            {
                "common_name": part(each.subject, NameOID.COMMON_NAME),
                "organisation": part(each.subject, NameOID.ORGANIZATION_NAME),
                "country": part(each.subject, NameOID.COUNTRY_NAME),
                "serial_number": f"{each.serial_number:x}",
                "not_valid_before": each.not_valid_before_utc,
                "not_valid_after": each.not_valid_after_utc,
                "signature_hash": each.signature_hash_algorithm.name
                if each.signature_hash_algorithm
                else None,
                "key_bits": getattr(key, "key_size", None),
                "key_kind": type(key).__name__.lstrip("_").removesuffix("PublicKey"),
                "sha1": each.fingerprint(hashes.SHA1()).hex(),
                "fingerprint": ":".join(
                    f"{byte:02X}" for byte in each.fingerprint(hashes.SHA256())
                ),
            }
        )
    return pd.DataFrame(rows)


def lexers() -> pd.DataFrame:
    """The languages that Pygments knows."""
    pygments = importlib.import_module("pygments.lexers")
    mapping: dict[str, tuple[Any, ...]] = importlib.import_module("pygments.lexers._mapping").LEXERS

    classes = {entry[1]: (key, entry[0]) for key, entry in mapping.items()}
    rows = []
    for name, aliases, patterns, types in sorted(pygments.get_all_lexers(plugins=False)):
        key, module = classes[name]
        lexer = getattr(importlib.import_module(module), key)
        rows.append(
            {
                "language": name,
                "module": module,
                "aliases": list(aliases),
                "file_patterns": list(patterns),
                "mime_types": list(types),
                "website": getattr(lexer, "url", None),
                "version_added": getattr(lexer, "version_added", None),
                "priority": getattr(lexer, "priority", None),
                "about": inspect.getdoc(lexer),
            }
        )
    return pd.DataFrame(rows)


def phones() -> pd.DataFrame:
    """The example numbers of phonenumbers, as they are written at home and abroad."""
    import phonenumbers
    from phonenumbers import PhoneNumberFormat, PhoneNumberType

    kinds = {
        "fixed line": PhoneNumberType.FIXED_LINE,
        "mobile": PhoneNumberType.MOBILE,
        "toll free": PhoneNumberType.TOLL_FREE,
        "premium rate": PhoneNumberType.PREMIUM_RATE,
    }
    rows = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind, code in kinds.items():
            number = phonenumbers.example_number_for_type(region, code)
            if number is not None:
                rows.append(
                    {
                        "region": region,
                        "kind": kind,
                        "calling_code": number.country_code,
                        "at_home": phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL),
                        "abroad": phonenumbers.format_number(
                            number, PhoneNumberFormat.INTERNATIONAL
                        ),
                        "plain": phonenumbers.format_number(number, PhoneNumberFormat.E164),
                    }
                )
    return pd.DataFrame(rows)


def functions() -> pd.DataFrame:
    """The public functions of NumPy with their documentation."""
    import numpy as np

    rows = []
    for module in (np, np.linalg, np.fft, np.random, np.ma, np.char):
        for name in sorted(vars(module)):
            value = getattr(module, name)
            text = inspect.getdoc(value)
            if name.startswith("_") or not callable(value) or not text or inspect.isclass(value):
                continue
            rows.append(
                {
                    "function": f"{module.__name__}.{name}",
                    "module": module.__name__,
                    "summary": text.strip().split("\n\n")[0].replace("\n", " "),
                    "documentation": text,
                    "lines": len(text.splitlines()),
                    "has_examples": "Examples\n---" in text,
                    "ufunc": isinstance(value, np.ufunc),
                }
            )
    return pd.DataFrame(rows)


def characters() -> pd.DataFrame:
    """The assigned characters of Unicode's first two planes, every twentieth of them."""
    rows = []
    for point in range(0x20, 0x20000, 20):
        sign = chr(point)
        name = unicodedata.name(sign, "")
        if name:
            rows.append(
                {
                    "code_point": f"U+{point:04X}",
                    "name": name,
                    "category": unicodedata.category(sign),
                    "bidirectional": unicodedata.bidirectional(sign),
                    "east_asian_width": unicodedata.east_asian_width(sign),
                    "mirrored": unicodedata.mirrored(sign),
                    "decomposition": unicodedata.decomposition(sign),
                    "bytes": sign.encode("utf-8").hex(" "),
                }
            )
    return pd.DataFrame(rows)


def digits() -> pd.DataFrame:
    """scikit-learn's handwritten digits: 64 grey values in one cell."""
    from sklearn.datasets import load_digits

    content = load_digits()
    return pd.DataFrame({"pixels": content.data.tolist(), "digit": content.target})


def colours() -> pd.DataFrame:
    """The colours that the readers of xkcd named, from Matplotlib."""
    from matplotlib.colors import XKCD_COLORS, to_rgb

    rows = [
        {
            "colour": name.removeprefix("xkcd:"),
            "hex": code,
            "rgb": [round(v, 4) for v in to_rgb(code)],
        }
        for name, code in sorted(XKCD_COLORS.items())
    ]
    return pd.DataFrame(rows)


def embedded_summaries() -> pd.DataFrame:
    """What the sentence model makes of the summaries of the installed distributions."""
    from featrix_core.strings.embedder import get_default_embedder

    summaries = [text for text in distributions()["summary"].dropna().unique() if text]
    vectors = get_default_embedder().embed(summaries)
    return pd.DataFrame({"summary": summaries, "embedding": [row.tolist() for row in vectors]})


def _file(package: str, ending: str) -> Path:
    for each in importlib.metadata.files(package) or []:
        if str(each).endswith(ending):
            return Path(str(each.locate()))
    raise FileNotFoundError(f"{package} ships no {ending}")


TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "authors": authors,
    "certificates": certificates,
    "characters": characters,
    "colours": colours,
    "digits": digits,
    "distributions": distributions,
    "embedded_summaries": embedded_summaries,
    "files": files,
    "functions": functions,
    "lexers": lexers,
    "phones": phones,
    "suffixes": suffixes,
}
