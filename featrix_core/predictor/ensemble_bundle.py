"""The models beside the nets in a predictor's bundle: trees in their libraries' formats, everything else as tensors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from featrix_core.bundle import read_tensors, write_tensors
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.errors import BundleError
from featrix_core.predictor.boosted import Boosted
from featrix_core.predictor.design import Design
from featrix_core.predictor.ensemble import Ensemble, Trees
from featrix_core.predictor.leafwise import Leafwise
from featrix_core.predictor.linear import Linear
from featrix_core.predictor.standing import BOOSTED, LEAFWISE, LINEAR, RANDOMISED

FILE = "peers.safetensors"
_TREES: dict[str, tuple[type[Boosted | Leafwise], str]] = {
    BOOSTED: (Boosted, "cbm"),
    LEAFWISE: (Leafwise, "txt"),
    RANDOMISED: (Leafwise, "txt"),
}
"""How trees are read, and the ending of their files."""


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
    for name, trees in ensemble.trees.items():
        for k, stored in enumerate(trees.stored):
            (folder / f"{name}-{k}.{_TREES[name][1]}").write_bytes(stored)


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
    linear = None
    if LINEAR in nets.weights:
        linear = Linear(arrays["linear.weight"], arrays["linear.bias"])
    trees = {name: _read_trees(name, folder, outputs) for name in _TREES if name in nets.weights}
    return replace(nets, design=Design.from_state(tokenizer, state), trees=trees, linear=linear)


def _read_trees(name: str, folder: Path, outputs: int) -> Trees:
    from catboost import CatBoostError
    from lightgbm.basic import LightGBMError

    read, ending = _TREES[name]
    count = max(1, len(list(folder.glob(f"{name}-*.{ending}"))))
    files = [folder / f"{name}-{k}.{ending}" for k in range(count)]
    try:
        return read([path.read_bytes() for path in files], outputs)
    except (CatBoostError, LightGBMError, OSError, UnicodeDecodeError) as error:
        raise BundleError(
            f"The trees in {folder} cannot be read: {error}", remedy="Train the predictor again"
        ) from error
