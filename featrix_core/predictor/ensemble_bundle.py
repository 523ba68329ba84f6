"""The models beside the nets in a predictor's bundle: trees in CatBoost's format, everything else as tensors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from featrix_core.bundle import read_tensors, write_tensors
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.errors import BundleError
from featrix_core.predictor.boosted import Boosted
from featrix_core.predictor.design import Design
from featrix_core.predictor.ensemble import Ensemble
from featrix_core.predictor.linear import Linear
from featrix_core.predictor.standing import BOOSTED, LINEAR

FILE = "peers.safetensors"


def write_peers(ensemble: Ensemble, folder: Path) -> None:
    """Write what answers beside the nets; nothing where the nets answer alone."""
    if ensemble.design is None:
        return
    arrays = {f"design.{name}": value for name, value in ensemble.design.state().items()}
    if ensemble.linear is not None:
        arrays["linear.weight"] = ensemble.linear.weight_KZO
        arrays["linear.bias"] = ensemble.linear.bias_KO
    tensors = {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}
    write_tensors(folder / FILE, tensors)
    for k, stored in enumerate(ensemble.boosted.stored if ensemble.boosted else ()):
        (folder / f"boosted-{k}.cbm").write_bytes(stored)


def read_peers(nets: Ensemble, folder: Path, tokenizer: Tokenizer, outputs: int) -> Ensemble:
    """The whole ensemble of its nets and shares; the bundle's digests have been checked before."""
    if not (folder / FILE).is_file():
        return nets
    arrays = {name: value.numpy() for name, value in read_tensors(folder / FILE).items()}
    state = {
        name.removeprefix("design."): value
        for name, value in arrays.items()
        if name.startswith("design.")
    }
    boosted = linear = None
    if LINEAR in nets.weights:
        linear = Linear(arrays["linear.weight"], arrays["linear.bias"])
    if BOOSTED in nets.weights:
        from catboost import CatBoostError

        files = [folder / f"boosted-{k}.cbm" for k in range(len(nets.nets))]
        try:
            boosted = Boosted([path.read_bytes() for path in files], outputs)
        except (CatBoostError, OSError) as error:
            raise BundleError(
                f"The trees in {folder} cannot be read: {error}", remedy="Train the predictor again"
            ) from error
    return replace(nets, design=Design.from_state(tokenizer, state), boosted=boosted, linear=linear)
