"""The README's tables are those that charts/readme.py makes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.charts.rendering import CHART, VALUES_FILES, chart


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readme", CHART.parent / "readme.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_is_fresh(readme: ModuleType) -> None:
    text = (CHART / "README.md").read_text(encoding="utf-8")
    assert text == readme.render(CHART, text), "run: python charts/readme.py"


def test_every_value_and_example_is_in_it() -> None:
    text = (CHART / "README.md").read_text(encoding="utf-8")
    for key in chart().values:
        assert f"| `{key}" in text
    for name in VALUES_FILES:
        assert f"| `ci/{name}` |" in text


def test_what_is_generated_follows_the_values(readme: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(
        "# Of the file.\n\n# Size | of it,\n# in all.\nsize: 3\npart:\n  # Its name.\n  name: ''\n"
    )
    table = readme.values_table(tmp_path).splitlines()[2:]
    assert table == [
        "| `size` | `3` | Size \\| of it, in all. |",
        '| `part.name` | `""` | Its name. |',
    ]


def test_a_value_without_comment_is_refused(readme: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("# Of the file.\n\npart:\n  name: ''\n")
    with pytest.raises(ValueError, match=r"part\.name has no comment"):
        readme.values_table(tmp_path)


def test_schema_and_values_have_the_same_keys() -> None:
    schema = chart().schema
    assert schema is not None
    assert schema["properties"].keys() - {"global"} == chart().values.keys()
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    assert list(yaml.safe_load(text)) == list(schema["properties"])[:-1], "and the same order"
