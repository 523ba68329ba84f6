"""Step register: versions, champion and lineage in the registry that needs no server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from featrix_core import bundle
from featrix_core.bundle import bundle_digest
from featrix_core.files import read_json
from featrix_core.registry.store import Registry
from featrix_core.steps import calibrate, extend_space, ingest, register, step_page
from featrix_core.steps.data_step import load_dataset
from featrix_core.steps.figures import figures

from .conftest import Run


@pytest.fixture(scope="module")
def place(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of a registry with one registered run, under `first`."""
    folder = tmp_path_factory.mktemp("registry")
    register(run.predictor, run.space, run.dataset, folder / "first", name="credit")
    return folder


@pytest.fixture(scope="module")
def first(place: Path) -> dict[str, Any]:
    document: dict[str, Any] = read_json(place / "first" / "registration.json")
    return document


def test_a_first_predictor_becomes_champion(first: dict[str, Any], place: Path) -> None:
    assert first["promoted"] is True
    assert first["reasons"]
    assert first["aliases"] == {"champion": "1"}
    assert first["space"]["uri"] == "models:/credit-space/1"
    assert first["predictor"]["uri"] == "models:/credit-class/1"
    assert figures(place / "first")["metrics"] == {"promoted": 1.0, "version": 1.0}


def test_what_was_registered_can_be_fetched(
    first: dict[str, Any], place: Path, run: Run, tmp_path: Path
) -> None:
    registry = Registry(workdir=place)
    champion = registry.aliases("credit-class")["champion"]
    assert champion.version == first["predictor"]["version"]
    fetched = registry.fetch_bundle(champion, tmp_path / "model")
    assert bundle_digest(fetched) == bundle_digest(run.predictor)


def test_the_lineage_goes_from_the_table_to_the_predictor(
    first: dict[str, Any], place: Path
) -> None:
    graph = first["lineage"]
    edges = {(e["source"], e["target"]) for e in graph["edges"]}
    kinds = {n["id"]: n["kind"] for n in graph["nodes"]}
    ends = {(kinds[a], kinds[b]) for a, b in edges}
    labels = " ".join(n["label"] for n in graph["nodes"])
    assert {"space", "predictor"} <= set(kinds.values())
    assert ("space", "predictor") in ends
    assert "credit-space" in labels and "credit-class" in labels and "credit.csv" in labels
    page = step_page("register", place / "first")
    assert "credit-class" in page


def test_the_same_bundle_is_registered_once(run: Run, first: dict[str, Any], place: Path) -> None:
    register(run.predictor, run.space, run.dataset, place / "second", name="credit")
    again = read_json(place / "second" / "registration.json")
    assert again["predictor"]["reused"] and again["space"]["reused"]
    assert not (first["predictor"]["reused"] or first["space"]["reused"])
    assert again["predictor"]["version"] == first["predictor"]["version"]
    assert again["run_id"] != first["run_id"]
    assert again["aliases"]["champion"] == "1"


def test_a_challenger_meets_the_champion_on_its_hold_out(run: Run, place: Path) -> None:
    """The same answers under another name are another bundle, and no better one."""
    from featrix_core import SinglePredictor

    twin = SinglePredictor.load(run.trained / "class")
    twin.name = "twin"
    twin.save(place / "twin")
    calibrate(place / "twin", run.dataset, place / "calibrated")
    register(place / "calibrated", run.space, run.dataset, place / "third", name="credit")
    found = read_json(place / "third" / "registration.json")
    assert found["predictor"]["version"] == "2"
    assert found["space"]["reused"]
    champion = "2" if found["promoted"] else "1"
    assert found["aliases"]["champion"] == champion
    assert found["reasons"]
    assert sorted(p.name for p in (place / "third").iterdir()) == [
        "figures.json",
        "registration.json",
    ]


def test_a_champion_of_another_format_is_not_in_the_way(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featrix_core import EmbeddingSpace, SinglePredictor

    space, twin = EmbeddingSpace.load(run.space), SinglePredictor.load(run.trained / "class")
    monkeypatch.setattr(bundle, "FORMAT", 1)
    space.save(tmp_path / "space")
    shutil.copy(run.space / "figures.json", tmp_path / "space")
    bundle.seal_beside(tmp_path / "space")
    twin.save(tmp_path / "twin")
    calibrate(tmp_path / "twin", run.dataset, tmp_path / "old")
    register(tmp_path / "old", tmp_path / "space", run.dataset, tmp_path / "first", name="credit")
    monkeypatch.undo()
    register(run.predictor, run.space, run.dataset, tmp_path / "second", name="credit")
    found = read_json(tmp_path / "second" / "registration.json")
    assert found["predictor"]["version"] == "2" and found["reasons"]


def test_a_champion_of_classes_with_other_names_is_not_compared_with(
    run: Run, rows: pd.DataFrame, tmp_path: Path
) -> None:
    from featrix_core import EmbeddingSpace, SinglePredictor

    register(run.predictor, run.space, run.dataset, tmp_path / "first", name="credit")
    frame = rows.assign(**{"class": rows["class"].map({"good": "1", "bad": "0"})})
    frame.to_csv(tmp_path / "credit.csv", index=False)
    ingest(str(tmp_path / "credit.csv"), ["class"], tmp_path / "dataset")
    model = SinglePredictor(EmbeddingSpace.load(run.space), name="class", fine_tune=False)
    model.prep_for_training(load_dataset(tmp_path / "dataset").development, "class")
    model.train(n_epochs=1, calibrate=False).save(tmp_path / "trained")
    calibrate(tmp_path / "trained", tmp_path / "dataset", tmp_path / "second-model")
    register(
        tmp_path / "second-model", run.space, tmp_path / "dataset", tmp_path / "second",
        name="credit",
    )  # fmt: skip
    found = read_json(tmp_path / "second" / "registration.json")
    assert found["predictor"]["version"] == "2" and found["reasons"]


def test_an_extended_space_comes_after_the_one_it_extends(run: Run, place: Path) -> None:
    features = place / "features.json"
    record = {"kind": "log", "name": "log_amount", "column": "credit_amount"}
    features.write_text(json.dumps([record]), encoding="utf-8")
    space = place / "extended"
    extend_space(run.space, run.dataset, space, features=str(features))
    if not (space / "previous").is_dir():  # kept or not: the layout is what is looked at here
        shutil.copytree(run.space, space / "previous")
    register(run.predictor, space, run.dataset, place / "fourth", name="grown")
    found = read_json(place / "fourth" / "registration.json")
    versions = Registry(workdir=place).client.search_model_versions("name = 'grown-space'")
    accepted = read_json(space / "extension.json")["accepted"]
    assert found["space"]["version"] == str(len(versions)) == ("2" if accepted else "1")
