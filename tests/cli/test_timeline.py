"""`featrix timeline`: six panels, a summary and the movie's page; plain refusals of what is no timeline (TRAIN-5)."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from featrix_core import EmbeddingSpace
from featrix_core.errors import FeatrixUserError
from featrix_core.report.content import ReportContent, TargetReport
from featrix_core.report.figures import PALETTE
from featrix_core.report.html import render_report
from featrix_core.steps.names import WORK_PREFIX
from featrix_core.steps.timeline_step import PICTURE, as_timeline, read_document, show_timeline
from featrix_core.training.timeline import OTHERS, of_bag

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Refused = Callable[..., str]


def document(epochs: int = 30) -> dict[str, Any]:
    """A timeline as D12 describes it, with one boost."""
    entries = [
        {
            "epoch": k,
            "learning_rate": 1e-3 * (3 if 16 <= k <= 25 else 1),
            "train_loss": 4.0 - 0.05 * k,
            "validation_loss": 4.2 - 0.04 * k,
            "dropout_rate": 0.5,
            "spread_loss": 0.03,
            "spread_temperature": 0.08,
            "gradients": {"unclipped_norm": 2.4, "clipped_norm": 2.1, "clip_ratio": 0.86},
            "failures_detected": ["NO_LEARNING"] if k == 15 else [],
            "early_stop_blocked": 15 <= k < 25,
            "corrective_actions": ["LR_BOOST_3X"] if k == 15 else [],
            "val_set_resampled": False,
        }
        for k in range(1, epochs + 1)
    ]
    details = {"lr_multiplier": 3.0, "boost_epochs": 10}
    action = {"epoch": 15, "action_type": "LR_BOOST", "trigger": "NO_LEARNING", "details": details}
    metadata = {"initial_lr": 0.001, "total_epochs": epochs, "batch_size": 256}
    return {"metadata": metadata, "timeline": entries, "corrective_actions": [action]}


@pytest.fixture(scope="module")
def space(credit_space: EmbeddingSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("timeline") / "credit" / "space"
    credit_space.save(folder)
    return folder


def test_a_fit_at_work_can_be_looked_at(tmp_path: Path) -> None:
    place = tmp_path / f"{WORK_PREFIX}0123456789ab" / "base.training"
    place.mkdir(parents=True)
    (place / "training_timeline.json").write_text(json.dumps(document()), encoding="utf-8")
    found, path = read_document(tmp_path)
    assert len(found["timeline"]) == 30 and path.parent == place


def written(folder: Path, content: Any) -> Path:
    path = folder / "run.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def colours(picture: Path) -> set[tuple[int, ...]]:
    return {tuple(c) for c in (imread(picture)[..., :3] * 255).round().astype(int).reshape(-1, 3)}


def test_the_command_draws_and_sums_up(run: Run, space: Path, tmp_path: Path) -> None:
    result = run("timeline", space.parent, "--movie", "movie.html", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Epochs: 2 of 2 planned")
    assert f"written: {PICTURE}" in result.stderr and "written: movie.html" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["movie.html", PICTURE]
    assert (tmp_path / PICTURE).read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "movie.html").read_text(encoding="utf-8")
    assert "Training of credit/space" in page and '"points":' in page
    assert len(page) < 6_000_000


def test_the_picture_marks_boosts_and_interventions(tmp_path: Path) -> None:
    red = (0xCF, 0x4F, 0x45)
    boosted = document()
    plain = {**document(), "corrective_actions": []}
    for entry in plain["timeline"]:
        entry["corrective_actions"] = []
    text = show_timeline(written(tmp_path, boosted), tmp_path / "boosted.png")
    show_timeline(written(tmp_path, plain), tmp_path / "plain.png")
    assert red in colours(tmp_path / "boosted.png") and red not in colours(tmp_path / "plain.png")
    assert "NO_LEARNING: 1 epoch (15)" in text and "LR_BOOST on NO_LEARNING" in text
    again = tmp_path / "again.png"
    show_timeline(written(tmp_path, plain), again)
    assert again.read_bytes() == (tmp_path / "plain.png").read_bytes()


def test_a_value_that_never_changes_is_said_and_not_drawn(tmp_path: Path) -> None:
    """The dropout panel, lower left: a curve where the rate falls, words where it is the same all along."""
    blue, lower_left = PALETTE[0], (slice(600, None), slice(0, 500))
    wanted = tuple(int(blue[k : k + 2], 16) for k in (1, 3, 5))
    drawn = []
    for name, fall in (("constant", 0.0), ("falling", 0.01)):
        content = document()
        for entry in content["timeline"]:
            entry["dropout_rate"] -= fall * entry["epoch"]
        show_timeline(written(tmp_path, content), tmp_path / f"{name}.png")
        pixels = (imread(tmp_path / f"{name}.png")[lower_left][..., :3] * 255).round().astype(int)
        drawn.append((pixels == wanted).all(axis=-1).any())
        assert (pixels < 200).all(axis=-1).any(), "words or ticks"
    assert drawn == [False, True]


def test_what_an_older_writer_left_out_is_not_missed(tmp_path: Path) -> None:
    content = {"timeline": [{"epoch": 1, "train_loss": 2.0, "validation_loss": 2.1,
                             "learning_rate": 0.0}]}  # fmt: skip
    text = show_timeline(written(tmp_path, content), tmp_path / "one.png")
    assert "Best epoch: 1" in text and imread(tmp_path / "one.png").shape[2] >= 3


def test_the_epoch_that_was_kept_is_the_one_that_training_says(space: Path) -> None:
    found, path = read_document(space)
    info = json.loads((space / "space.json").read_text(encoding="utf-8"))["training_info"]
    assert as_timeline(found, path).best_epoch == info["best_epoch"]


def bag() -> dict[str, Any]:
    """Three members: nothing is done for the first one, the last one is boosted."""
    members = [document() for _ in range(3)]
    for k, member in enumerate(members):
        member["metadata"] |= {"member": k, "members": 3}
    for member in members[:2]:
        member["corrective_actions"] = []
        for entry in member["timeline"]:
            entry["corrective_actions"], entry["failures_detected"] = [], []
    return of_bag(members)


def test_every_member_of_a_bag_is_summed_up(tmp_path: Path) -> None:
    path = written(tmp_path, bag())
    first, second, third = show_timeline(path, tmp_path / "bag.png").split("\n\n")
    assert first.startswith("Member 1 of 3:\n") and "Interventions: none" in first
    assert second.startswith("Member 2 of 3:\n") and "Interventions: none" in second
    assert third.startswith("Member 3 of 3:\n") and "LR_BOOST on NO_LEARNING" in third
    shown = TargetReport(target="t", kind="scalar", timeline=as_timeline(*read_document(path)))
    page = render_report(ReportContent(title="bag", targets=(shown,)))
    assert "The curves are those of member 1 of 3." in page
    assert "Failures and interventions, member 3 of 3" in page and "LR_BOOST_3X" in page
    assert "Failures and interventions, member 1 of 3" not in page


def test_a_bag_of_which_the_first_member_was_kept(tmp_path: Path) -> None:
    """As earlier versions stored it."""
    content = bag()
    del content[OTHERS]
    text = show_timeline(written(tmp_path, content), tmp_path / "bag.png")
    assert text.startswith("Member 1 of 3:\n") and "Member 2" not in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "no timeline"),
        ({**document(2), OTHERS: 7}, "no timeline"),
        ({**document(2), OTHERS: [7]}, "no timeline"),
        ({"a": 1}, "no timeline"),
        ({"timeline": [1]}, "no timeline"),
        ({"timeline": []}, "no epoch yet"),
        ({"timeline": [{"epoch": "x", "validation_loss": 1.0}]}, "cannot be read"),
        ({"timeline": [{"validation_loss": 1.0}]}, "epoch"),
        ({"timeline": [{"epoch": 1}]}, "validation_loss"),
        ({"timeline": [{"epoch": 1, "validation_loss": 1.0}]}, "learning_rate"),
        ({**document(2), "corrective_actions": [7]}, "cannot be read"),
    ],
)
def test_what_is_no_timeline_is_refused(content: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(FeatrixUserError, match=said) as caught:
        show_timeline(written(tmp_path, content), tmp_path / "out.png")
    assert "run.json" in str(caught.value)
    assert not (tmp_path / "out.png").exists()


def test_refusals_say_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "text.json").write_text("epoch 1", encoding="utf-8")
    for source, said in (("text.json", "JSON"), ("none.json", "no training timeline"), (".", "no")):
        with pytest.raises(FeatrixUserError, match=said):
            show_timeline(tmp_path / source, tmp_path / "out.png")
    path = written(tmp_path, document())
    with pytest.raises(FeatrixUserError, match=re.escape(".png")):
        show_timeline(path, tmp_path / "out.pdf")
    with pytest.raises(FeatrixUserError, match=r"--movie.*\.html"):
        show_timeline(path, tmp_path / "out.png", tmp_path / "movie.mp4")
    with pytest.raises(FeatrixUserError, match="kept with a space"):
        show_timeline(path, tmp_path / "out.png", tmp_path / "movie.html")
    assert not (tmp_path / "out.png").exists()


def test_the_command_refuses_in_one_sentence(refused: Refused, tmp_path: Path) -> None:
    said = refused("timeline", written(tmp_path, {"a": 1}), cwd=tmp_path)
    assert "The file is no timeline" in said and "run.json" in said
