"""Keeping credentials out of what is written to the registry (OPS-3, OPS-4).

Parameters, tags and locations pass through here on their way out. Three things are hidden: a value
under a name that says it is a secret, the password inside an address, and the value of any secret
that this process itself got through its environment.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping

HIDDEN = "***"

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)|secret|credential|(api|access|private|account)[_-]?key"
    r"|(auth|session|bearer|access|refresh)[_-]?token|(^|[._/-])token$",
    re.IGNORECASE,
)
_SECRET_VARIABLE = re.compile(r"PASSWORD|PASSWD|SECRET|CREDENTIAL|TOKEN|ACCESS_KEY|API_KEY", re.I)
_LOCATION_VARIABLE = re.compile(r"_(FILE|PATH|DIR|URI|URL|NAME|ENDPOINT)$", re.I)
_USER_IN_ADDRESS = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^/\s?#]*@", re.IGNORECASE)
_SIGNED_QUERY = re.compile(
    r"(?P<name>[?&](?:x-amz-[\w-]+|awsaccesskeyid|signature|sig|token|[\w-]*(?:key|secret|password))=)"
    r"[^&\s\"']+",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 8  # shorter values ("true", "minio") would blank out ordinary words


def redact(text: str) -> str:
    """`text` without passwords in addresses, signatures of links and secrets of the environment."""
    text = _USER_IN_ADDRESS.sub(rf"\g<scheme>{HIDDEN}@", text)
    text = _SIGNED_QUERY.sub(rf"\g<name>{HIDDEN}", text)
    secrets = {
        value
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST_SECRET
        and _SECRET_VARIABLE.search(name)
        and not _LOCATION_VARIABLE.search(name)
    }
    for secret in sorted(secrets, key=lambda value: (-len(value), value)):
        text = text.replace(secret, HIDDEN)
    return text


def _entry(name: str, value: object) -> str:
    if isinstance(value, str):
        return HIDDEN if _SECRET_NAME.search(name) else redact(value)
    if isinstance(value, bool | int | float) or value is None:
        return str(value)
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
        if _SECRET_NAME.search(name):
            return HIDDEN
        return json.dumps([_plain(item) for item in items], ensure_ascii=False)
    return HIDDEN if _SECRET_NAME.search(name) else redact(str(value))


def _plain(value: object) -> object:
    """A list item as JSON, its own mappings with their secrets hidden."""
    if isinstance(value, Mapping):
        return {str(key): _entry(str(key), item) for key, item in value.items()}
    if isinstance(value, bool | int | float) or value is None:
        return value
    return redact(str(value))


def flat_entries(values: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Parameters or tags as MLflow takes them: flat names, values as text, secrets hidden.

    Nested mappings are flattened (`{"plan": {"lr": 1}}` becomes `plan.lr`), lists become JSON,
    characters that MLflow refuses in a name become `_`. Order is by name.
    """
    flat: dict[str, str] = {}
    for key in sorted(values, key=str):
        name = re.sub(r"[^\w./ -]", "_", f"{prefix}{key}")
        value = values[key]
        if isinstance(value, Mapping):
            # A mapping under a secret name ("credentials: {user: …}") is hidden as a whole.
            if _SECRET_NAME.search(name):
                flat[name] = HIDDEN
            else:
                flat.update(flat_entries(value, f"{name}."))
        else:
            flat[name] = _entry(name, value)
    return flat
