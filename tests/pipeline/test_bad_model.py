# SPDX-License-Identifier: Apache-2.0
"""Models that are damaged, hostile or beyond what Tare can do: one clear error each, and nothing written."""

import numpy as np
from onnx import TensorProto, helper

import networks
import program


def tensor_of(name, dims, data=b"\0" * 16):
    """A float tensor that claims `dims`, whatever it holds."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, raw_data=data)
    tensor.dims.extend(dims)
    return tensor


def external(name, dims, location, offset=0, length=None):
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.dims.extend(dims)
    entries = {"location": location, "offset": str(offset)}
    if length is not None:
        entries["length"] = str(length)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def with_conv_weight(tensor):
    """The small network with another first weight."""
    others = [weight for weight in networks.weights() if weight.name != "conv.weight"]
    return networks.build(initializers=[tensor, *others])


class BadModel(program.Case):
    def setUp(self):
        super().setUp()
        np.save(self.folder / "data.npy", networks.samples())

    def refuse(self, path, *words, timeout=60):
        """All commands that read a model must refuse it, with its name and these words."""
        path = self.folder / path
        data = self.folder / "data.npy"
        out = self.folder / "out.onnx"
        words = (path.name, *words)
        self.expect_error(1, words, "quantize", path, "--data", data, "-o", out, timeout=timeout)
        self.expect_error(1, words, "calibrate", path, "--data", data, "-o", self.folder / "s", timeout=timeout)
        self.expect_error(
            1, words, "run", path, "--input", data, "--output", self.folder / "y.npz", timeout=timeout
        )
        self.expect_error(
            1, words, "run", path, "--data", data, "--output", self.folder / "y.npz", timeout=timeout
        )

    def refuse_model(self, model, *words):
        networks.save(model, self.folder / "bad.onnx")
        self.refuse("bad.onnx", *words)

    def test_the_good_one_is_accepted(self):
        networks.save(networks.build(), self.folder / "good.onnx")
        self.expect_done(
            "quantize", self.folder / "good.onnx", "--data", self.folder / "data.npy", "-o", self.folder / "o.onnx"
        )

    def test_missing(self):
        self.refuse("missing.onnx", "missing.onnx")

    def test_folder(self):
        (self.folder / "folder.onnx").mkdir()
        self.refuse("folder.onnx", "folder.onnx")

    def test_empty(self):
        (self.folder / "empty.onnx").touch()
        self.refuse("empty.onnx", "empty.onnx")

    def test_truncated(self):
        whole = networks.build().SerializeToString()
        for share in (0.1, 0.5, 0.9, 0.99):
            with self.subTest(share=share):
                (self.folder / "cut.onnx").write_bytes(whole[: int(len(whole) * share)])
                self.refuse("cut.onnx", "cut.onnx")

    def test_random_bytes(self):
        for seed in range(4):
            with self.subTest(seed=seed):
                (self.folder / "noise.onnx").write_bytes(np.random.default_rng(seed).bytes(10000))
                self.refuse("noise.onnx", "noise.onnx")

    def test_zeros(self):
        with open(self.folder / "zeros.onnx", "wb") as file:
            file.truncate(64 << 20)
        self.refuse("zeros.onnx", "zeros.onnx", timeout=20)

    def test_huge_tensor(self):
        self.refuse_model(with_conv_weight(tensor_of("conv.weight", [1 << 30, 1 << 30])), "conv.weight")

    def test_overflowing_tensor(self):
        self.refuse_model(with_conv_weight(tensor_of("conv.weight", [1 << 62, 1 << 62, 4])), "conv.weight")

    def test_negative_dim(self):
        self.refuse_model(with_conv_weight(tensor_of("conv.weight", [8, 3, -3, -3])), "conv.weight")

    def test_too_little_data(self):
        self.refuse_model(with_conv_weight(tensor_of("conv.weight", [8, 3, 3, 3])), "conv.weight")

    def test_external_data(self):
        (self.folder / "weights.bin").write_bytes(bytes(8 * 3 * 3 * 3 * 4))
        outside = self.folder / "outside"
        outside.mkdir()
        networks.save(
            with_conv_weight(external("conv.weight", [8, 3, 3, 3], "../weights.bin")), outside / "escape.onnx"
        )
        self.refuse("outside/escape.onnx", "conv.weight", "..")
        cases = {
            "absolute": (str(self.folder / "weights.bin"), 0, None),
            "missing": ("nowhere.bin", 0, None),
            "beyond the end": ("weights.bin", 4, None),
            "offset beyond the end": ("weights.bin", 1 << 40, None),
            "wrong length": ("weights.bin", 0, 12),
            "overflowing": ("weights.bin", (1 << 63) - 1, 864),
        }
        for what, (location, offset, length) in cases.items():
            with self.subTest(what=what):
                self.refuse_model(
                    with_conv_weight(external("conv.weight", [8, 3, 3, 3], location, offset, length)), "conv.weight"
                )

    def test_cycle(self):
        nodes = networks.nodes()
        nodes[0].input[0] = "back"
        nodes.insert(0, helper.make_node("Add", ["input", "conv.out"], ["back"], "closes_the_cycle"))
        nodes[0].input[1] = "relu.out"
        self.refuse_model(networks.build(nodes), "cycl")

    def test_duplicate_value(self):
        nodes = networks.nodes()
        nodes.append(helper.make_node("Relu", ["conv.out"], ["relu.out"], "again"))
        self.refuse_model(networks.build(nodes), "relu.out")

    def test_duplicate_initializer(self):
        self.refuse_model(networks.build(initializers=networks.weights() + networks.weights()[:1]), "conv.weight")

    def test_unknown_value(self):
        nodes = networks.nodes()
        nodes[1].input[0] = "from_nowhere"
        self.refuse_model(networks.build(nodes), "from_nowhere")

    def test_unknown_operator(self):
        nodes = networks.nodes()
        nodes[1].op_type = "Frobnicate"
        self.refuse_model(networks.build(nodes), "Frobnicate")

    def test_foreign_domain(self):
        nodes = networks.nodes()
        nodes[1].domain = "com.example"
        self.refuse_model(networks.build(nodes, domains=["com.example"]), "Relu", "com.example")

    def test_weight_that_does_not_fit(self):
        self.refuse_model(with_conv_weight(tensor_of("conv.weight", [8, 4, 3, 3], bytes(8 * 4 * 9 * 4))), "conv")

    def test_plan_that_does_not_fit(self):
        networks.save(networks.build(), self.folder / "good.onnx")
        for command, out in (("quantize", "o.onnx"), ("calibrate", "s"), ("run", "y.npz")):
            with self.subTest(command=command):
                self.expect_error(
                    1, ["good.onnx: ", "memory"], command, self.folder / "good.onnx", "--data",
                    self.folder / "data.npy", "--output", self.folder / out, "--memory", "1K",
                )

    def test_opset_of_the_future(self):
        model = networks.build()
        model.opset_import[0].version = 1000
        self.refuse_model(model, "1000")


if __name__ == "__main__":
    program.main()
