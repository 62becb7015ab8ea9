# SPDX-License-Identifier: Apache-2.0
"""Raises models to opset 13 and runs both forms in ONNX Runtime: outputs must be equal to the bit.

    compare_upgrade.py UPGRADE_MODEL SHARED

UPGRADE_MODEL is the program of that name; SHARED the folder with models/ and onnx-tests/.
"""
import collections
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

OPSET = 13
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32,
         "tensor(bool)": np.bool_, "tensor(uint8)": np.uint8, "tensor(double)": np.float64}


def onnx_opset(model):
    return max([entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")], default=0)


def session(path):
    options = ort.SessionOptions()
    # Fused forms may round differently from one graph to the other; plain nodes must not.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def stored_inputs(folder):
    """The test data of an operator case, by position; None when there are none."""
    data = folder / "test_data_set_0"
    if not data.is_dir():
        return None
    tensors = []
    for index in range(len(list(data.glob("input_*.pb")))):
        tensor = onnx.TensorProto()
        tensor.ParseFromString((data / f"input_{index}.pb").read_bytes())
        tensors.append(onnx.numpy_helper.to_array(tensor))
    return tensors


def random_inputs(run):
    generator = np.random.default_rng(7)
    sizes = {0: 1, 1: 3, 2: 64, 3: 96}  # for open dims
    arrays = []
    for entry in run.get_inputs():
        dims = [dim if isinstance(dim, int) else sizes.get(axis, 4) for axis, dim in enumerate(entry.shape)]
        if entry.name == "x" and len(dims) == 4 and dims[2] == 32:
            dims[3] = 96
        arrays.append((generator.standard_normal(dims) * 50).astype(TYPES[entry.type]))
    return arrays


def same_bits(a, b):
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return np.array_equal(a, b) if a.dtype == object else a.tobytes() == b.tobytes()


def equal(before, after):
    return len(before) == len(after) and all(same_bits(a, b) for a, b in zip(before, after))


# One node in each form that opset 13 no longer has: operator, opset, attributes, input shape, further float inputs.
OLD_FORMS = [
    ("Upsample", 7, {"scales": [1.0, 1.0, 2.0, 3.0], "mode": "nearest"}, [1, 2, 3, 4], []),
    ("Upsample", 7, {"scales": [1.0, 1.0, 2.0, 2.0], "mode": "linear"}, [1, 2, 3, 4], []),
    ("Upsample", 9, {"mode": "linear"}, [1, 2, 3, 4], [[1.0, 1.0, 2.0, 2.0]]),
    ("Resize", 10, {"mode": "nearest"}, [1, 2, 4, 4], [[1.0, 1.0, 0.6, 0.6]]),
    ("Resize", 10, {"mode": "nearest"}, [1, 2, 4, 4], [[1.0, 1.0, 1.7, 2.0]]),
    ("Resize", 10, {"mode": "linear"}, [1, 2, 4, 4], [[1.0, 1.0, 0.6, 1.5]]),
    ("Slice", 7, {"starts": [1, -3], "ends": [9999, -1], "axes": [1, 2]}, [2, 3, 5], []),
    ("Slice", 7, {"starts": [0, 1], "ends": [1, 2]}, [2, 3, 5], []),
    ("Clip", 7, {"min": -0.5}, [4, 5], []),
    ("Clip", 7, {"max": 0.25}, [4, 5], []),
    ("Clip", 7, {"min": -0.5, "max": 0.25}, [4, 5], []),
    ("Clip", 10, {}, [4, 5], []),
    ("Pad", 7, {"pads": [0, 1, 2, 0], "value": 1.5}, [2, 3], []),
    ("Pad", 7, {"pads": [0, 1, 1, 0], "mode": "reflect"}, [2, 3], []),
    ("Pad", 7, {"pads": [0, -1, 1, 0], "mode": "edge"}, [2, 3], []),
    ("Squeeze", 7, {"axes": [0, 2]}, [1, 3, 1, 1], []),
    ("Squeeze", 11, {}, [1, 3, 1, 2], []),
    ("Unsqueeze", 7, {"axes": [0, 3]}, [2, 3], []),
    ("ReduceSum", 7, {"axes": [0, 2], "keepdims": 0}, [2, 3, 4], []),
    ("ReduceSum", 11, {}, [2, 3, 4], []),
    ("Split", 7, {"axis": 1, "split": [1, 2]}, [2, 3], []),
    ("Split", 7, {"axis": 1}, [2, 4], []),
    ("Softmax", 7, {}, [2, 3, 4], []),
    ("Softmax", 11, {"axis": -2}, [2, 3, 4], []),
    ("Softmax", 7, {"axis": 0}, [2, 3, 4], []),
    ("LogSoftmax", 7, {"axis": 2}, [2, 3, 4], []),
    ("LogSoftmax", 11, {"axis": -1}, [2, 3, 4], []),
    ("Hardmax", 7, {}, [2, 3, 4], []),
    ("Hardmax", 7, {}, [2, 3], []),
    ("Dropout", 7, {"ratio": 0.3}, [2, 3], []),
    ("TopK", 7, {"k": 2}, [3, 4], []),
    ("BatchNormalization", 7, {"spatial": 1}, [2, 3, 4], [[1.0, 2.0, 3.0], [0.1, 0.2, 0.3], [0.0, 1.0, 2.0],
                                                          [1.0, 4.0, 9.0]]),
]


def write_old_form(path, form):
    operator, opset, attributes, shape, floats = form
    extra = [onnx.numpy_helper.from_array(np.array(values, np.float32), f"in{i}") for i, values in enumerate(floats)]
    outputs = {"Split": ["y", "z"], "TopK": ["y", "z"]}.get(operator, ["y"])
    node = onnx.helper.make_node(operator, ["x"] + [tensor.name for tensor in extra], outputs, **attributes)
    # Dims are left open but their number must be said; the runtime knows it from its own inference.
    entry = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)
    probe = onnx.helper.make_graph([node], "old", [entry], [], extra)
    probe = onnx.helper.make_model(probe, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=4)
    inferred = {info.name: info for info in onnx.shape_inference.infer_shapes(probe).graph.value_info}
    types = [inferred[name] for name in outputs]
    graph = onnx.helper.make_graph([node], "old", [entry], types, extra)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=4), path)


def check(path, program, folder):
    """Returns what happened to one model, and the detail."""
    raised = pathlib.Path(folder) / "raised.onnx"
    done = subprocess.run([program, str(path), str(raised)], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        return "unsupported", done.stderr.strip()
    if done.returncode != 0:
        return "failed", done.stderr.strip()
    model = onnx.load(raised)
    if onnx_opset(model) != OPSET:
        return "failed", f"opset is {onnx_opset(model)}"
    onnx.checker.check_model(model)
    try:
        before = session(path)
        arrays = stored_inputs(path.parent) or random_inputs(before)
        feed = {entry.name: array for entry, array in zip(before.get_inputs(), arrays)}
        expected = before.run(None, feed)
    except Exception as error:  # the runtime does not do everything either
        return "not run", str(error)
    return ("equal", "") if equal(expected, session(raised).run(None, feed)) else ("failed", "outputs differ")


def main():
    program, shared = sys.argv[1], pathlib.Path(sys.argv[2])
    if not shared.is_dir():
        print(f"skipped: {shared} is not there")
        return 77
    counts = {"forms": collections.Counter(), "models": collections.Counter(), "cases": collections.Counter()}
    with tempfile.TemporaryDirectory() as folder:
        for form in OLD_FORMS:
            write_old_form(pathlib.Path(folder) / "old.onnx", form)
            result, detail = check(pathlib.Path(folder) / "old.onnx", program, folder)
            counts["forms"][result] += 1
            if result != "equal":
                print(f"{result}: {form}: {detail}")
        for kind, pattern in (("models", "models/**/*.onnx"), ("cases", "onnx-tests/*/*/model.onnx")):
            for path in sorted(shared.glob(pattern)):
                if not 7 <= onnx_opset(onnx.load(path, load_external_data=False)) < OPSET:
                    continue
                result, detail = check(path, program, folder)
                counts[kind][result] += 1
                if result != "equal":
                    print(f"{result}: {path.relative_to(shared)}: {detail}")
    for kind, count in counts.items():
        print(kind, dict(count))
    bad = counts["models"]["failed"] + counts["cases"]["failed"] + counts["models"]["unsupported"]
    bad += sum(counts["forms"].values()) - counts["forms"]["equal"]
    return 1 if bad or not counts["models"]["equal"] or not counts["cases"]["equal"] else 0


if __name__ == "__main__":
    sys.exit(main())
