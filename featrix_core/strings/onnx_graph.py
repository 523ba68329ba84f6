"""all-MiniLM-L6-v2 as an ONNX graph, made from the weights themselves: no exported file to keep (STR-1).

Legend: B texts · L tokens, padded · H width 384. The graph maps `ids` (B, L) int64 and `counts` (B,)
int32, the tokens of each text without padding, to hidden states (B, L, H) float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featrix_core.strings.grid import DIMENSION

_LAYERS, _HEADS = 6, 12
_POSITIONS = 256
_EPSILON = 1e-12
_FUSED = "com.microsoft"  # ONNX Runtime's own operators, which do several steps in one
HIDDEN = "hidden"
"""Name of the graph's output."""


class _Graph:
    """Nodes and constants, collected."""

    def __init__(self) -> None:
        from onnx import NodeProto, TensorProto

        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, domain: str = "", **how: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], output, domain=domain, **how))
        return output


def onnx_graph(weights_file: Path) -> bytes:
    """The serialised model (90 MB) from `model.safetensors`."""
    from onnx import TensorProto, helper
    from safetensors.numpy import load_file

    weights = load_file(weights_file)
    graph = _Graph()
    hidden = _embeddings(graph, weights)
    for layer in range(_LAYERS):
        hidden = _layer(graph, weights, layer, hidden)
    graph.node("Identity", [hidden], HIDDEN)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "all-MiniLM-L6-v2",
            [
                helper.make_tensor_value_info("ids", TensorProto.INT64, ["B", "L"]),
                helper.make_tensor_value_info("counts", TensorProto.INT32, ["B"]),
            ],
            [helper.make_tensor_value_info(HIDDEN, TensorProto.FLOAT, ["B", "L", DIMENSION])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(_FUSED, 1)],
        ir_version=10,
    )
    return bytes(model.SerializeToString())


def _embeddings(graph: _Graph, weights: dict[str, NDArray[np.float32]]) -> str:
    prefix = "embeddings."
    words = graph.constant("words", weights[prefix + "word_embeddings.weight"])
    # Every token is of the first type: its vector can be added to the positions once and for all.
    places = weights[prefix + "position_embeddings.weight"][:_POSITIONS]
    kinds = weights[prefix + "token_type_embeddings.weight"]
    positions = graph.constant("positions", places + kinds[0])
    zero = graph.constant("zero", np.array([0]))
    shape = graph.node("Shape", ["ids"], "shape", start=1)
    used = graph.node("Slice", [positions, zero, shape, zero], "used_positions")
    looked_up = graph.node("Gather", [words, "ids"], "looked_up")
    total = graph.node("Add", [looked_up, used], "embedded")
    norm = prefix + "LayerNorm."
    return graph.node(
        "LayerNormalization",
        [
            total,
            graph.constant("scale", weights[norm + "weight"]),
            graph.constant("shift", weights[norm + "bias"]),
        ],
        "normed",
        axis=-1,
        epsilon=_EPSILON,
    )


def _layer(graph: _Graph, weights: dict[str, NDArray[np.float32]], layer: int, hidden: str) -> str:
    prefix, name = f"encoder.layer.{layer}.", f"layer{layer}."

    def constant(key: str) -> str:
        return graph.constant(name + key, weights[prefix + key])

    def product(value: str, key: str) -> str:
        matrix = graph.constant(name + key, weights[prefix + key].T)
        return graph.node("MatMul", [value, matrix], f"{name}{key}.product")

    def joined(part: str) -> list[NDArray[np.float32]]:
        keys = (f"attention.self.{which}.{part}" for which in ("query", "key", "value"))
        return [weights[prefix + key].T for key in keys]

    def add_and_norm(value: str, beside: str, part: str) -> str:
        inputs = [
            value,
            beside,
            constant(f"{part}.LayerNorm.weight"),
            constant(f"{part}.LayerNorm.bias"),
            constant(f"{part}.dense.bias"),
        ]
        return graph.node(
            "SkipLayerNormalization", inputs, f"{name}{part}.normed", _FUSED, epsilon=_EPSILON
        )

    attended = graph.node(
        "Attention",
        [
            hidden,
            graph.constant(name + "qkv", np.concatenate(joined("weight"), axis=1)),
            graph.constant(name + "qkv_bias", np.concatenate(joined("bias"))),
            "counts",
        ],
        name + "attended",
        _FUSED,
        num_heads=_HEADS,
    )
    out = product(attended, "attention.output.dense.weight")
    hidden = add_and_norm(out, hidden, "attention.output")
    inner = product(hidden, "intermediate.dense.weight")
    bias = constant("intermediate.dense.bias")
    inner = graph.node("BiasGelu", [inner, bias], name + "activated", _FUSED)
    return add_and_norm(product(inner, "output.dense.weight"), hidden, "output")
