"""A predictor as one module of tensors only, for export: no branch and no shape in it depends on the cells' values.

What the library computes by looking at the data first is computed here in a way that gives the same figures: every
category of every row instead of the distinct ones, every text's reduction instead of those of the parts in use,
`where` instead of writing to the places of missing cells. Everything else calls the library's own modules.

Legend: N rows · A columns · C set columns · X text columns · L parts · K classes or strategies · O outputs · E heads ·
D token width · U rows of a table of distinct values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from featrix_core.encoders.column_encoders import ColumnEncoders
from featrix_core.encoders.scalar_encoder import ScalarEncoder, piecewise_linear
from featrix_core.encoders.sentences import SCALE
from featrix_core.encoders.set_encoder import SetEncoder
from featrix_core.encoders.text_encoder import STRATEGIES, TextEncoder
from featrix_core.encoders.tokens import FAMILIES, FAMILY_OF, SENTENCE_CODES, TokenBatch
from featrix_core.predictor.calibration import Calibration
from featrix_core.predictor.network import Head
from featrix_core.predictor.number_scales import Scale
from featrix_core.predictor.objective import PredictorNet, combine
from featrix_core.predictor.outputs import Outputs
from featrix_core.predictor.target_coding import TargetCoding
from featrix_core.space.joint_encoder import Encoded
from featrix_core.space.model import SpaceModel

_LOWEST, _FLOOR = -50.0, -1e6
"""Log-probabilities are cut off as `calibration.clean_logits` does."""


def fields_read(example: TokenBatch) -> tuple[str, ...]:
    """Names of the tensors that the graph takes: those of families that have columns, and their tables."""
    names = [name for name in FAMILY_OF if getattr(example, name).shape[1]]
    if "codes_NC" in names:
        names.append("extra_UP")
    if set(names) & set(SENTENCE_CODES):
        names.append("text_UE")
    return tuple(names)


class ScalarTokens(nn.Module):
    """`ScalarEncoder` with look-ups for its `embedding_bag`, which ONNX has only as a loop.

    Shape: TokenBatch → (N, S, D).
    """

    def __init__(self, encoder: ScalarEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        share_SQ = encoder.strategies().detach()
        weight_SQ = share_SQ / share_SQ.square().mean(-1, keepdim=True).sqrt()
        columns, size, _ = encoder.table_SVD.shape
        start_SJ = encoder.start_J + torch.arange(columns).unsqueeze(-1) * size
        self.register_buffer("smooth_SF", weight_SQ[:, encoder.smooth_F])
        self.register_buffer("discrete_SJ1", weight_SQ[:, encoder.discrete_J].unsqueeze(-1))
        self.register_buffer("start_SJ", start_SJ)
        self.smooth_SF: Tensor
        self.discrete_SJ1: Tensor
        self.start_SJ: Tensor

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode every number."""
        encoder = self.encoder
        code_NSK = piecewise_linear(batch.position_NS)
        smooth_NSF = batch.smooth_NSF * self.smooth_SF
        smooth = encoder.continuous(torch.cat([smooth_NSF, code_NSK], dim=-1))
        table = encoder.table_SVD.flatten(0, 1)
        entries = nn.functional.embedding(batch.discrete_NSJ + self.start_SJ, table)
        binned = encoder.binned(nn.functional.gelu((entries * self.discrete_SJ1).sum(dim=2)))
        mix = torch.sigmoid(encoder.gate(torch.cat([smooth, binned], dim=-1)))
        return encoder.norm(torch.lerp(binned, smooth, mix))


class SetTokens(nn.Module):
    """`SetEncoder` without its look for distinct codes. Shape: TokenBatch → (N, C, D)."""

    def __init__(self, encoder: SetEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode every category of every row."""
        learned, semantic, share = self.encoder._paths(batch.codes_NC, batch.extra_UP)
        return self.encoder.norm(torch.lerp(semantic, learned, share))


class TextTokens(nn.Module):
    """`TextEncoder` with its surviving strategies fixed. Shape: TokenBatch → (N, X, D)."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        alive_XK, share_XK = encoder.strategies.alive_AK, encoder.strategies().detach()
        self.names: list[str] = []
        for k, name in enumerate(STRATEGIES):
            columns = alive_XK[:, k].nonzero().flatten()
            if name == "ZERO" or not len(columns):
                continue
            place = torch.zeros(len(alive_XK), len(columns))
            place[columns, torch.arange(len(columns))] = share_XK[columns, k]
            self.names.append(name)
            self.register_buffer(f"columns_{name}", columns)
            self.register_buffer(f"place_{name}", place)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode every text."""
        encoder = self.encoder
        whole = nn.functional.embedding(batch.text_NX, batch.text_UE) * SCALE
        out = whole.new_zeros(*batch.text_NX.shape, encoder.norm.gain_AO.shape[1])
        for name in self.names:
            columns = getattr(self, f"columns_{name}")
            if name in ("DELIMITER", "DELIM_ATTN"):
                token = self._parts(name, batch, columns)
            else:
                token = encoder._token(name, batch, whole, columns)
            token = nn.functional.layer_norm(token, token.shape[-1:])
            out = out + getattr(self, f"place_{name}") @ token
        return encoder.norm(out)

    def _parts(self, name: str, batch: TokenBatch, columns: Tensor) -> Tensor:
        encoder = self.encoder
        part_NXL = batch.part_NXL[:, columns]
        reduced = nn.functional.embedding(part_NXL, encoder.reduce(batch.text_UE * SCALE))
        present = part_NXL > 0
        if name == "DELIMITER":
            number = present.sum(-1, keepdim=True).clamp(min=1)
            return encoder.delimiter((reduced * present.unsqueeze(-1)).sum(2) / number, columns)
        rows, count, length, width = reduced.shape
        part = encoder.part(reduced.transpose(1, 2).reshape(-1, count, width), columns)
        tokens = part.reshape(rows, length, count, part.shape[-1]).transpose(1, 2)
        return encoder.part_pool(tokens, present, columns)


class ColumnTokens(nn.Module):
    """`ColumnEncoders` for export. Shape: TokenBatch → (N, A, D)."""

    def __init__(self, encoders: ColumnEncoders) -> None:
        super().__init__()
        self.missing_AD = encoders.missing_AD
        found: dict[str, nn.Module] = {}
        for name in FAMILIES:
            encoder = getattr(encoders, name)
            if isinstance(encoder, ScalarEncoder):
                encoder = ScalarTokens(encoder)
            elif isinstance(encoder, SetEncoder):
                encoder = SetTokens(encoder)
            elif isinstance(encoder, TextEncoder):
                encoder = TextTokens(encoder)
            if encoder is not None:
                found[name] = encoder
        self.families = nn.ModuleDict(found)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Encode all cells."""
        tokens_NAD = torch.cat([encode(batch) for encode in self.families.values()], dim=1)
        return torch.where(batch.missing_NA.unsqueeze(-1), self.missing_AD, tokens_NAD)


class Probabilities(nn.Module):
    """A fitted calibration. Shape: log-probabilities (N, K) → float64 probabilities (N, K)."""

    def __init__(self, calibration: Calibration) -> None:
        super().__init__()
        self.method, self.two = calibration.method, calibration.n_classes == 2
        self.temperature = calibration.temperature
        self.slope_K = torch.tensor(calibration.slopes, dtype=torch.float64)
        self.intercept_K = torch.tensor(calibration.intercepts, dtype=torch.float64)
        self.curves = [
            (torch.tensor(c.x, dtype=torch.float64), torch.tensor(c.y, dtype=torch.float64))
            for c in calibration.curves
        ]

    def forward(self, answer_NK: Tensor) -> Tensor:
        """Calibrate."""
        logits = torch.log_softmax(answer_NK.double().clamp(min=_FLOOR), dim=-1)
        logits = logits.clamp(min=_LOWEST)
        if self.method in ("none", "temperature"):
            return torch.softmax(logits / self.temperature, dim=-1)
        scores = logits[:, 1:2] - logits[:, 0:1] if self.two else logits
        if self.method == "platt":
            events = torch.sigmoid(scores * self.slope_K + self.intercept_K)
        else:
            events = torch.cat(
                [_interpolated(scores[:, k : k + 1], x, y) for k, (x, y) in enumerate(self.curves)],
                dim=1,
            )
        if self.two:
            return torch.cat([1.0 - events, events], dim=1)
        return events / events.sum(dim=1, keepdim=True).clamp(min=1e-300)


def _interpolated(score_N1: Tensor, x_P: Tensor, y_P: Tensor) -> Tensor:
    """`numpy.interp` as a sum of ramps: each of them adds its rise, and no rounding makes it add more."""
    width = (x_P[1:] - x_P[:-1]).clamp(min=1e-300)
    passed = ((score_N1 - x_P[:-1]) / width).clamp(0.0, 1.0)
    return y_P[0] + (passed * (y_P[1:] - y_P[:-1])).sum(dim=1, keepdim=True)


class Numbers(nn.Module):
    """Numbers of a target, intervals and std. Shape: answer (N, 1), spread (N,) → four times float64 (N,)."""

    def __init__(self, outputs: Outputs, coding: TargetCoding) -> None:
        super().__init__()
        assert outputs.interval is not None
        self.interval, self.coding, self.ratio = outputs.interval, coding, outputs.ratio
        # The scale is a straight line of the spread, cut off at ten times the usual one.
        self.usual = max(outputs.usual_spread, 1e-12)

    def forward(self, answer_N1: Tensor, spread_N: Tensor) -> tuple[Tensor, ...]:
        """(value, low, high, std)."""
        coding, interval = self.coding, self.interval
        value = _inverse(
            coding.transform, answer_N1[:, 0].double() * coding.std + coding.mean, coding.unit
        )
        bounds = (interval.minimum, interval.maximum)
        value = _within(value * self.ratio, *bounds)
        scale = 0.5 + 0.5 * (spread_N.double() / self.usual).clamp(max=10.0)
        scale = scale.clamp(min=interval.scale_floor)
        low, high = self._around(value, interval.quantile * scale)
        std = interval.spread * scale
        if interval.transform != "identity":
            below, above = self._around(value, std)
            std = (above - below) / 2.0
        return value, _within(low, *bounds), _within(high, *bounds), std

    def _around(self, value_N: Tensor, half_N: Tensor) -> tuple[Tensor, Tensor]:
        kind, unit = self.interval.transform, self.interval.unit
        z_N = _forward(kind, value_N, unit)
        low, high = (_inverse(kind, z_N + half, unit) for half in (-half_N, half_N))
        return torch.minimum(low, value_N), torch.maximum(high, value_N)


def _forward(scale: Scale, value: Tensor, unit: float) -> Tensor:
    """`number_scales.forward` of a tensor."""
    if scale == "sqrt":
        return value.clamp(min=0.0).sqrt()
    if scale == "log1p":
        return torch.log(value.clamp(min=0.0) + 1.0)
    if scale == "asinh":  # spelt out: onnxruntime has neither it nor sinh for double figures
        part = value / unit
        return torch.sign(part) * torch.log(part.abs() + (part.square() + 1.0).sqrt())
    return value


def _inverse(scale: Scale, value: Tensor, unit: float) -> Tensor:
    """`number_scales.inverse` of a tensor."""
    if scale == "sqrt":
        return value.clamp(min=0.0).square()
    if scale == "log1p":
        return torch.exp(value.clamp(0.0, 700.0)) - 1.0
    if scale == "asinh":
        part = value.clamp(-700.0, 700.0)
        return (torch.exp(part) - torch.exp(-part)) * (0.5 * unit)
    return value


def _within(value: Tensor, low: float | None, high: float | None) -> Tensor:
    return value if low is None and high is None else value.clamp(low, high)


class PredictorGraph(nn.Module):
    """Tokens of rows → what a predictor says of them.

    Shape: tensors of a `TokenBatch` by name (see `fields_read`) → `outputs` in their order: `probabilities` (N, K),
    or `value`, `low`, `high`, `std` (N,); then `row_embedding` (N, M).
    """

    def __init__(
        self,
        space: SpaceModel,
        members: Sequence[PredictorNet],
        outputs: Outputs,
        coding: TargetCoding,
        example: TokenBatch,
    ) -> None:
        super().__init__()
        self.space = space
        self.classification = coding.classification
        heads = [net.head for net in members]
        self.heads = nn.ModuleList(heads)
        self.first = heads[0]
        self.shared = all(net.space is space for net in members)
        spaces = [] if self.shared else [net.space for net in members]
        self.spaces = nn.ModuleList(spaces)
        self.own = nn.ModuleList([ColumnTokens(own.encoders) for own in spaces])
        self.columns = ColumnTokens(space.encoders)
        if coding.classification:
            assert outputs.calibration is not None
            self.said: Probabilities | Numbers = Probabilities(outputs.calibration)
        else:
            self.said = Numbers(outputs, coding)
        # Tensors of families without columns are made inside.
        self.reads = fields_read(example)
        self.absent = {
            name: (value.shape[1:], value.dtype)
            for name, value in vars(example).items()
            if name not in self.reads
        }
        self.eval()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the results."""
        own = ("probabilities",) if self.classification else ("value", "low", "high", "std")
        return (*own, "row_embedding")

    def forward(self, cells: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Answer of the whole bag."""
        batch = self._batch(cells)
        encoded = self.space.joint(self.columns(batch), None, self.space.pairs_Q2)
        if self.shared:
            read = self.first.inputs(encoded.row_BM, encoded.context_BAD, batch)
            logits = [head(read) for head in self.heads]
        else:
            logits = [
                self._tuned(number, batch, head)
                for number, head in enumerate(self.heads)
                if isinstance(head, Head)
            ]
        said = torch.stack([combine(logits_ENO, self.classification) for logits_ENO in logits])
        if isinstance(self.said, Probabilities):
            answer = torch.logsumexp(said, dim=0) - math.log(len(logits))
            return self.said(answer), encoded.row_BM
        each = [logits_ENO[..., 0].std(dim=0, unbiased=False) for logits_ENO in logits]
        return *self.said(said.mean(dim=0), torch.stack(each).mean(dim=0)), encoded.row_BM

    def _tuned(self, number: int, batch: TokenBatch, head: Head) -> Tensor:
        """Logits of a member with an encoder of its own."""
        space = self.spaces[number]
        assert isinstance(space, SpaceModel)
        own: Encoded = space.joint(self.own[number](batch), None, space.pairs_Q2)
        return head(head.inputs(own.row_BM, own.context_BAD, batch))

    def _batch(self, cells: dict[str, Tensor]) -> TokenBatch:
        some = next(iter(cells.values()))
        rows = cells[self.reads[0]].shape[0]
        made = {
            name: some.new_zeros((rows if name in FAMILY_OF else 1, *shape), dtype=dtype)
            for name, (shape, dtype) in self.absent.items()
        }
        return TokenBatch(**cells, **made)
