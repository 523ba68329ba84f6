"""Turns the row embedding so that its first axes carry the most (D15: the short vector).

An orthogonal turn changes no length, angle or prediction; it only decides what the first three dimensions
show. They become the three main axes of the training rows.

Legend: N rows · M row width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from featrix_core.space.model import SpaceModel


def main_axes(rows_NM: Tensor) -> Tensor:
    """Orthogonal matrix (M, M) whose columns are the rows' principal axes, the strongest first."""
    centred = (rows_NM - rows_NM.mean(dim=0)).double()
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    axes = vectors.flip(1)
    # A direction's sign is arbitrary: fix it, so that the same rows give the same picture.
    signs = axes[axes.abs().argmax(dim=0), torch.arange(axes.shape[1])].sign()
    return (axes * signs).float()


@torch.no_grad()
def turn_axes(model: SpaceModel, rows_NM: Tensor) -> None:
    """Turn everything that writes or reads the row embedding, in place."""
    axes_MM = main_axes(rows_NM)
    joint, decoders = model.joint, model.decoders
    joint.cls_out.weight.copy_(axes_MM.T @ joint.cls_out.weight)
    joint.cls_out.bias.copy_(joint.cls_out.bias @ axes_MM)
    joint.skip.weight_AIO.copy_(joint.skip.weight_AIO @ axes_MM)
    joint.skip.bias_AO.copy_(joint.skip.bias_AO @ axes_MM)
    decoders.bucket_SMK.copy_(axes_MM.T @ decoders.bucket_SMK)
    decoders.z_SM.copy_(decoders.z_SM @ axes_MM)
    decoders.set_CMW.copy_(axes_MM.T @ decoders.set_CMW)
    decoders.time_TMF.copy_(axes_MM.T @ decoders.time_TMF)
    decoders.text_XME.copy_(axes_MM.T @ decoders.text_XME)
    model.marginal.weight_AIO.copy_(axes_MM.T @ model.marginal.weight_AIO)
