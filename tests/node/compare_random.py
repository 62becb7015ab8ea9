# SPDX-License-Identifier: Apache-2.0
"""Compares operators behind a convolution (hence channels-last) and recurrences with ONNX Runtime.

    compare_random.py TARE      TARE: the program

Every model is a convolution and one or two nodes on random data. Tolerance: relative 1e-4 and
absolute 2e-5, the rounding of some hundred float32 additions of numbers near one.
"""
import itertools
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, save

SAMPLE = (2, 3, 9, 11)


def floats(*values):
    return np.array(values, np.float32)


def ints(*values):
    return np.array(values, np.int64)


class Comparison:
    def __init__(self, program, folder):
        self.program, self.folder = program, pathlib.Path(folder)
        self.random = np.random.default_rng(0)
        self.count, self.failures = 0, []

    def normal(self, *shape):
        return (self.random.standard_normal(shape) * 0.5).astype(np.float32)

    def model(self, nodes, constants, inputs, outputs, opset):
        graph = helper.make_graph(
            nodes, "g", [helper.make_tensor_value_info(k, TensorProto.FLOAT, v.shape) for k, v in inputs.items()],
            [helper.make_tensor_value_info(k, t, None) for k, t in outputs.items()],
            [numpy_helper.from_array(v, k) for k, v in constants.items()])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)

    def run(self, name, nodes, constants, inputs, outputs=None, opset=17):
        outputs = outputs or {"y": TensorProto.FLOAT}
        model = self.model(nodes, constants, inputs, outputs, opset)
        path, given, found = (self.folder / n for n in ("m.onnx", "in.npz", "out.npz"))
        save(model, path)
        np.savez(given, **inputs)
        expected = onnxruntime.InferenceSession(model.SerializeToString()).run(list(outputs), inputs)
        done = subprocess.run([self.program, "run", path, "-i", given, "-o", found, "-q"], capture_output=True, text=True)
        self.count += 1
        if done.returncode != 0:
            self.failures.append(f"{name}: {done.stderr.strip()}")
            return
        arrays = np.load(found)
        for key, value in zip(outputs, expected):
            ours = arrays[key]
            if ours.shape != value.shape or not np.allclose(ours, value, rtol=1e-4, atol=2e-5, equal_nan=True):
                self.failures.append(f"{name}: output {key} differs")

    def behind_convolution(self, name, nodes, constants=None, channels=6, **options):
        first = helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1])
        constants = {"w": self.normal(channels, 3, 3, 3), **(constants or {})}
        self.run(name, [first, *nodes], constants, {"x": self.normal(*SAMPLE)}, **options)


def node(kind, inputs, outputs=("y",), **attributes):
    return helper.make_node(kind, list(inputs), list(outputs), **attributes)


def resizing(c):
    modes = ("nearest", "linear", "cubic")
    coordinates = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric")
    for mode, form, scale, antialias in itertools.product(modes, coordinates, ((2, 2), (1.7, 0.6), (0.5, 3)), (0, 1)):
        # Left out: what ONNX Runtime refuses, and where it rounds sizes that the specification does not (align_corners),
        # or where a position is a tie up to rounding (half_pixel_symmetric).
        whole = all((s * d).is_integer() for s, d in zip(map(float, scale), SAMPLE[2:]))
        if antialias and (mode == "nearest" or not form.endswith("half_pixel")):
            continue
        if form in ("align_corners", "half_pixel_symmetric") and not whole:
            continue
        resize = node("Resize", ("c", "", "s"), mode=mode, coordinate_transformation_mode=form, antialias=antialias)
        c.behind_convolution(f"Resize {mode} {form} {scale} {antialias}", [resize], {"s": floats(1, 1, *scale)}, opset=19)


def along_axes(c):
    for axis in range(4):
        for kind, opset in (("Softmax", 17), ("LogSoftmax", 17), ("Softmax", 11)):
            c.behind_convolution(f"{kind} {opset} {axis}", [node(kind, ("c",), axis=axis)], opset=opset)
        c.behind_convolution(f"ArgMax {axis}", [node("ArgMax", ("c",), axis=axis, keepdims=axis % 2)],
                             outputs={"y": TensorProto.INT64})
        c.behind_convolution(f"TopK {axis}", [node("TopK", ("c", "k"), ("y", "z"), axis=axis)], {"k": ints(2)},
                             outputs={"y": TensorProto.FLOAT, "z": TensorProto.INT64})
        c.behind_convolution(f"Concat {axis}", [node("Relu", ("c",), ("r",)), node("Concat", ("c", "r", "c"), axis=axis)])
        c.behind_convolution(f"Split {axis}", [node("Split", ("c", "s"), ("y", "z"), axis=axis)],
                             {"s": ints(1, (2, 6, 9, 11)[axis] - 1)},
                             outputs={"y": TensorProto.FLOAT, "z": TensorProto.FLOAT})
        c.behind_convolution(f"Gather {axis}", [node("Gather", ("c", "k"), axis=axis)], {"k": np.array([[1, 0], [-1, 1]])})
    kinds = ("Mean", "Max", "Min", "L1", "L2", "LogSumExp", "Prod", "SumSquare")
    for kind, axes, keep in itertools.product(kinds, ([1], [2, 3], [0], [1, 2], [3], [0, 1, 2, 3]), (0, 1)):
        c.behind_convolution(f"Reduce{kind} {axes} {keep}", [node("Reduce" + kind, ("c",), axes=axes, keepdims=keep)])


def broadcasting(c):
    for shape in ((6, 1, 1), (1, 6, 1, 1), (2, 1, 9, 11), (11,), (9, 1), (2, 6, 9, 11), (1, 1, 1, 1), ()):
        other = {"b": c.normal(*shape)}
        for kind in ("Add", "Mul", "Sub", "Div", "PRelu"):
            c.behind_convolution(f"{kind} {shape}", [node(kind, ("c", "b"))], other)
        choose = [node("Greater", ("c", "b"), ("g",)), node("Where", ("g", "c", "b"))]
        c.behind_convolution(f"Where {shape}", choose, other)


def moving(c):
    pads = ((0, 0, 1, 2, 0, 0, 3, 1), (0, 2, 0, 1, 0, 1, 2, 0), (1, 0, 0, 0, 0, 0, 0, 0), (0, 0, -1, 2, 0, 0, 1, -2))
    for mode, pad in itertools.product(("constant", "reflect", "edge", "wrap"), pads):
        if mode != "constant" and (min(pad) < 0 or (mode == "reflect" and pad[0])):
            continue
        c.behind_convolution(f"Pad {mode} {pad}", [node("Pad", ("c", "p", "v"), mode=mode)],
                             {"p": ints(*pad), "v": np.float32(1.5)}, opset=19)
    for order in itertools.permutations(range(4)):
        c.behind_convolution(f"Transpose {order}", [node("Transpose", ("c",), perm=order)])
    for mode in ("DCR", "CRD"):
        c.behind_convolution(f"DepthToSpace {mode}", [node("DepthToSpace", ("c",), blocksize=2, mode=mode)], channels=12)
    c.behind_convolution("Slice", [node("Slice", ("c", "s", "e", "a", "t"))],
                         {"s": ints(8, -1, 0), "e": ints(0, -100, 5), "a": ints(2, 3, 1), "t": ints(-2, -3, 2)})
    c.behind_convolution("Tile", [node("Tile", ("c", "r"))], {"r": ints(1, 2, 1, 3)})


def sampling(c):
    grid = c.random.uniform(-1.3, 1.3, (2, 4, 5, 2)).astype(np.float32)
    for mode, padding, align in itertools.product(("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (0, 1)):
        sample = node("GridSample", ("c", "g"), mode=mode, padding_mode=padding, align_corners=align)
        c.behind_convolution(f"GridSample {mode} {padding} {align}", [sample], {"g": grid})


def recurrences(c):
    steps, batch, width, hidden = 6, 3, 5, 7
    cells = (("LSTM", 4, {"input_forget": 1}), ("GRU", 3, {"linear_before_reset": 1}), ("RNN", 1, {}))
    for (kind, gates, special), direction, lengths, form in itertools.product(
            cells, ("forward", "reverse", "bidirectional"), (False, True), range(4)):
        count = 2 if direction == "bidirectional" else 1
        constants = {"W": c.normal(count, gates * hidden, width), "R": c.normal(count, gates * hidden, hidden),
                     "B": c.normal(count, 2 * gates * hidden)}
        inputs, attributes = ["x", "W", "R", "B", "", ""], {}
        if lengths:
            constants["L"], inputs[4] = np.array([6, 3, 5], np.int32), "L"
        if form == 1:
            attributes = {"clip": 0.8}
        elif form == 2:
            attributes = special
        elif form == 3:
            constants["h"], inputs[5] = c.normal(count, batch, hidden), "h"
            if kind == "LSTM":
                constants["s"], constants["P"] = c.normal(count, batch, hidden), c.normal(count, 3 * hidden)
                inputs += ["s", "P"]
        names = ("y", "h1", "c1") if kind == "LSTM" else ("y", "h1")
        cell = node(kind, inputs, names, hidden_size=hidden, direction=direction, **attributes)
        c.run(f"{kind} {direction} {lengths} {form}", [cell], constants, {"x": c.normal(steps, batch, width)},
              outputs={name: TensorProto.FLOAT for name in names})


def main():
    with tempfile.TemporaryDirectory() as folder:
        c = Comparison(sys.argv[1], folder)
        for family in (resizing, along_axes, broadcasting, moving, sampling, recurrences):
            family(c)
    for failure in c.failures:
        print(failure)
    print(f"{c.count} models compared, {len(c.failures)} differ")
    return 1 if c.failures else 0


if __name__ == "__main__":
    sys.exit(main())
