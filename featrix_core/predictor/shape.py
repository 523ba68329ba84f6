"""`SimpleMLP`: the shape of a predictor's head, for those who want to set it."""

from __future__ import annotations


class SimpleMLP:
    """Shape of a predictor's head, for those who want to set it; the plan needs none of it."""

    def __init__(
        self, d_in: int, d_out: int, d_hidden: int = 256, n_hidden_layers: int | None = None
    ) -> None:
        self.d_in, self.d_out = d_in, d_out
        self.d_hidden, self.n_hidden_layers = d_hidden, n_hidden_layers

    @classmethod
    def from_config(
        cls, d_in: int, d_out: int, d_hidden: int = 256, n_hidden_layers: int | None = None
    ) -> SimpleMLP:
        """A head of `n_hidden_layers` (chosen by measured complexity when left out) of `d_hidden` units."""
        return cls(d_in, d_out, d_hidden, n_hidden_layers)
