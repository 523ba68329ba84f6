"""German credit as a CSV gives it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def credit() -> pd.DataFrame:
    """German credit with every cell as text, as a CSV gives it."""
    return pd.read_csv(EXAMPLES / "data" / "german_credit.csv", dtype=str, keep_default_na=False)
