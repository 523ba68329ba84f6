"""Saving and loading a predictor: its space, members, calibration and guardrails in one bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from featrix_core.bundle import read_tensors, verify_bundle, write_tensors, writing_bundle
from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.errors import BundleError, FeatrixUserError
from featrix_core.files import read_json, write_json
from featrix_core.predictor.ensemble import Ensemble
from featrix_core.predictor.ensemble_bundle import read_peers, write_peers
from featrix_core.predictor.network import Head, HeadConfig
from featrix_core.predictor.objective import PredictorNet
from featrix_core.predictor.outputs import Outputs
from featrix_core.predictor.plan import PredictorPlan
from featrix_core.predictor.row_guard import RowGuard
from featrix_core.predictor.shape import SimpleMLP
from featrix_core.predictor.target_coding import TargetCoding
from featrix_core.single_predictor import SinglePredictor
from featrix_core.space.model import SpaceModel
from featrix_core.tables.schema import Notice
from featrix_core.training.device import deterministic
from featrix_core.training.launch import writes
from featrix_core.version import VERSION

KIND = "predictor"


def save_predictor(predictor: SinglePredictor, path: Path) -> None:
    """Write the bundle; an existing one is replaced at once or not at all.

    Under `torchrun` every process trains the same predictor by itself, and the first one writes (TRAIN-9).
    """
    if not writes():
        return
    coding, plan = predictor.coding, predictor.plan
    if coding is None or plan is None or predictor.ensemble is None:
        raise FeatrixUserError("The predictor is not trained yet", remedy="Call train() first")
    with writing_bundle(path, KIND) as folder:
        (folder / "space").mkdir()
        predictor.space.write_into(folder / "space")
        tensors: dict[str, torch.Tensor] = {}
        for k, net in enumerate(predictor.members):
            source = net if plan.fine_tune else net.head
            tensors |= {f"{k}.{name}": v for name, v in source.state_dict().items()}
        write_tensors(folder / "members.safetensors", tensors)
        write_peers(predictor.ensemble, folder)
        write_tensors(folder / "reference.safetensors", _reference_tensors(predictor))
        document = {
            "name": predictor.name,
            "seed": predictor.seed,
            "version": VERSION,
            "costs": list(predictor.costs),
            "wishes": {
                "fine_tune": predictor.fine_tune,
                "loss": predictor.loss,
                "class_weights": predictor.class_weights,
                "positive_label": predictor.positive_label,
            },
            "shape": None if predictor.shape is None else vars(predictor.shape),
            "coding": coding.model_dump(mode="json"),
            "plan": plan.model_dump(),
            "head": predictor.members[0].head.config.model_dump(),
            "members": len(predictor.members),
            "shares": dict(predictor.ensemble.weights),
            "blended": predictor.blended,
            "outputs": None if predictor.outputs is None else predictor.outputs.to_dict(),
            "training_info": predictor.training_info,
            "notices": [n.model_dump(mode="json") for n in predictor.notices],
        }
        write_json(folder / "predictor.json", document)
        write_json(folder / "training_timeline.json", predictor.timeline)


def _reference_tensors(predictor: SinglePredictor) -> dict[str, torch.Tensor]:
    """Training rows' figures, background rows for importance, held-out answers for calibration."""
    assert predictor.reference is not None and predictor.background is not None
    tensors: dict[str, torch.Tensor] = {}
    for key, value in predictor.reference.to_dict().items():
        tensors[f"guardrail.{key}"] = torch.as_tensor(np.asarray(value))
    for key, value in vars(predictor.background).items():
        tensors[f"background.{key}"] = value
    for key, value in (predictor.held_out or {}).items():
        tensors[f"held_out.{key}"] = torch.from_numpy(value)
    return tensors


def load_predictor(folder: Path) -> SinglePredictor:
    """Read a bundle after checking every digest.

    Raises:
        BundleError: missing, damaged, of another kind or another version.
    """
    verify_bundle(folder, KIND)
    try:
        document = read_json(folder / "predictor.json")
        tensors = read_tensors(folder / "members.safetensors")
        reference = read_tensors(folder / "reference.safetensors")
        timeline = read_json(folder / "training_timeline.json")
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(
            f"The predictor at {folder} cannot be read: {error}", remedy="Train it again"
        ) from error
    space = EmbeddingSpace.read_from(folder / "space")
    shape = document["shape"]
    predictor = SinglePredictor(
        space,
        None if shape is None else SimpleMLP(**shape),
        name=document["name"],
        seed=document["seed"],
        **document["wishes"],  # what the user asked for holds for another training too
    )
    predictor.costs = (document["costs"][0], document["costs"][1])
    predictor.coding = TargetCoding.model_validate(document["coding"])
    predictor.plan = PredictorPlan.model_validate(document["plan"])
    predictor.timeline = timeline
    predictor.training_info = document["training_info"]
    predictor.notices = tuple(Notice.model_validate(n) for n in document["notices"])
    if document["outputs"] is not None:
        predictor.outputs = Outputs.from_dict(document["outputs"])
    config = HeadConfig.model_validate(document["head"])
    nets = [_member(space, config, predictor.plan, tensors, k) for k in range(document["members"])]
    predictor.blended = document["blended"]
    predictor.ensemble = read_peers(
        Ensemble(nets, predictor.coding.classification, document["shares"]),
        folder,
        space.tokenizer,
        predictor.coding.outputs,
    )
    groups: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in reference.items():
        group, name = key.split(".", 1)
        groups.setdefault(group, {})[name] = value
    predictor.reference = RowGuard.from_dict({k: v.numpy() for k, v in groups["guardrail"].items()})
    predictor.background = TokenBatch(**groups["background"])
    predictor.held_out = {k: v.numpy() for k, v in groups.get("held_out", {}).items()}
    return predictor


def _member(
    space: EmbeddingSpace,
    config: HeadConfig,
    plan: PredictorPlan,
    tensors: dict[str, torch.Tensor],
    number: int,
) -> PredictorNet:
    prefix = f"{number}."
    state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    model = space.model
    with deterministic(0):
        head = Head(space.tokenizer, model.config.d_model, model.config.width, config)
        if plan.fine_tune:
            model = SpaceModel(space.tokenizer, model.config, model.pairs_Q2.clone())
    net = PredictorNet(model, head)
    (net if plan.fine_tune else net.head).load_state_dict(state)
    net.eval()
    return net
