# SPDX-License-Identifier: Apache-2.0
"""`tare run` against ONNX Runtime for every layer kind with chains of what may be fused behind it.

All chains of one and two steps, and some of three, each behind a layer of its own. Tolerance: a sum of n products is
off by at most n roundings, whatever its order, plus those of three elementary functions (random_graphs.py).
"""

import itertools
import math
import random

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import reference
from random_graphs import FUNCTION_ROUNDING, UNIT_ROUNDOFF
from reference import program

TRIPLES = 60

# name: operator, shape of its input, of its weights, of its output, attributes
LAYERS = {
    "rows": ("MatMul", (10, 9), (9, 6), (10, 6), {}),
    "shared factor": ("MatMul", (2, 10, 16), (16, 32), (2, 10, 32), {}),
    "batched": ("MatMul", (2, 10, 16), (2, 16, 5), (2, 10, 5), {}),
    "gemm": ("Gemm", (4, 16), (16, 32), (4, 32), {}),
    "pointwise": ("Conv", (1, 16, 8, 8), (32, 16, 1, 1), (1, 32, 8, 8), {}),
    "pointwise, odd": ("Conv", (1, 3, 8, 8), (5, 3, 1, 1), (1, 5, 8, 8), {}),
    "3x3": ("Conv", (1, 16, 8, 8), (32, 16, 3, 3), (1, 32, 8, 8), {"pads": [1] * 4}),
    "one output": ("Conv", (1, 16, 8, 8), (1, 16, 1, 1), (1, 1, 8, 8), {}),
    "first": ("Conv", (1, 3, 32, 32), (16, 3, 3, 3), (1, 16, 16, 16), {"pads": [1] * 4, "strides": [2, 2]}),
    "depthwise": ("Conv", (1, 16, 8, 8), (16, 1, 3, 3), (1, 16, 8, 8), {"pads": [1] * 4, "group": 16}),
    "depthwise, odd": ("Conv", (1, 3, 8, 8), (3, 1, 3, 3), (1, 3, 8, 8), {"pads": [1] * 4, "group": 3}),
    "groups": ("Conv", (1, 12, 8, 8), (12, 4, 3, 3), (1, 12, 8, 8), {"pads": [1] * 4, "group": 3}),
    "dilated": ("Conv", (1, 16, 8, 8), (32, 16, 3, 3), (1, 32, 8, 8), {"pads": [2] * 4, "dilations": [2, 2]}),
    "1d": ("Conv", (1, 16, 20), (8, 16, 3), (1, 8, 20), {"pads": [1] * 2}),
    "3d": ("Conv", (1, 4, 4, 5, 6), (8, 4, 3, 3, 3), (1, 8, 4, 5, 6), {"pads": [1] * 6}),
    "transposed": ("ConvTranspose", (1, 8, 5, 5), (8, 4, 2, 2), (1, 4, 10, 10), {"strides": [2, 2]}),
}


def step(kind, **attributes):
    """Nodes of one operator that reads only what is in front of it."""
    return lambda before, after: [helper.make_node(kind, [before], [after], **attributes)]


def clip(low, high):
    return lambda before, after: [helper.make_node("Clip", [before, low, high], [after])]


def combine(kind):
    return lambda before, after: [helper.make_node(kind, [before, "other"], [after])]


def swish(before, after):
    gate = after + ".gate"
    return [helper.make_node("Sigmoid", [before], [gate]), helper.make_node("Mul", [before, gate], [after])]


STEPS = {
    "Relu": step("Relu"),
    "Clip": clip("low", "high"),
    "Clip above": clip("", "high"),
    "LeakyRelu": step("LeakyRelu", alpha=0.2),
    "Sigmoid": step("Sigmoid"),
    "Tanh": step("Tanh"),
    "HardSigmoid": step("HardSigmoid", alpha=0.3, beta=0.4),
    "HardSwish": step("HardSwish"),
    "Swish": swish,
    "Add": combine("Add"),
    "Mul": combine("Mul"),
}


def all_chains():
    triples = list(itertools.product(STEPS, repeat=3))
    chosen = random.Random(1).sample(triples, TRIPLES)
    return [*((name,) for name in STEPS), *itertools.product(STEPS, repeat=2), *chosen]


def build(layer):
    """A model with one output per chain, and its inputs."""
    kind, in_shape, weight_shape, out_shape, attributes = layer
    generator = np.random.default_rng(0)
    feeds = {name: generator.standard_normal(shape).astype(np.float32)
             for name, shape in (("x", in_shape), ("other", out_shape))}
    weight = generator.standard_normal(weight_shape).astype(np.float32)
    constants = {"weight": weight, "low": np.float32(-0.4), "high": np.float32(0.7)}
    nodes, outputs = [], []
    for index, chain in enumerate(all_chains()):
        last = f"{index}.layer"
        nodes.append(helper.make_node(kind, ["x", "weight"], [last], **attributes))
        for position, name in enumerate(chain):
            following = f"{index}.{position}"
            nodes += STEPS[name](last, following)
            last = following
        outputs.append(helper.make_tensor_value_info(last, TensorProto.FLOAT, out_shape))
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape) for name, array in feeds.items()]
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "chains", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), feeds


def terms(layer):
    """Products that are added up for one element of the output."""
    kind, _, weight_shape, _, _ = layer
    if kind in ("MatMul", "Gemm"):
        return weight_shape[-2]
    return weight_shape[0] if kind == "ConvTranspose" else math.prod(weight_shape[1:])


class Chains(reference.Case):
    def test_outputs(self):
        names = all_chains()
        worst = (0.0, None)
        for layer_name, layer in LAYERS.items():
            model, feeds = build(layer)
            ours, theirs = self.ask(model, feeds, "--threads", "1")
            self.assertIsNotNone(theirs, f"ONNX Runtime refuses {layer_name}")
            self.assertEqual(len(theirs), len(names))
            tolerance = UNIT_ROUNDOFF * (terms(layer) + 3 * FUNCTION_ROUNDING)
            for chain, (output, array) in zip(names, theirs.items()):
                with self.subTest(layer=layer_name, chain=chain):
                    error = reference.difference(ours[output], array)
                    worst = max(worst, (error / tolerance, (layer_name, chain)), key=lambda pair: pair[0])
                    self.assertLessEqual(error, tolerance)
        print(f"{len(LAYERS)} layers x {len(names)} chains; largest error {worst[0]:.2g} of the tolerance: {worst[1]}")


if __name__ == "__main__":
    program.main()
