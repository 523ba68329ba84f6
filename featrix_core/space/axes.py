"""Turns the row embedding so that its first axes carry the most (D15: the short vector).

An orthogonal turn changes no length, angle or prediction; it only decides what the first three dimensions
show. They become the three main axes of the training rows. The other axes are mixed evenly: were they
sorted by strength as well, whoever standardises the columns of an embedding would blow up its weakest
directions (a linear probe on German credit fell from 0.83 to 0.73 AUC).

Legend: N rows · M row width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from featrix_core.space.model import SpaceModel

SHOWN = 3
"""Dimensions of the short vector."""


def main_axes(rows_NM: Tensor) -> Tensor:
    """Orthogonal matrix (M, M): first the rows' three main axes, then an even mixture of the others."""
    centred = (rows_NM - rows_NM.mean(dim=0)).double()
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    axes = vectors.flip(1)
    # A direction's sign is arbitrary: fix it, so that the same rows give the same picture.
    signs = axes[axes.abs().argmax(dim=0), torch.arange(axes.shape[1])].sign()
    axes = axes * signs
    generator = torch.Generator().manual_seed(0)
    rest = axes.shape[1] - SHOWN
    noise = torch.randn(rest, rest, generator=generator, dtype=axes.dtype)
    mixing, _ = torch.linalg.qr(noise)
    return torch.cat([axes[:, :SHOWN], axes[:, SHOWN:] @ mixing], dim=1).float()


@torch.no_grad()
def turn_axes(model: SpaceModel, rows_NM: Tensor) -> Tensor:
    """Turn everything that writes or reads the row embedding, in place; the matrix (M, M) it was turned by."""
    axes_MM = main_axes(rows_NM)
    joint, decoders = model.joint, model.decoders
    joint.axes_MM.copy_(joint.axes_MM @ axes_MM)
    decoders.code_SMK.copy_(axes_MM.T @ decoders.code_SMK)
    decoders.z_SM.copy_(decoders.z_SM @ axes_MM)
    decoders.set_CMW.copy_(axes_MM.T @ decoders.set_CMW)
    decoders.time_TMF.copy_(axes_MM.T @ decoders.time_TMF)
    decoders.text_XMP.copy_(axes_MM.T @ decoders.text_XMP)
    model.marginal.weight_AIO.copy_(axes_MM.T @ model.marginal.weight_AIO)
    return axes_MM
