"""Where a predictor's nets stand beside the other models, in words (PRED-7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NETS, BOOSTED, LEAFWISE, LINEAR = "nets", "boosted", "leafwise", "linear"
RANDOMISED = "randomised"
TOGETHER = "ensemble"
_SAID = {
    NETS: "nets",
    BOOSTED: "boosted trees (CatBoost)",
    LEAFWISE: "boosted trees (LightGBM)",
    RANDOMISED: "boosted trees (LightGBM, random splits)",
    LINEAR: "linear",
    TOGETHER: "together (shares cross-fitted)",
}


def standing(selector: Mapping[str, Any]) -> str:
    """What the out-of-fold answers say of the nets beside the others, as a sentence or two.

    The figure of all together is of rows that its shares were not fitted on (`ensemble.crossfitted_loss`).
    """
    losses, shares = selector["losses"], selector["shares"]
    parts = [f"{share:.0%} {_SAID[name]}" for name, share in sorted(shares.items()) if share > 0]
    figures = ", ".join(
        f"{_SAID[name]} {losses[name]:.4f}" for name in sorted(losses, key=lambda n: losses[n])
    )
    absent = "".join(
        f" Without {_SAID[name]}: {reason}."
        for name, reason in sorted(selector["left_out"].items())
    )
    said = f"The answer is made of {', '.join(parts)}. " if len(parts) > 1 else ""
    return (
        f"{said}Out of fold ({selector['rows']:,} rows), {selector['measure']}: {figures}.{absent}"
    )
