"""Running a DAG on one machine: order, outputs, cache, errors, awkward paths (OPS-1, OPS-9).

kfp reads the components' annotations as types, so they are not postponed in this file.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from featrix_core.errors import BundleError, FeatrixError, FeatrixUserError
from pipelines import run_local
from pipelines.run_local import LocalRun, StepRun

PLAIN = {"base_image": "python:3.11", "install_kfp_package": False}


@dsl.component(**PLAIN)
def read(data: str, data_version: str, table: dsl.Output[dsl.Dataset]) -> None:
    """Copy a file into a folder artifact."""
    from pathlib import Path

    print("reading", data)
    folder = Path(table.path)
    folder.mkdir(parents=True)
    (folder / "rows.txt").write_text(Path(data).read_text())


@dsl.component(**PLAIN)
def fit(
    table: dsl.Input[dsl.Dataset],
    target: str,
    model: dsl.Output[dsl.Model],
    maybe: dsl.Input[dsl.Model] = None,
) -> None:
    """Write a model that knows its target; some targets fail."""
    import sys
    from pathlib import Path

    from featrix_core.errors import BundleError, FeatrixUserError, TrainingError

    if target == "refused":
        raise FeatrixUserError("There is no such target", column=target, remedy="Name a column")
    if target == "chained":
        try:
            int("x")
        except ValueError as error:
            raise BundleError("The bundle is damaged") from error
    if target == "collapsed":
        raise TrainingError("The embedding collapsed")
    if target == "broken":
        raise ZeroDivisionError("float division")
    assert maybe is None
    rows = (Path(table.path) / "rows.txt").read_text()
    Path(model.path).parent.mkdir(parents=True, exist_ok=True)
    Path(model.path).write_text(f"{target} {rows.strip()} {sys.prefix}")


@dsl.component(**PLAIN)
def record(model: dsl.Input[dsl.Model], entry: dsl.Output[dsl.Artifact]) -> None:
    """Hand the model on."""
    from pathlib import Path

    Path(entry.path).parent.mkdir(parents=True, exist_ok=True)
    Path(entry.path).write_text(Path(model.path).read_text())


@dsl.pipeline(name="small")
def small(data: str, targets: list[str], data_version: str = "") -> None:
    """The shape of the real DAG: one step, then a loop over the targets."""
    table = read(data=data, data_version=data_version).outputs["table"]
    with dsl.ParallelFor(items=targets) as target:
        model = fit(table=table, target=target).set_retry(2, backoff_duration="60s")
        record(model=model.outputs["model"]).set_caching_options(False)


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """A folder whose name holds what breaks commands that are put together as text."""
    folder = tmp_path / "it's a python3 folder"
    folder.mkdir()
    (folder / "data.csv").write_text("1000 rows")
    return folder


def run(workdir: Path, *targets: str, **callbacks: Any) -> LocalRun:
    data = workdir / "data.csv"
    arguments = {"data": str(data), "targets": list(targets)}
    arguments["data_version"] = run_local._version([data])
    on_step, on_start = callbacks.get("on_step"), callbacks.get("on_start")
    return run_local._run(small, arguments, workdir, list(targets), on_step, on_start)


def test_steps_run_in_order_and_hand_over_their_outputs(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment, interpreter = dict(os.environ), sys.executable
    seen: list[str] = []

    def on_start(step: str, target: str | None) -> None:
        seen.append(f"start {step} {target}")

    def on_step(end: StepRun) -> None:
        print("told", end.step)
        seen.append(f"end {end.step} {end.target}")

    result = run(workdir, "a", "b", on_start=on_start, on_step=on_step)
    order = ["read None", "fit a", "record a", "fit b", "record b"]
    assert seen == [f"{moment} {step}" for step in order for moment in ("start", "end")]
    # The steps ran in this very environment, and each saw its own target and the folder artifact.
    for target in ("a", "b"):
        text = result.output("record", "entry", target).read_text()
        assert text == f"{target} 1000 rows {sys.prefix}"
    assert (result.output("read", "table") / "rows.txt").read_text() == "1000 rows"
    assert all(step.seconds > 0 and not step.reused for step in result.steps)
    # The terminal shows what the callbacks say; everything else is in the log.
    assert capsys.readouterr().out.split("\n") == [f"told {s.split()[0]}" for s in order] + [""]
    assert f"reading {workdir / 'data.csv'}" in result.log.read_text()
    assert (dict(os.environ), sys.executable) == (environment, interpreter)


def test_results_are_reused_until_the_data_changes(workdir: Path) -> None:
    run(workdir, "a")
    again = run(workdir, "a")
    assert [(s.step, s.reused) for s in again.steps] == [
        ("read", True),
        ("fit", True),
        ("record", False),
    ]
    assert again.output("record", "entry", "a").read_text().startswith("a 1000 rows")
    (workdir / "data.csv").write_text("1001 rows")
    changed = run(workdir, "a")
    assert not any(step.reused for step in changed.steps)
    assert changed.output("record", "entry", "a").read_text().startswith("a 1001 rows")


@pytest.mark.parametrize(
    ("target", "kind", "message"),
    [
        ("refused", FeatrixUserError, "There is no such target (column 'refused'). Name a column."),
        ("chained", BundleError, "The bundle is damaged."),
    ],
)
def test_a_refusal_keeps_its_words(
    workdir: Path, target: str, kind: type[FeatrixError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        run(workdir, "a", target)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("target", "reason"),
    [("collapsed", "The embedding collapsed"), ("broken", "ZeroDivisionError: float division")],
)
def test_another_failure_names_step_and_log(workdir: Path, target: str, reason: str) -> None:
    with pytest.raises(FeatrixError) as caught:
        run(workdir, target)
    assert not isinstance(caught.value, FeatrixUserError)
    text = str(caught.value)
    assert "'fit'" in text and reason in text and str(workdir / "run.log") in text


def test_a_missing_file_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(FeatrixUserError, match=r"does not exist.*nothing\.csv"):
        run_local.run_train({"data": "nothing.csv", "targets": ["class"]}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_parameter_is_refused(tmp_path: Path, german_credit: Path) -> None:
    arguments = {"data": str(german_credit), "targets": ["class"], "sead": 1}
    with pytest.raises(TypeError, match="sead"):
        run_local.run_train(arguments, tmp_path / "out")


@dsl.component(**PLAIN)
def linger(data: str, data_version: str, table: dsl.Output[dsl.Dataset]) -> None:
    """Say which process this is, and stay."""
    import os
    import time
    from pathlib import Path

    Path(data).write_text(str(os.getpid()))
    time.sleep(60)


@dsl.pipeline(name="lingering")
def lingering(data: str, targets: list[str], data_version: str = "") -> None:
    """A step that would stay for a minute, inside of the loop."""
    with dsl.ParallelFor(items=targets):
        linger(data=data, data_version=data_version)


def ended(pid: int) -> bool:
    """Gone, or waiting for init to take note of its end, within five seconds."""
    state = Path(f"/proc/{pid}/stat")
    for _ in range(100):
        try:
            if state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_step_too(workdir: Path, number: signal.Signals) -> None:
    mark = workdir / "data.csv"
    before = signal.getsignal(number)

    def interrupt() -> None:
        while not mark.read_text().isdigit():
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    watcher = threading.Thread(target=interrupt)
    begin = time.monotonic()
    mark.write_text("")
    watcher.start()
    with pytest.raises(KeyboardInterrupt):
        arguments = {"data": str(mark), "targets": ["a"]}
        run_local._run(lingering, arguments, workdir, ["a"], None, None)
    watcher.join()
    assert time.monotonic() - begin < 30
    assert ended(int(mark.read_text()))
    assert signal.getsignal(number) is before


def test_an_exception_of_the_caller_is_not_lost(workdir: Path) -> None:
    def on_step(end: StepRun) -> None:
        if end.step == "fit":
            raise LookupError("nowhere to show it")

    with pytest.raises(LookupError, match="nowhere to show it"):
        run(workdir, "a", on_step=on_step)
