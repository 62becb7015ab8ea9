# SPDX-License-Identifier: Apache-2.0
"""The networks of the tests: small ones made on the spot, and the list of the real ones."""

import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import program

SIDE = 16


def weights(seed=0):
    """The initializers of small_nodes()."""
    random = np.random.default_rng(seed)
    arrays = {
        "conv.weight": random.normal(0, 0.3, (8, 3, 3, 3)),
        "conv.bias": random.normal(0, 0.1, (8,)),
        "head.weight": random.normal(0, 0.3, (8, 5)),
        "head.bias": random.normal(0, 0.1, (5,)),
    }
    return [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]


def nodes():
    """Convolution, activation, pooling and a fully connected layer: all that one needs to go wrong."""
    return [
        helper.make_node("Conv", ["input", "conv.weight", "conv.bias"], ["conv.out"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv.out"], ["relu.out"], "relu"),
        helper.make_node("GlobalAveragePool", ["relu.out"], ["pool.out"], "pool"),
        helper.make_node("Flatten", ["pool.out"], ["flat.out"], "flatten"),
        helper.make_node("Gemm", ["flat.out", "head.weight", "head.bias"], ["logits"], "head"),
    ]


def build(the_nodes=None, initializers=None, side=SIDE, inputs=None, outputs=None, domains=()):
    """A model of those nodes; side None leaves height and width open."""
    shape = ["N", 3, side or "height", side or "width"]
    graph = helper.make_graph(
        nodes() if the_nodes is None else the_nodes,
        "small",
        inputs or [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        outputs or [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 5])],
        weights() if initializers is None else initializers,
    )
    opsets = [helper.make_opsetid("", 17)] + [helper.make_opsetid(name, 1) for name in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def save(model, path):
    """Writes without checking: most of the models here are wrong on purpose."""
    pathlib.Path(path).write_bytes(model.SerializeToString())
    return path


def samples(count=4, side=SIDE, seed=1):
    return np.random.default_rng(seed).normal(0, 1, (count, 3, side, side)).astype(np.float32)


def real():
    """All real networks, as paths."""
    return sorted(program.MODELS.glob("*/*.onnx"))


def short(path):
    """How tables call a real network."""
    return f"{path.parent.name}/{path.stem}"


def preprocess_of(path):
    """The description of a real network's preprocessing, or None where it takes no image."""
    description = path.with_suffix(".preprocess.json")
    return description if description.is_file() else None


def photographs():
    """All photographs, sorted by name."""
    endings = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
    return sorted(path for path in program.IMAGES.rglob("*") if path.suffix.lower() in endings)


def load(path):
    return onnx.load(str(path))


def session(path):
    """ONNX Runtime with the model, without its warnings about old models."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
