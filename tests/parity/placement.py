#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare the placement of quantizers with NNCF's, on given models or on random ones.

usage: placement.py PROGRAM [--random COUNT] [--seed SEED] [--keep FOLDER] [MODEL ...]

Every model is placed with both presets and both model types. For each (node, input port) that reads
a quantized tensor the scheme, granularity, sign, half range and group are compared. Exits 1
when anything differs, 77 when NNCF is not installed. Needs the Python packages onnx, numpy and nncf.
"""
import argparse
import importlib.util
import logging
import os
import subprocess
import sys
import tempfile

import onnx

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import random_models  # noqa: E402


def with_scalings(model):
    """The model with the Mul nodes that SmoothQuant would insert, with factors of one."""
    import numpy as np
    from nncf.common.factory import build_graph
    from nncf.common.graph.transformations.layout import TransformationLayout
    from nncf.onnx.graph.model_transformer import ONNXModelTransformer
    from nncf.quantization.algorithms.smooth_quant.algorithm import SmoothQuant

    algo = SmoothQuant()
    algo._set_backend_entity(model)
    graph = build_graph(model)
    nodes = algo._get_nodes_to_smooth_data(graph, algo._backend_entity.matmul_metatypes)
    shaped = [(n, p, tuple(graph.get_input_edge_by_port_id(n, p).tensor_shape)) for n, p in nodes]
    layout = TransformationLayout()
    for (source, _, port, _), group in algo._group_nodes_by_source(shaped, graph).items():
        name = algo._create_scale_node_name(source.node_name, port)
        layout.register(algo._backend_entity.scale_insertion_command(source, np.ones(1, np.float32), port, group, name))
    return ONNXModelTransformer(model).transform(layout)


def nncf_placement(model, preset, model_type):
    import nncf
    from nncf.common.factory import build_graph
    from nncf.onnx.graph.passes import apply_preprocess_passes
    from nncf.quantization.algorithms.min_max.algorithm import MinMaxQuantization
    from nncf.common.graph.transformations.commands import TargetType

    nncf.set_log_level(logging.ERROR)
    model = apply_preprocess_passes(onnx.ModelProto.FromString(model.SerializeToString()))
    graph = build_graph(model)
    algo = MinMaxQuantization(
        preset=nncf.QuantizationPreset.PERFORMANCE if preset == "performance" else nncf.QuantizationPreset.MIXED,
        model_type=nncf.ModelType.TRANSFORMER if model_type == "transformer" else None)
    if model_type == "transformer":
        model = with_scalings(model)
        graph = build_graph(model)
    algo._set_backend_entity(model)
    points, groups = algo._get_quantization_target_points(model, graph)
    half = algo._get_quantization_points_overflow_fix(algo._overflow_fix, points, graph)
    group_of = {}
    for number, group in enumerate(groups):
        if len(group) > 1:
            for point in group:
                group_of[point] = number
    nodes = {n.name: n for n in model.graph.node}
    inputs = [i.name for i in model.graph.input if i.name not in {t.name for t in model.graph.initializer}]
    users = {}
    for n in model.graph.node:
        for port, t in enumerate(n.input):
            users.setdefault(t, []).append((n.name, port))
    found = {}
    weights = {}
    # What reads the output of an inserted scaling reads the scaled tensor as far as we are concerned.
    scaled = {n.output[0]: n.input[0] for n in model.graph.node if n.name.endswith("nncf_smooth_quant")}
    for layer in (TargetType.POST_LAYER_OPERATION, TargetType.OPERATION_WITH_WEIGHTS, TargetType.PRE_LAYER_OPERATION):
        for point, config in points.items():
            if point.type != layer:
                continue
            name, port = point.target_node_name, point.port_id
            node = nodes.get(name)
            weight = layer == TargetType.OPERATION_WITH_WEIGHTS
            if layer == TargetType.POST_LAYER_OPERATION:
                if node is None:
                    tensor = inputs[int(name.rsplit("_", 1)[1])]
                else:
                    tensor = node.output[port]
                readers = users.get(tensor, [])
            else:
                tensor = node.input[port]
                readers = [(name, port)]
            record = ["W" if weight else "A", "sym" if str(config.mode).endswith("symmetric") and "asym" not in str(config.mode) else "asym",
                      "channel" if config.per_channel else "tensor", "narrow" if config.narrow_range else "full",
                      "signed" if config.signedness_to_force else "open", "half" if point in half else "whole", group_of.get(point)]
            if weight:
                # The first weight point of a shared tensor decides for all of them.
                record = weights.setdefault(tensor, record)
            for reader in readers:
                found[reader] = (scaled.get(tensor, tensor), record)
    return found


def our_placement(program, path, preset, model_type):
    run = subprocess.run([program, path, preset, model_type], capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError("placement failed: " + run.stderr.strip())
    found = {}
    for line in run.stdout.splitlines():
        kind, node, port, tensor, mode, granularity, width, sign, axis, half, group = line.split("\t")
        found[(node, int(port))] = (tensor, [kind, mode, granularity, width, sign, half, None if group == "-" else int(group)])
    return found


def groups_of(found):
    groups = {}
    for key, (tensor, record) in found.items():
        if record[-1] is not None:
            groups.setdefault(record[-1], set()).add((key, tensor))
    # A tensor always shares a scale with itself.
    return sorted(sorted(key for key, _ in g) for g in groups.values() if len({tensor for _, tensor in g}) > 1)


def compare(program, path, name):
    model = onnx.load(path)
    differences = 0
    for preset in ("performance", "mixed"):
        for model_type in ("generic", "transformer"):
            try:
                theirs = nncf_placement(model, preset, model_type)
            except Exception as failure:  # NNCF crashes on some ordinary graphs; ours must not.
                print("%s %s %s: reference failed: %s %s" % (name, preset, model_type, type(failure).__name__, failure))
                our_placement(program, path, preset, model_type)
                continue
            ours = our_placement(program, path, preset, model_type)
            texts = []
            for key in sorted(set(theirs) | set(ours)):
                if key not in ours:
                    texts.append("missing at %s: %s" % (key, theirs[key]))
                elif key not in theirs:
                    texts.append("extra at %s: %s" % (key, ours[key]))
                elif ours[key][1][:-1] != theirs[key][1][:-1]:
                    texts.append("at %s: %s, reference %s" % (key, ours[key], theirs[key]))
            if groups_of(ours) != groups_of(theirs):
                texts.append("groups %s, reference %s" % (groups_of(ours), groups_of(theirs)))
            for text in texts[:10]:
                print("%s %s %s: %s" % (name, preset, model_type, text))
            differences += len(texts)
    return differences


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("models", nargs="*")
    p.add_argument("--random", type=int, default=0)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--keep")
    a = p.parse_args()
    if importlib.util.find_spec("nncf") is None:
        print("skipped: nncf is not installed")
        return 77
    failed = checked = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = a.keep or folder
        jobs = []
        for path in a.models:
            model = onnx.shape_inference.infer_shapes(onnx.load(path))
            for i, node in enumerate(model.graph.node):
                node.name = node.name or "%s_nncf_%d" % (node.op_type, i)
            jobs.append((os.path.basename(path), model))
        for i in range(a.random):
            jobs.append(("random %d" % (a.seed + i), random_models.make(a.seed + i)))
        for name, model in jobs:
            path = os.path.join(folder, name.replace(" ", "_") + ("" if name.endswith(".onnx") else ".onnx"))
            onnx.save(model, path)
            differences = compare(a.program, path, name)
            checked += 1
            failed += differences > 0
    print("%d models, %d differ" % (checked, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
