"""First weights from main components: places of categories, projections of texts, sizes, and who is left alone."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from featrix_core import EmbeddingSpace
from featrix_core.encoders import pca_start
from featrix_core.encoders.directions import main_directions
from featrix_core.encoders.pca_start import start_from_components
from featrix_core.encoders.sentences import SCALE

PLACES = ("kitchen table", "dining table", "office chair", "arm chair", "garden hose", "water pipe")
TEXTS = tuple(f"{verb} the {noun} {when}" for verb in ("repair", "paint", "sell", "return", "wash")
              for noun in ("old car", "front door", "wooden boat", "broken lamp")
              for when in ("before winter", "as soon as possible", "next week at the latest"))  # fmt: skip


def frame() -> pd.DataFrame:
    rows = range(180)
    return pd.DataFrame(
        {
            "thing": [PLACES[k * 7 % 6] for k in rows],
            "again": [("yes", "no")[k % 2] for k in rows],
            "told": [TEXTS[k * 11 % 60] for k in rows],
            "size": [0.5 * k * k % 17 for k in rows],
        }
    )


@pytest.fixture(scope="module")
def started() -> tuple[EmbeddingSpace, dict[str, torch.Tensor]]:
    """A space that starts from components, and the random weights that it would have had."""
    space = EmbeddingSpace(frame(), n_epochs=1)
    before = {k: v.clone() for k, v in space.model.encoders.state_dict().items()}
    assert space._rows is not None
    start_from_components(space.model.encoders, space.tokenizer, space._rows)
    return space, before


def block(space: EmbeddingSpace, name: str) -> slice:
    names = [column.name for column in space.tokenizer.families["set"]]
    place = names.index(name)
    start = space.tokenizer.set_offsets[place]
    return slice(start + 2, start + space.tokenizer.set_sizes[place])


def test_categories_stand_where_their_names_stand(
    started: tuple[EmbeddingSpace, dict[str, torch.Tensor]],
) -> None:
    space, before = started
    encoder = space.model.encoders.set
    assert encoder is not None
    rows = block(space, "thing")
    learned, names = encoder.learned_VD.detach()[rows], encoder.semantic_VP[rows]
    ratio = torch.pdist(learned) / torch.pdist(names)
    assert torch.allclose(ratio, ratio[:1].expand_as(ratio), rtol=1e-4)
    size = before["set.learned_VD"][rows].square().mean()
    assert float(learned.square().mean()) == pytest.approx(float(size), rel=1e-4)


def test_texts_are_projected_on_their_components(
    started: tuple[EmbeddingSpace, dict[str, torch.Tensor]],
) -> None:
    """What comes out of the first layer is uncorrelated, around nothing, the widest first; beyond the rank, random."""
    space, before = started
    encoder, rows = space.model.encoders.text, space._rows
    assert encoder is not None and rows is not None
    texts = torch.unique(rows.text_NX[:, 0])
    vectors = rows.text_UE[texts[texts > 0]]
    for name in ("aggressive", "moderate", "standard"):
        layer = getattr(encoder, name).first
        weight, bias = layer.weight_AIO[0].detach(), layer.bias_AO[0].detach()
        found = min(weight.shape[1], len(vectors) - 1)
        out = (vectors * SCALE) @ weight[:, :found] + bias[:found]
        assert out.mean(dim=0).abs().max() < 1e-5
        covariance = (out.T @ out) / len(out)
        spread = covariance.diagonal()
        assert (spread[:-1] >= spread[1:] - 1e-7).all()
        assert (covariance - spread.diag()).abs().max() < 1e-4 * spread[0]
        random = before[f"text.{name}.first.weight_AIO"][0]
        assert float(weight.square().mean()) == pytest.approx(float(random.square().mean()), 0.05)
        assert torch.equal(weight[:, found:], random[:, found:])
    basis = main_directions(vectors.double().numpy(), 4)[1]
    first = encoder.standard.first.weight_AIO[0].detach()[:, :4].double()
    assert torch.allclose(first / first.norm(dim=0), torch.from_numpy(basis), atol=1e-4)


def test_nothing_else_is_touched(started: tuple[EmbeddingSpace, dict[str, torch.Tensor]]) -> None:
    """Columns without sentence vectors (numbers, yes and no), codes for missing and unknown, all other layers."""
    space, before = started
    after = space.model.encoders.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    firsts = {f"text.{n}.first" for n in ("aggressive", "moderate", "standard")}
    weights = {f"{first}.{part}" for first in firsts for part in ("weight_AIO", "bias_AO")}
    assert changed == weights | {"set.learned_VD"}
    rows = block(space, "thing")
    same = (before["set.learned_VD"] == after["set.learned_VD"]).all(dim=1)
    assert same[: rows.start].all() and same[rows.stop :].all() and not same[rows].any()


def test_a_space_starts_so_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pca_start, "WANTED", True)
    one, other = (EmbeddingSpace(frame(), n_epochs=1) for _ in range(2))
    monkeypatch.setattr(pca_start, "WANTED", False)
    plain = EmbeddingSpace(frame(), n_epochs=1)
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name])
    differing = "encoders.set.learned_VD"
    assert not torch.equal(one.model.state_dict()[differing], plain.model.state_dict()[differing])
    one.train()
    assert one.training_info["final_validation_loss"] > 0


def test_lists_share_one_projection() -> None:
    words = ["red wine", "white bread", "green tea", "black coffee", "cold beer", "hot soup"]
    lists = ["; ".join({words[k % 6], words[k * 5 % 7 % 6], words[k // 6 % 6]}) for k in range(120)]
    space = EmbeddingSpace(pd.DataFrame({"bought": lists, "n": range(120)}), n_epochs=1)
    encoder = space.model.encoders.text
    assert encoder is not None and space._rows is not None and space._rows.part_NXL.any()
    before = encoder.reduce.weight.detach().clone()
    start_from_components(space.model.encoders, space.tokenizer, space._rows)
    assert not torch.equal(before[0], encoder.reduce.weight[0])
    assert torch.equal(before[10:], encoder.reduce.weight[10:]), "six words have five components"
