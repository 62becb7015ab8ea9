#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare quantized models with what NNCF makes of the same networks and inputs.

usage: parity.py (--tare PROGRAM | --with PROGRAM) SHARED [NETWORK ...]

SHARED holds parity/ (networks, inputs, references) and tools/compare_parity.py. --tare runs the whole
program; --with runs the placement and parameters alone on statistics that onnxruntime delivers. On top
of the comparison tool, weight scales must be equal to the bit, sums of weight codes and activation
types equal, weights stored as int8, and the result must pass onnx.checker. Needs the Python packages
onnx, onnxruntime and numpy.
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import numpy_helper

CASES = {"performance": ("performance", "generic"), "mixed": ("mixed", "generic"), "transformer": ("mixed", "transformer")}


def statistics(model, samples):
    """Per tensor what NNCF aggregates by default: means of per-sample extremes, extremes per channel."""
    import onnxruntime
    m = onnx.ModelProto.FromString(model.SerializeToString())
    del m.graph.output[:]
    m.graph.output.extend(v for v in list(m.graph.value_info) + list(model.graph.output) if v.type.tensor_type.elem_type == 1)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(m.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    feed = session.get_inputs()[0].name
    seen = {n: [] for n in names + [feed]}
    for sample in samples:
        sample = sample[None]
        for n, t in zip(names + [feed], session.run(None, {feed: sample}) + [sample]):
            rest = tuple(i for i in range(t.ndim) if i != 1)
            row = [t.min(), t.max(), np.abs(t).max()]
            if t.ndim >= 2:
                row += [t.min(axis=rest), t.max(axis=rest), np.abs(t).max(axis=rest)]
            seen[n].append(row)
    found = {}
    for n, rows in seen.items():
        entry = {k: float(np.mean(np.stack([r[i] for r in rows]), axis=0)) for i, k in enumerate(("min", "max", "abs_max"))}
        if len(rows[0]) > 3:
            stack = [np.stack([r[i] for r in rows]) for i in (3, 4, 5)]
            entry["channel_min"] = stack[0].min(axis=0).astype(float).tolist()
            entry["channel_max"] = stack[1].max(axis=0).astype(float).tolist()
            entry["channel_abs_max"] = stack[2].max(axis=0).astype(float).tolist()
        found[n] = entry
    return found


def strict_differences(model, reference, compare_numbers):
    init = {i.name: i for i in model.graph.initializer}
    nodes = {n.name: n for n in model.graph.node}
    makers = {o: n for n in model.graph.node for o in n.output}
    bad = []
    kinds = {"int8": onnx.TensorProto.INT8, "uint8": onnx.TensorProto.UINT8}
    for entry in reference["activations"]:
        for name, port in entry["consumers"]:
            pair = makers.get(nodes[name].input[port]) if name in nodes else None
            if pair is None or pair.op_type != "DequantizeLinear":
                continue  # the comparison tool says so
            if compare_numbers and init[pair.input[2]].data_type != kinds[entry["dtype"]]:
                bad.append("%s port %d: not %s" % (name, port, entry["dtype"]))
            if makers[pair.input[0]].op_type != "QuantizeLinear":
                bad.append("%s port %d: no QuantizeLinear" % (name, port))
    for entry in reference["weights"]:
        for name, port in entry["consumers"]:
            pair = makers.get(nodes[name].input[port]) if name in nodes else None
            if pair is None or pair.op_type != "DequantizeLinear":
                continue
            if pair.input[0] not in init or init[pair.input[0]].data_type != onnx.TensorProto.INT8:
                bad.append("%s port %d: weight is not stored as int8" % (name, port))
                continue
            scale = numpy_helper.to_array(init[pair.input[1]]).reshape(-1)
            if compare_numbers and not np.array_equal(scale, np.asarray(entry["scale"], np.float32)):
                bad.append("%s port %d: weight scales differ" % (name, port))
            codes = numpy_helper.to_array(init[pair.input[0]]).astype(np.int64)
            if compare_numbers and entry.get("sum_of_codes") is not None and codes.sum() != entry["sum_of_codes"]:
                bad.append("%s port %d: sum of codes %d, reference %d" % (name, port, codes.sum(), entry["sum_of_codes"]))
            axis = next((a.i for a in pair.attribute if a.name == "axis"), None)
            if scale.size > 1 and axis % codes.ndim != entry["axis"] % codes.ndim:
                bad.append("%s port %d: axis %s, reference %s" % (name, port, axis, entry["axis"]))
    if any(n.op_type == "QuantizeLinear" and n.input[0] in init for n in model.graph.node):
        bad.append("a weight is quantized at run time")
    return bad


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return "exit code %d: %s" % (done.returncode, (done.stderr or done.stdout).strip())
    return None


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--tare")
    p.add_argument("--with", dest="program")
    p.add_argument("shared")
    p.add_argument("networks", nargs="*")
    a = p.parse_args()
    if (a.tare is None) == (a.program is None):
        p.error("one of --tare and --with is needed")
    folder = os.path.join(a.shared, "parity")
    if not os.path.isdir(folder):
        print("skipped: no %s" % folder)
        return 77
    names = a.networks or sorted(os.path.basename(f)[:-5] for f in glob.glob(os.path.join(folder, "*.onnx")))
    failed = done = 0
    with tempfile.TemporaryDirectory() as temporary:
        for name in names:
            path = os.path.join(folder, name + ".onnx")
            data = os.path.join(folder, name + ".npy")
            references = json.load(open(os.path.join(folder, name + ".json")))
            inferred = os.path.join(temporary, name + ".onnx")
            ranges = os.path.join(temporary, name + ".ranges.json")
            if a.program:
                model = onnx.shape_inference.infer_shapes(onnx.load(path))
                onnx.save(model, inferred)
                json.dump(statistics(model, np.load(data)), open(ranges, "w"))
            for case, (preset, kind) in CASES.items():
                if case not in references:
                    continue
                out = os.path.join(temporary, "%s.%s.onnx" % (name, case))
                if a.program:
                    problem = run([a.program, inferred, preset, kind, ranges, out])
                else:
                    command = [a.tare, "quantize", path, "--data", data, "-o", out, "--preset", preset]
                    problem = run(command + (["--model-type", "transformer"] if kind == "transformer" else []))
                done += 1
                if problem is not None:
                    failed += 1
                    print("%s %s: %s" % (name, case, problem))
                    continue
                quantized = onnx.load(out)
                onnx.checker.check_model(quantized, full_check=True)
                numbers = case != "transformer"
                bad = strict_differences(quantized, references[case], numbers)
                command = [sys.executable, os.path.join(a.shared, "tools", "compare_parity.py"), path, out, os.path.join(folder, name + ".json"), case]
                tool = subprocess.run(command + ([] if numbers else ["--placement-only"]), capture_output=True, text=True)
                if bad or tool.returncode not in (0, 3):
                    failed += 1
                    print("\n".join(["%s %s:" % (name, case)] + bad[:10]) + "\n" + tool.stdout + tool.stderr)
    print("%d comparisons, %d differ" % (done, failed))
    return 1 if failed or not done else 0


if __name__ == "__main__":
    sys.exit(main())
