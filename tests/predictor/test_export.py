"""Exported predictors give the predictor's own figures to 1e-4, for any number of rows (PRED-5, deployment)."""

from __future__ import annotations

import copy
import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

import torch
from typer.testing import CliRunner

import featrix_core.cli_serving  # noqa: F401  (registers the command)
from featrix_core import EmbeddingSpace, FeatrixInputDataSet, SinglePredictor
from featrix_core.bundle import bundle_digest
from featrix_core.cli import app
from featrix_core.errors import BundleError, FeatrixUserError
from featrix_core.predictor import export as export_module
from featrix_core.predictor.calibration import Calibration, Curve
from featrix_core.predictor.export import TOLERANCE, export_predictor, refuse_folder
from featrix_core.predictor.export_graph import Numbers, Probabilities
from featrix_core.predictor.exported import ExportedPredictor
from featrix_core.predictor.intervals import ConformalInterval
from featrix_core.predictor.number_scales import Scale
from featrix_core.predictor.outputs import Outputs
from featrix_core.predictor.response import ClassScores, NumberScores
from featrix_core.predictor.target_coding import TargetCoding
from featrix_core.tables.schema import ColumnType
from featrix_core.tables.targets import TargetSchema


@pytest.fixture(scope="module")
def bag(few: pd.DataFrame, few_space: EmbeddingSpace) -> SinglePredictor:
    """Two classes, a bag of frozen members: two of the five, for what is drawn and checked goes by members."""
    predictor = SinglePredictor(few_space, ensemble=False, fine_tune=False)
    predictor.prep_for_training(few, "class").train(n_epochs=1)
    assert predictor.ensemble is not None
    predictor.ensemble = dataclasses.replace(predictor.ensemble, nets=predictor.members[:2])
    return predictor


@pytest.fixture(scope="module")
def exported(bag: SinglePredictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the exported bag."""
    folder = tmp_path_factory.mktemp("export") / "bag"
    export_predictor(bag, folder, source="0" * 64)
    return folder


@pytest.fixture(scope="module")
def rows(few: pd.DataFrame) -> pd.DataFrame:
    """100 rows; one all missing, one with a category and one with a number that training never saw."""
    frame = (
        few.drop(columns=["class"]).iloc[:100].reset_index(drop=True).astype({"duration": float})
    )
    frame.loc[0] = None
    frame.loc[1, "checking_status"] = "overdrawn for years"
    frame.loc[2, "credit_amount"] = 1e9
    return frame


@pytest.mark.parametrize("count", [1, 7, 100])
def test_classes(bag: SinglePredictor, exported: Path, rows: pd.DataFrame, count: int) -> None:
    assert len(bag.members) > 1
    given = rows.iloc[:count]
    own, scores = bag.scores(given), ExportedPredictor.load(exported, threads=1).scores(given)
    assert isinstance(own, ClassScores) and isinstance(scores, ClassScores)
    assert scores.probabilities_NK.shape == (count, 2)
    np.testing.assert_allclose(scores.probabilities_NK, own.probabilities_NK, atol=TOLERANCE)
    assert (scores.classes, scores.threshold, scores.sets) == (
        own.classes,
        own.threshold,
        own.sets,
    )


def test_row_embeddings_and_no_rows(
    bag: SinglePredictor, exported: Path, rows: pd.DataFrame
) -> None:
    model = ExportedPredictor.load(exported, threads=1)
    cells = model.cells(rows)
    said = model.run(cells)["row_embedding"]
    np.testing.assert_allclose(said, bag.space.encode(rows), atol=TOLERANCE)
    none = model.run({name: value[:0] for name, value in cells.items()})
    assert none["probabilities"].shape == (0, 2) and none["row_embedding"].shape == (0, 832)


def test_the_graph_runs_without_torch(exported: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    model = ExportedPredictor.load(exported, threads=1)
    cells = model.cells(rows)
    for name, value in cells.items():
        np.save(tmp_path / f"{name}.npy", value)
    code = (
        "import sys, numpy as np\n"
        "from featrix_core.predictor.exported import ExportedPredictor\n"
        f"model = ExportedPredictor.load({str(exported)!r}, threads=1)\n"
        f"cells = {{n: np.load({str(tmp_path)!r} + '/' + n + '.npy') for n in {sorted(cells)!r}}}\n"
        "said = model.run(cells)\n"
        "assert 'torch' not in sys.modules, 'torch'\n"
        f"np.save({str(tmp_path / 'said.npy')!r}, said['probabilities'])\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    np.testing.assert_array_equal(np.load(tmp_path / "said.npy"), model.run(cells)["probabilities"])


def test_what_is_written(bag: SinglePredictor, exported: Path) -> None:
    document = ExportedPredictor.load(exported, threads=1).document
    assert document["target"] == "class" and document["source"] == "0" * 64
    assert [each["name"] for each in document["outputs"]] == ["probabilities", "row_embedding"]
    assert all(each["shape"][0] in ("rows", "entries") for each in document["inputs"])
    graph = (exported / "model.onnx").read_bytes()
    # No file's path stands in the graph, and nothing but the folder's own files is needed.
    assert b"site-packages" not in graph and b"featrix_core" not in graph
    assert bag.members[0].head.first.weight.requires_grad


def test_what_does_not_fit_is_named(exported: Path, rows: pd.DataFrame) -> None:
    model = ExportedPredictor.load(exported, threads=1)
    cells = model.cells(rows)
    with pytest.raises(FeatrixUserError, match="z_NS"):
        model.run({name: value for name, value in cells.items() if name != "z_NS"})
    with pytest.raises(FeatrixUserError, match="float32"):
        model.run({**cells, "z_NS": cells["z_NS"].astype(np.float64)})
    with pytest.raises(FeatrixUserError, match="different numbers of rows"):
        model.run({**cells, "z_NS": cells["z_NS"][:5]})


def test_a_damaged_folder_is_not_loaded(exported: Path, tmp_path: Path) -> None:
    for file in exported.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    graph = bytearray((tmp_path / "model.onnx").read_bytes())
    graph[len(graph) // 2] ^= 1
    (tmp_path / "model.onnx").write_bytes(bytes(graph))
    with pytest.raises(BundleError, match=r"model\.onnx"):
        ExportedPredictor.load(tmp_path)


def test_an_ensemble_is_refused(bag: SinglePredictor, tmp_path: Path) -> None:
    """By what it answers with, however little it changes the figures."""
    assert bag.ensemble is not None
    blended = copy.copy(bag)
    weights = {"nets": 1.0 - 1e-9, "linear": 1e-9}
    blended.ensemble = dataclasses.replace(bag.ensemble, weights=weights)
    with pytest.raises(FeatrixUserError, match=r"linear.*--nets-only"):
        export_predictor(blended, tmp_path / "blend")
    assert not (tmp_path / "blend").exists()
    with pytest.raises(FeatrixUserError, match="not trained"):
        export_predictor(SinglePredictor(bag.space), tmp_path / "blend")


def test_figures_that_differ_are_not_said_to_be_an_ensemble(
    bag: SinglePredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for apart in (0.5, float("nan")):
        monkeypatch.setattr(export_module, "_difference", lambda *_, apart=apart: apart)
        with pytest.raises(
            FeatrixUserError, match=r"does not give the predictor's figures.*differ"
        ):
            export_predictor(bag, tmp_path / "moved")
    assert not (tmp_path / "moved").exists()


def test_only_an_earlier_export_is_replaced(
    bag: SinglePredictor, exported: Path, tmp_path: Path
) -> None:
    model = tmp_path / "run" / "predictor"
    bag.save(model)
    shutil.copytree(exported, tmp_path / "earlier")
    (tmp_path / "empty").mkdir()
    for name in ("earlier", "empty", "new", "run/new"):
        refuse_folder(tmp_path / name, model)
    for name in ("run/predictor", "run", ".", "run/../run"):
        with pytest.raises(FeatrixUserError, match=r"model's folder.*--out"):
            refuse_folder(tmp_path / name, model)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work", encoding="utf-8")
    shutil.copytree(model, tmp_path / "other")
    damaged = tmp_path / "damaged"
    shutil.copytree(exported, damaged)
    (damaged / "manifest.json").write_text("{}", encoding="utf-8")
    for name in ("thesis", "thesis/chapter.txt", "other", "damaged"):
        with pytest.raises(FeatrixUserError, match=r"no earlier export.*new or empty"):
            export_predictor(bag, tmp_path / name)


def test_the_command_deletes_nothing(bag: SinglePredictor, exported: Path, tmp_path: Path) -> None:
    model, notes = tmp_path / "run", tmp_path / "notes"
    bag.save(model / "predictor")
    notes.mkdir()
    (notes / "kept.txt").write_text("kept", encoding="utf-8")
    for out in (notes, model, model / "predictor", tmp_path):
        said = CliRunner().invoke(app, ["export", "--model", str(model), "--out", str(out)])
        assert isinstance(said.exception, FeatrixUserError) and said.exception.value == str(out)
    assert (notes / "kept.txt").read_text(encoding="utf-8") == "kept"
    SinglePredictor.load(model / "predictor")
    shutil.copytree(exported, tmp_path / "onnx")  # an earlier export, whose place is taken
    said = CliRunner().invoke(
        app, ["export", "--model", str(model), "--out", str(tmp_path / "onnx")]
    )
    assert said.exit_code == 0, said.output
    document = ExportedPredictor.load(tmp_path / "onnx", threads=1).document
    assert document["target"] == "class"
    assert document["source"] == bundle_digest(model / "predictor")


def test_every_family_fine_tuned_with_a_number(tmp_path: Path) -> None:
    """Numbers, categories, moments, texts, lists, codes, addresses; the encoder is fine-tuned."""
    n = 60
    draw = np.random.default_rng(3)
    words = np.array(["red", "green", "blue", "small", "large", "round", "heavy", "soft", "cold"])
    frame = pd.DataFrame(
        {
            "size": draw.normal(50, 9, n),
            "kind": draw.choice(["a", "b", "c"], n),
            "day": pd.date_range("2024-01-01", periods=n, freq="37h").astype(str),
            "said": [" ".join(draw.choice(words, 6)) for _ in range(n)],
            "tags": [", ".join(draw.choice(words, 3, replace=False)) for _ in range(n)],
            "code": [f"K{draw.integers(10)}-{draw.integers(1000):03d}X" for _ in range(n)],
            "mail": [f"{draw.choice(words)}{k}@example{k % 5}.com" for k in range(n)],
        }
    )
    frame["price"] = np.exp(frame["size"] / 12) * 40
    frame.loc[4, ["size", "kind", "day", "said", "tags", "code", "mail"]] = None
    torch.set_num_threads(1)
    names = {"said": "text", "tags": "list", "code": "code", "mail": "email"}
    kinds = {name: ColumnType(kind) for name, kind in names.items()}
    data = FeatrixInputDataSet(frame, ["price"], overrides=kinds)
    space = EmbeddingSpace(data, n_epochs=1).train()
    predictor = SinglePredictor(space, ensemble=False, fine_tune=True)
    predictor.prep_for_training(frame, "price", "scalar").train(n_epochs=1)
    assert predictor.ensemble is not None
    predictor.ensemble = dataclasses.replace(predictor.ensemble, nets=predictor.members[:1])
    export_predictor(predictor, tmp_path / "numbers")
    given = frame.drop(columns=["price"])
    given.loc[0] = None
    own = predictor.scores(given)
    scores = ExportedPredictor.load(tmp_path / "numbers", threads=1).scores(given)
    assert isinstance(own, NumberScores) and isinstance(scores, NumberScores)
    for name in ("prediction_N", "low_N", "high_N", "std_N"):
        mine, theirs = getattr(scores, name), getattr(own, name)
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=TOLERANCE * own.target_width)
    loaded = ExportedPredictor.load(tmp_path / "numbers", threads=1)
    assert loaded.document["sentence_model"] == space.tokenizer.sentence_model
    loaded.document["sentence_model"] = "all-MiniLM-L12-v2:00112233aabbccdd"
    with pytest.raises(FeatrixUserError, match="learned with the sentence model all-MiniLM-L12"):
        loaded.scores(given)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("method", ["none", "temperature", "platt", "isotonic"])
def test_calibrations(method: str, classes: int) -> None:
    entries = 1 if classes == 2 else classes
    ramps = tuple(
        Curve(x=(-3.0, -1.0, -1.0 + 1e-9, 0.5), y=(0.01, 0.1 + k / 50, 0.4, 0.98))
        for k in range(entries)
    )
    calibration = Calibration.model_validate(
        {
            "method": method,
            "n_classes": classes,
            "temperature": 1.7,
            "slopes": [0.8 + k / 9 for k in range(entries)],
            "intercepts": [0.3 - k / 9 for k in range(entries)],
            "curves": [curve.model_dump() for curve in ramps],
        }
    )
    logits = np.random.default_rng(1).normal(0, 3, (200, classes)).astype(np.float32)
    logits[0, 0], logits[1] = -np.inf, 90.0 * np.arange(classes)
    said = Probabilities(calibration)(torch.from_numpy(logits)).numpy()
    np.testing.assert_allclose(said, calibration.apply(logits), atol=1e-9)


@pytest.mark.parametrize("errors", ["as they are", "transformed"])
@pytest.mark.parametrize("transform", ["identity", "sqrt", "log1p", "asinh"])
def test_numbers(transform: Scale, errors: str) -> None:
    target = TargetSchema(name="y", kind="scalar", classes=(), n_rows=9, n_missing=0)
    coding = TargetCoding(target=target, transform=transform, unit=0.3, mean=1.5, std=0.7)
    interval = ConformalInterval(
        level=0.9,
        quantile=2.0,
        spread=1.1,
        scale_floor=0.6,
        n_rows=90,
        guaranteed=True,
        minimum=0.0,
        maximum=50.0,
        transform=transform if errors == "transformed" else "identity",
        unit=coding.unit,
    )
    outputs = Outputs(interval=interval, ratio=1.2, usual_spread=0.4, target_width=3.0)
    draw = np.random.default_rng(2)
    answer = draw.normal(0, 3, (200, 1)).astype(np.float32)
    spread = draw.gamma(1.0, 1.0, 200).astype(np.float32) * 3
    own = outputs.scores(answer, spread, coding)
    assert isinstance(own, NumberScores)
    found = Numbers(outputs, coding)(torch.from_numpy(answer), torch.from_numpy(spread))
    for mine, theirs in zip(
        found, (own.prediction_N, own.low_N, own.high_N, own.std_N), strict=True
    ):
        np.testing.assert_allclose(mine.numpy(), theirs, rtol=1e-9, atol=1e-9)
