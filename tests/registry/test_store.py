"""The embedded registry: runs, versions, resolving, fetching."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import mlflow.pyfunc
import pytest
import yaml

from featrix_core.bundle import writing_bundle
from featrix_core.errors import BundleError, FeatrixUserError
from featrix_core.files import read_json, sha256_of, write_json
from featrix_core.registry.store import Registry
from featrix_core.registry.versions import BUNDLE_TAG, registered_name


def test_embedded_default_keeps_everything_in_the_work_folder(embedded, make_chain, tmp_path):
    make_chain(embedded, "credit")
    assert sorted(path.name for path in tmp_path.joinpath("work").iterdir()) == [
        "mlartifacts",
        "mlflow.db",
    ]


def test_quiet(tmp_path, make_chain, capfd, caplog):
    with caplog.at_level(logging.WARNING):
        make_chain(Registry(workdir=tmp_path / "work"), "credit")
    out, err = capfd.readouterr()
    assert (out, err, caplog.records) == ("", "", [])


def test_tracking_uri_from_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'a folder' / 'own.db'}")
    registry = Registry(workdir=tmp_path / "work")
    with registry.run("one") as run:
        (tmp_path / "note.txt").write_text("kept")
        run.log_artifact(tmp_path / "note.txt", "notes")
    assert (tmp_path / "a folder" / "own.db").is_file()
    assert not (tmp_path / "work" / "mlflow.db").exists()
    kept = list((tmp_path / "work" / "mlartifacts").rglob("note.txt"))
    assert [path.read_text() for path in kept] == ["kept"]


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        (None, "where the model registry is"),
        ("./mlruns", "plain folder"),
        ("file:///tmp/mlruns", "plain folder"),
        ("nonsense://x", "cannot be used"),
    ],
)
def test_unusable_places_are_the_users_to_mend(uri, says):
    with pytest.raises(FeatrixUserError, match=says):
        Registry(uri)


@pytest.mark.parametrize("folder", ["50%20", "a#b", "what?"])
def test_folders_that_mlflow_would_misread(tmp_path, folder):
    with pytest.raises(FeatrixUserError, match="cannot be in a folder"):
        Registry(workdir=tmp_path / folder)
    assert list(tmp_path.iterdir()) == []


def test_folder_with_spaces(tmp_path, make_chain, empty_database):
    home = tmp_path / "größe und zeit"
    home.mkdir()
    shutil.copyfile(empty_database, home / "mlflow.db")
    chain = make_chain(Registry(workdir=home), "credit")
    back = Registry(workdir=home).fetch_bundle(chain.predictor, tmp_path / "back")
    assert read_json(back / "state.json") == {"content": ["credit", "predictor"]}


def test_run_that_ends_well(embedded):
    with embedded.run("train", {"seed": 1}, {"stage": "test"}) as run:
        run.log_metrics({"roc_auc": 0.8, "nothing": float("nan")})
    record = embedded.client.get_run(run.run_id)
    assert record.info.status == "FINISHED"
    assert record.info.run_name == "train"
    assert record.data.params == {"seed": "1"}
    assert record.data.metrics == {"roc_auc": 0.8}
    assert record.data.tags["stage"] == "test"


def test_run_that_fails(embedded):
    with pytest.raises(ZeroDivisionError), embedded.run("train") as run:
        run.log_metrics({"x": 1 / 0})
    record = embedded.client.get_run(run.run_id)
    assert record.info.status == "FAILED"
    assert "ZeroDivisionError" in record.data.tags["featrix.error"]


def test_injected_run_is_joined_and_left_to_its_owner(embedded, monkeypatch):
    with embedded.run("owner", {"target": "risk"}) as owner:
        monkeypatch.setenv("MLFLOW_RUN_ID", owner.run_id)
        with embedded.run("step", {"target": "amount", "seed": 3}) as step:
            assert step.joined
        assert step.run_id == owner.run_id
        assert embedded.client.get_run(owner.run_id).info.status == "RUNNING"
        with embedded.run("step", {"target": "amount", "seed": 3}):
            pass  # a step that is tried again says the same thing twice
    record = embedded.client.get_run(owner.run_id)
    assert record.info.status == "FINISHED"
    assert record.data.params == {"target": "risk", "step.target": "amount", "seed": "3"}


def test_failing_step_marks_the_injected_run(embedded, monkeypatch):
    with embedded.run("owner") as owner:
        pass
    monkeypatch.setenv("MLFLOW_RUN_ID", owner.run_id)
    with pytest.raises(ValueError, match="boom"), embedded.run("step"):
        raise ValueError("boom")
    assert embedded.client.get_run(owner.run_id).info.status == "FAILED"


def test_injected_run_that_is_not_there(embedded, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with (
        pytest.raises(FeatrixUserError, match="MLFLOW_RUN_ID names a run"),
        embedded.run("step"),
    ):
        pass


def test_tables_of_a_run(embedded):
    with embedded.run("read") as run:
        run.log_table_input("credit", "s3://u:secret@host/credit.csv", 1000, "ab" * 32, "train")
    (table,) = embedded.tables(run.run_id)
    assert (table.name, table.rows, table.sha256) == ("credit", 1000, "ab" * 32)
    assert table.source == "s3://***@host/credit.csv"
    assert table.context == "train"
    assert table.scored_by is None


def test_same_bundle_is_the_same_version(embedded, make_chain):
    first = make_chain(embedded, "credit")
    second = make_chain(embedded, "credit")
    assert first.predictor == second.predictor
    assert first.space_v2 == second.space_v2
    assert second.predictor.reused and not first.predictor.reused
    assert len(embedded.client.search_model_versions("name = 'credit'")) == 1
    assert len(embedded.client.search_model_versions("name = 'credit-space'")) == 2


def test_registered_model_holds_no_pickle_and_names_the_loader(embedded, make_chain, tmp_path):
    chain = make_chain(embedded, "credit")
    home = Path(embedded.client.get_logged_model(chain.predictor.model_id).artifact_location)
    files = sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
    assert files == [
        "MLmodel",
        "conda.yaml",
        "data/predictor/manifest.json",
        "data/predictor/manifest.sha256",
        "data/predictor/state.json",
        "python_env.yaml",
        "requirements.txt",
    ]
    flavours = yaml.safe_load((home / "MLmodel").read_text())["flavors"]
    assert flavours["python_function"]["loader_module"] == "featrix_core.registry.pyfunc"


def test_mlflow_loads_through_our_bundle(embedded, make_chain):
    """The loader module is reached, and it looks at the seal before anything else."""
    chain = make_chain(embedded, "credit")
    home = Path(embedded.client.get_logged_model(chain.predictor.model_id).artifact_location)
    write_json(home / "data" / "predictor" / "state.json", {"content": "another"})
    with pytest.raises(BundleError, match=r"state\.json has changed"):
        mlflow.pyfunc.load_model(str(home))


def test_fetch_gives_the_bundle_back(embedded, make_chain, make_bundle, tmp_path):
    chain = make_chain(embedded, "credit")
    for ref, folder, content in (
        (chain.predictor, "predictor", ["credit", "predictor"]),
        (chain.space_v2, "space", ["credit", "space", 2]),
    ):
        original = make_bundle(folder, content)
        back = embedded.fetch_bundle(ref, tmp_path / "back" / folder)
        assert sha256_of(back / "manifest.json") == sha256_of(original / "manifest.json")
        assert read_json(back / "state.json") == {"content": content}
        assert embedded.version(ref).tags[BUNDLE_TAG] == sha256_of(original / "manifest.json")


def test_fetch_refuses_what_was_changed(embedded, make_chain, tmp_path):
    chain = make_chain(embedded, "credit")
    home = Path(embedded.client.get_logged_model(chain.predictor.model_id).artifact_location)
    stored = home / "data" / "predictor"
    write_json(stored / "state.json", {"content": "another"})
    with pytest.raises(BundleError, match=r"state\.json has changed"):
        embedded.fetch_bundle(chain.predictor, tmp_path / "back")
    with writing_bundle(stored, "predictor") as folder:
        write_json(folder / "state.json", {"content": "another"})
    with pytest.raises(BundleError, match="changed since it was registered"):
        embedded.fetch_bundle(chain.predictor, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_only_sound_bundles_of_the_kind_are_registered(embedded, make_bundle, tmp_path):
    damaged = make_bundle("space", 1)
    write_json(damaged / "state.json", {"content": "another"})
    with embedded.run("train") as run:
        with pytest.raises(BundleError, match=r"manifest\.json"):
            embedded.register_bundle(run, tmp_path, "space", "x", {})
        with pytest.raises(BundleError, match=r"state\.json has changed"):
            embedded.register_bundle(run, damaged, "space", "x", {})
        with pytest.raises(BundleError, match="holds a space"):
            embedded.register_bundle(run, make_bundle("space", 2), "predictor", "x", {})
    assert embedded.client.search_registered_models() == []


def test_one_name_holds_one_kind(embedded, make_bundle):
    with embedded.run("train") as run:
        embedded.register_bundle(run, make_bundle("space", 1), "space", "credit", {})
        with pytest.raises(FeatrixUserError, match="already belongs to a space"):
            embedded.register_bundle(run, make_bundle("predictor", 2), "predictor", "credit", {})


def test_names_that_mlflow_refuses(embedded, make_bundle):
    with embedded.run("train") as run:
        slash = embedded.register_bundle(
            run, make_bundle("predictor", 1), "predictor", "a/b: c@d", {}
        )
        colon = embedded.register_bundle(
            run, make_bundle("predictor", 2), "predictor", "a:b/ c@d", {}
        )
        dots = embedded.register_bundle(run, make_bundle("predictor", 3), "predictor", "..", {})
        umlaut = embedded.register_bundle(
            run, make_bundle("predictor", 4), "predictor", "größe.v2", {}
        )
    assert len({ref.name for ref in (slash, colon, dots, umlaut)}) == 4
    assert umlaut.name == "größe.v2"
    assert embedded.resolve("a/b: c@d") == slash
    assert embedded.resolve("größe.v2/1") == umlaut
    assert registered_name(slash.name) == slash.name


def test_resolve_every_form(embedded, make_chain):
    chain = make_chain(embedded, "credit")
    embedded.client.set_registered_model_alias("credit-space", "champion", "1")
    forms = {
        "credit": chain.predictor,
        "credit/1": chain.predictor,
        "models:/credit/1": chain.predictor,
        f"models:/{chain.predictor.model_id}": chain.predictor,
        "credit-space": chain.space_v1,
        "credit-space@champion": chain.space_v1,
        "models:/credit-space@champion": chain.space_v1,
        "credit-space/2": chain.space_v2,
    }
    assert {form: embedded.resolve(form) for form in forms} == forms


@pytest.mark.parametrize(
    "spec", ["other", "credit/9", "credit@nobody", "models:/m-" + "0" * 32, "other@champion", ""]
)
def test_resolve_unknown(embedded, make_bundle, spec):
    with embedded.run("train") as run:
        embedded.register_bundle(run, make_bundle("predictor", 1), "predictor", "credit", {})
    with pytest.raises(FeatrixUserError, match="no such model"):
        embedded.resolve(spec)


def test_unknown_input_registers_nothing(embedded, make_bundle):
    with embedded.run("train") as run, pytest.raises(FeatrixUserError, match="no such model"):
        embedded.register_bundle(
            run, make_bundle("predictor", 1), "predictor", "credit", {}, inputs=["gone/1"]
        )
    assert embedded.client.search_registered_models() == []
