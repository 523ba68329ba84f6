"""The files of a saved space: weights, codecs, schema, figures, and its child spaces below `children/`."""

from __future__ import annotations

from pathlib import Path

import torch

from featrix_core.bundle import read_tensors, write_tensors
from featrix_core.child_space import read_children, write_children
from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.errors import BundleError
from featrix_core.features.engineer import FeatureEngineer
from featrix_core.files import read_json, write_json, write_text
from featrix_core.space.model import SpaceConfig, SpaceModel
from featrix_core.space_training import TIMELINE
from featrix_core.tables.schema import TableSchema
from featrix_core.training.device import deterministic
from featrix_core.training.snapshots import Movie
from featrix_core.version import VERSION

MOVIE = "movie.safetensors"

PAIR_DECISIONS = "pair_decisions.json"


def write_space(space: EmbeddingSpace, folder: Path) -> None:
    """Write a space's files into a folder that somebody else seals."""
    write_tensors(folder / "weights.safetensors", space.model.state_dict())
    codecs = {f"codec.{k}": v for k, v in space.tokenizer.state().items()}
    if space.information_bits is not None:
        codecs["information_bits"] = torch.from_numpy(space.information_bits)
    write_tensors(folder / "codecs.safetensors", codecs)
    write_text(folder / "schema.json", space.schema.model_dump_json(indent=1) + "\n")
    info = {
        "name": space.name,
        "seed": space.seed,
        "version": VERSION,
        "config": space.model.config.model_dump(),
        "training_info": space.training_info,
        "extension_metadata": space.extension_metadata,
        "features": None if space.engineer is None else space.engineer.to_dict(),
        "children": {name: child.lineage() for name, child in space.children.items()},
    }
    if space.tokenizer.sentence_model is not None:
        info["sentence_model"] = space.tokenizer.sentence_model
    write_json(folder / "space.json", info)
    write_children(folder, space.schema, space.children)
    if space.timeline is not None:
        write_json(folder / TIMELINE, space.timeline)
    if space.pair_report is not None:
        write_json(folder / PAIR_DECISIONS, space.pair_report)
    if space.movie is not None:
        write_tensors(folder / MOVIE, space.movie.tensors())


def read_space(folder: Path) -> EmbeddingSpace:
    """Read the files of a folder whose digests were checked already.

    Raises:
        BundleError: a file is missing or is not what this version writes.
    """
    try:
        info = read_json(folder / "space.json")
        schema = TableSchema.model_validate_json((folder / "schema.json").read_bytes())
        config = SpaceConfig.model_validate(info["config"])
        codecs = read_tensors(folder / "codecs.safetensors")
        weights = read_tensors(folder / "weights.safetensors")
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(
            f"The space at {folder} cannot be read: {error}", remedy="Train it again"
        ) from error
    space = EmbeddingSpace.__new__(EmbeddingSpace)
    space.name, space.seed = info["name"], info["seed"]
    space.n_epochs, space.batch_size, space.output_dir = None, None, None
    space.training_info = info["training_info"]
    space.extension_metadata = info["extension_metadata"]
    features = info["features"]
    space.engineer = None if features is None else FeatureEngineer.from_dict(features)
    timeline = folder / TIMELINE
    space.timeline = read_json(timeline) if timeline.is_file() else None
    pairs = folder / PAIR_DECISIONS
    space.pair_report = read_json(pairs) if pairs.is_file() else None
    movie = folder / MOVIE
    space.movie = Movie.from_tensors(read_tensors(movie)) if movie.is_file() else None
    bits = codecs.pop("information_bits", None)
    space.information_bits = None if bits is None else bits.numpy()
    state = {k.removeprefix("codec."): v for k, v in codecs.items()}
    space.children = read_children(folder, schema, read_space)
    model = info.get("sentence_model")  # spaces of earlier versions say nothing
    space.tokenizer = Tokenizer.from_state(schema, state, space.children, model)
    space.schema = schema
    space._rows = space.train_table = None
    space._fresh = None
    with deterministic(space.seed):
        space._model = SpaceModel(space.tokenizer, config, weights["pairs_Q2"])
    space._model.load_state_dict(weights)
    space._model.eval()
    return space
