# SPDX-License-Identifier: Apache-2.0
"""Reads and writes every model with Tare and compares the parsed messages with Python's onnx.

usage: compare_roundtrip.py ONNX_ROUNDTRIP SHARED_FOLDER

Equal means: the same deterministic serialization of the parsed message, so every field, its presence, its
encoding and the unknown fields. The one exception is external data, which the output embeds by contract.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper


def canonical(model):
    return model.SerializeToString(deterministic=True)


def parse(path):
    with open(path, "rb") as file:
        return onnx.ModelProto.FromString(file.read())


def find_models(shared):
    found = []
    for part in ("models", "parity", "onnx-tests"):
        for folder, _, names in sorted(os.walk(os.path.join(shared, part))):
            found += [os.path.join(folder, name) for name in sorted(names) if name.endswith(".onnx")]
    if not found:
        print(f"skipped: no model below {shared}")
        sys.exit(77)
    return found


def entry(key, value):
    return onnx.StringStringEntryProto(key=key, value=value)


def make_rich_model():
    """A model that uses what real files rarely do, so that nothing of the schema goes untested."""
    tensor = helper.make_tensor_value_info
    then_branch = helper.make_graph(
        [helper.make_node("Add", ["x", "outer"], ["t"])], "then", [], [tensor("t", 1, None)])
    else_branch = helper.make_graph(
        [helper.make_node("Identity", ["outer"], ["e"])], "else", [], [tensor("e", 1, None)],
        initializer=[helper.make_tensor("unused", 1, [1], [float("nan")])])
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("sparse", 1, [2], [1.0, -0.0]), helper.make_tensor("at", 7, [2], [1, 3]), [5])
    nodes = [
        helper.make_node("Relu", ["x"], ["outer"], name="r", doc_string="a doc"),
        helper.make_node("If", ["c"], ["y"], then_branch=then_branch, else_branch=else_branch),
        helper.make_node("Mine", ["sparse", "", "half"], ["z", "", "q"], domain="my.domain", zero=0, fzero=0.0, empty="",
                         bytes=b"a\0b\xff", ints=[1, -1], floats=[0.5, float("inf")], strings=["", "two"]),
        helper.make_node("Constant", [], ["k"], sparse_value=sparse),
        helper.make_node("Twice", ["z"], ["w"], domain="local"),
    ]
    nodes[2].attribute.append(helper.make_attribute("typed", helper.make_tensor_type_proto(1, ["n", 2, None])))
    nodes[2].attribute.append(helper.make_attribute("tensors", [helper.make_tensor("", 1, [], [1.0])]))
    nodes[2].attribute.append(helper.make_attribute("text", helper.make_tensor("", 8, [1], [b"s"])))
    empty = nodes[2].attribute.add()
    empty.name, empty.type = "no_ints", onnx.AttributeProto.INTS
    nodes[0].metadata_props.append(entry("k", ""))
    nodes[0].overload = ""
    device = nodes[0].device_configurations.add(configuration_id="d", pipeline_stage=0)
    shard = device.sharding_spec.add(tensor_name="x", device=[-1, 2])
    shard.index_to_device_group_map.add(key=0, value=[1, 2])
    shard.sharded_dim.add(axis=0).simple_sharding.add(dim_param="n", num_shards=2)
    typed = {
        "half": (TensorProto.FLOAT16, [2], [1.0, -2.0]), "brain": (TensorProto.BFLOAT16, [1], [1.0]),
        "i8": (TensorProto.INT8, [2], [-128, 127]), "u8": (TensorProto.UINT8, [2], [0, 255]),
        "i16": (TensorProto.INT16, [1], [-5]), "u16": (TensorProto.UINT16, [1], [65535]),
        "u32": (TensorProto.UINT32, [1], [2**32 - 1]), "u64": (TensorProto.UINT64, [1], [2**64 - 1]),
        "bool": (TensorProto.BOOL, [2], [True, False]), "f64": (TensorProto.DOUBLE, [1], [0.1]),
        "c64": (TensorProto.COMPLEX64, [1], [1 + 2j]), "c128": (TensorProto.COMPLEX128, [1], [1 - 2j]),
        "i4": (TensorProto.INT4, [3], [-8, 7, 1]), "u4": (TensorProto.UINT4, [2], [15, 1]),
        "f8": (TensorProto.FLOAT8E4M3FN, [1], [1.0]), "text": (TensorProto.STRING, [2], [b"a", b""]),
        "none": (TensorProto.FLOAT, [0], []), "scalar": (TensorProto.INT64, [], [-1]),
    }
    initializers = [helper.make_tensor(name, *what) for name, what in typed.items()]
    initializers.append(numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "raw"))
    initializers[-1].doc_string = "kept"
    initializers[-1].metadata_props.append(entry("a", "b"))
    graph = helper.make_graph(
        nodes, "g", [tensor("x", 1, ["batch", 3, None]), tensor("c", 9, [])],
        [tensor("y", 1, ["batch", None, None]), onnx.ValueInfoProto(name="w")], initializers,
        doc_string="", value_info=[tensor("outer", 1, ["batch", 3, 4]), tensor("stale", 1, [-1])],
        sparse_initializer=[sparse])
    graph.input.append(helper.make_value_info("seq", helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [2]))))
    graph.input.append(helper.make_value_info("opt", helper.make_optional_type_proto(helper.make_tensor_type_proto(1, None))))
    graph.input.append(helper.make_value_info("map", helper.make_map_type_proto(8, helper.make_tensor_type_proto(1, []))))
    graph.input[0].type.denotation = "IMAGE"
    graph.input[0].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    graph.quantization_annotation.add(tensor_name="outer").quant_parameter_tensor_names.append(entry("SCALE_TENSOR", "raw"))
    graph.metadata_props.append(entry("g", "m"))
    function = helper.make_function(
        "local", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 21)], attributes=["p"], attribute_protos=[helper.make_attribute("d", 1.5)])
    reference = function.node[0].attribute.add()
    reference.name, reference.type, reference.ref_attr_name = "alpha", onnx.AttributeProto.FLOAT, "p"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx", 21), helper.make_opsetid("my.domain", 1),
                                                    helper.make_opsetid("local", 1)], functions=[function])
    model.producer_name, model.doc_string, model.model_version = "", "multi\nline \u00e9", 0
    model.metadata_props.append(entry("license", "x"))
    training = model.training_info.add()
    training.algorithm.name = "step"
    training.update_binding.append(entry("raw", "raw2"))
    model.configuration.add(name="d", num_devices=2, device=["a", "b"])
    return model


def unknown_field(number, payload):
    tag = number << 3 | 2
    encoded = bytearray()
    while tag >= 0x80:
        encoded.append(tag & 0x7F | 0x80)
        tag >>= 7
    encoded.append(tag)
    return bytes(encoded) + bytes([len(payload)]) + payload


def write_synthetic(folder):
    """Models made here, as (path, bytes to expect); the bytes are what the output must parse to."""
    made = []

    def put(name, data):
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(data)
        made.append(path)

    rich = make_rich_model()
    put("rich.onnx", rich.SerializeToString())
    put("unknown_in_model.onnx", rich.SerializeToString() + unknown_field(1000, b"future"))
    node = rich.graph.node[0]
    node.MergeFromString(unknown_field(3000, b"in a node"))
    rich.graph.initializer[0].MergeFromString(unknown_field(99, b"in a tensor"))
    put("unknown_inside.onnx", rich.SerializeToString())
    bare = onnx.ModelProto()
    bare.graph.node.append(helper.make_node("Constant", [], ["k"], value_int=3))
    put("bare.onnx", bare.SerializeToString())
    return made


def compare_external(program, folder):
    """External data is embedded; every tensor must still have its contents."""
    weights = np.random.default_rng(1).standard_normal((100, 70)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [helper.make_tensor_value_info("x", 1, [1, 100])],
        [helper.make_tensor_value_info("y", 1, [1, 70])], [numpy_helper.from_array(weights, "w")])
    source, target = os.path.join(folder, "external.onnx"), os.path.join(folder, "out", "embedded.onnx")
    onnx.save_model(helper.make_model(graph), source, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert parse(source).graph.initializer[0].data_location == TensorProto.EXTERNAL
    lines = run(program, "read", [(source, target)], folder)
    if lines != ["ok"]:
        return [f"external data: {lines}"]
    if canonical(onnx.load(target, load_external_data=False)) != canonical(onnx.load(source)):
        # Loading leaves an explicit default data_location behind; only contents are promised here.
        written = numpy_helper.to_array(onnx.load(target).graph.initializer[0])
        if not np.array_equal(written, weights):
            return ["external data: the embedded weights differ"]
    return []


def run(program, mode, pairs, folder):
    listing = os.path.join(folder, "list.txt")
    with open(listing, "w") as file:
        file.writelines(f"{source}\t{target}\n" for source, target in pairs)
    result = subprocess.run([program, mode, listing], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{program} ended with {result.returncode}: {result.stderr}")
    return result.stdout.splitlines()


def compare(program, mode, models, folder):
    pairs = [(path, os.path.join(folder, "out", f"{index}.onnx")) for index, path in enumerate(models)]
    lines = run(program, mode, pairs, folder)
    assert len(lines) == len(pairs), (len(lines), len(pairs))
    failures = []
    for (source, target), line in zip(pairs, lines):
        try:
            expected = parse(source)
        except DecodeError as error:
            failures.append(f"{source}: Python's onnx cannot read it: {error}")
            continue
        if line != "ok":
            failures.append(f"{source}: {line}")
        elif canonical(parse(target)) != canonical(expected):
            failures.append(f"{source}: the copy differs")
    return failures


def main():
    program, shared = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "out"))
        models = find_models(shared) + write_synthetic(folder)
        failures = compare(program, "read", models, folder)
        failures += compare(program, "clone", models, folder)
        failures += compare_external(program, folder)
    print(f"{len(models)} models, each as read and as a clone: {len(failures)} failures")
    for failure in failures[:40]:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
