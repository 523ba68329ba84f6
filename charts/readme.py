"""Writes the generated parts of the chart's README: the values, from the comments in values.yaml, and
the example values under ci/.

    python charts/readme.py

A test compares the README with what this makes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent / "string-embedding"

_KEY = re.compile(r"^( *)([A-Za-z][\w.-]*):")


def descriptions(text: str) -> dict[str, str]:
    """Dotted key → comment directly above it, for the keys of a values.yaml that have one."""
    found: dict[str, str] = {}
    comment: list[str] = []
    parents: list[tuple[int, str]] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            comment.append(line.strip().lstrip("#").strip())
            continue
        if key := _KEY.match(line):
            indent = len(key[1])
            parents = [(depth, name) for depth, name in parents if depth < indent]
            parents.append((indent, key[2]))
            if comment:
                found[".".join(name for _, name in parents)] = " ".join(comment)
        comment = []
    return found


def rows(values: dict[str, Any], described: dict[str, str], above: str = "") -> list[str]:
    """Table rows of all keys, in the order of the file.

    Raises:
        ValueError: a key has no description, neither of its own nor of the mapping that it is in.
    """
    table = []
    for key, value in values.items():
        path = f"{above}{key}"
        if path in described:
            default = json.dumps(value, ensure_ascii=False)
            text = described[path].replace("|", "\\|")
            table.append(f"| `{path}` | `{default}` | {text} |")
        elif isinstance(value, dict) and value:
            table += rows(value, described, f"{path}.")
        else:
            raise ValueError(f"values.yaml: {path} has no comment; write one above it")
    return table


def values_table(chart: Path) -> str:
    """The table of all values."""
    text = (chart / "values.yaml").read_text(encoding="utf-8")
    head = ["| Key | Default | Meaning |", "|---|---|---|"]
    return "\n".join(head + rows(yaml.safe_load(text), descriptions(text)))


def examples_table(chart: Path) -> str:
    """The table of the example values: name and first line of each file."""
    head = ["| File | What it shows |", "|---|---|"]
    for path in sorted((chart / "ci").glob("*-values.yaml")):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        head.append(f"| `ci/{path.name}` | {first.lstrip('# ')} |")
    return "\n".join(head)


def render(chart: Path, readme: str) -> str:
    """`readme` with its generated parts made anew; the text around them stays."""
    for name, table in (("values", values_table(chart)), ("examples", examples_table(chart))):
        begin, end = f"<!-- {name}: made by charts/readme.py -->", f"<!-- end of {name} -->"
        before, _, rest = readme.partition(begin)
        _, _, after = rest.partition(end)
        readme = f"{before}{begin}\n{table}\n{end}{after}"
    return readme


def main() -> None:
    """Writes the README in place."""
    path = CHART / "README.md"
    path.write_text(render(CHART, path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
