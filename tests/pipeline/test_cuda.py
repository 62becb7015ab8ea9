# SPDX-License-Identifier: Apache-2.0
"""The CUDA backend in whole runs: its own code on the CPU, with stand-ins for CUDA, cuDNN and cuBLASLt.

TARE_CUDA_ON_HOST names that plug-in (tests/cuda_on_host). It is slow, so networks and data are small.
"""

import os

import numpy as np
import onnx
from onnx import numpy_helper

import networks
import program
import test_device

# Sums in another order move a range by some rounding errors of float32.
SCALE_ERROR = 1e-4


class Cuda(test_device.Device):
    plugin = os.environ.get("TARE_CUDA_ON_HOST", "")

    def setUp(self):
        super().setUp()
        self.set(XDG_CACHE_HOME=str(self.folder / "cache"))

    def row(self, path, tensor):
        """What a state holds of one tensor's samples."""
        tensors = test_device.read_state(path)[1]
        index = tensors["tensor.name"].split(b"\0").index(tensor.encode())
        samples = tensors["sample.name"].count(b"\0")
        return [tensors[f"sample.{field}"][index * samples * 4 :][: samples * 4] for field in ("min", "max")]


class Small(Cuda):
    def test_batches_and_recordings_change_nothing(self):
        whole = self.calibrate("whole.tare", "--batch", 1, "--precision", "fp32")[0].read_bytes()
        for batch in (2, 5, 12):
            path, _ = self.calibrate("batches.tare", "--batch", batch, "--precision", "fp32")
            self.assertEqual(path.read_bytes(), whole, f"batch {batch}")

    def test_statistics_of_the_input_are_exact(self):
        cpu, _ = self.calibrate("cpu.tare", device="cpu")
        cuda, _ = self.calibrate("cuda.tare", "--batch", 5)
        self.assertEqual(self.row(cuda, "input"), self.row(cpu, "input"))
        self.assertEqual(test_device.read_state(cuda)[0]["precision"], "tf32")

    def test_precisions(self):
        ranges = {}
        for precision in ("fp32", "tf32", "fp16"):
            path, _ = self.calibrate("cuda.tare", "--precision", precision)
            ranges[precision] = np.frombuffer(test_device.read_state(path)[1]["sample.max"], np.float32)
        cpu, _ = self.calibrate("cpu.tare", device="cpu")
        expected = np.frombuffer(test_device.read_state(cpu)[1]["sample.max"], np.float32)
        for precision, error in (("fp32", 1e-5), ("tf32", 2e-3), ("fp16", 5e-3)):
            np.testing.assert_allclose(ranges[precision], expected, rtol=error, err_msg=precision)

    def test_outputs(self):
        results = []
        for device in ("cpu", "cuda"):
            path = self.folder / f"{device}.npy"
            data = self.folder / "data.npy"
            run = ("--device", device, "--precision", "fp32", "--batch", 5, "-q")
            self.expect_done("run", self.model, "--data", data, "-o", path, *run)
            results.append(np.load(path))
        np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-5)


class Networks(Cuda):
    NAMES = ("cifar/mlperf_tiny_resnet8", "imagenet/mobilenet_v1_0.25_128_deq", "detection/yunet_120x160")

    def parameters(self, path):
        """The operators in their order, and all initializers."""
        model = onnx.load(path)
        nodes = [(node.op_type, *node.input, *node.output) for node in model.graph.node]
        return nodes, {array.name: numpy_helper.to_array(array) for array in model.graph.initializer}

    def test_quantized_like_on_the_cpu(self):
        program.need_shared()
        for name in self.NAMES:
            with self.subTest(name):
                model = program.MODELS / f"{name}.onnx"
                preprocess = networks.preprocess_of(model)
                options = ["--data", program.IMAGES / "household", "--samples", 3, "--precision", "fp32", "-q"]
                options += [] if preprocess is None else ["--preprocess", preprocess]
                for device in ("cpu", "cuda"):
                    path = self.folder / f"{device}.onnx"
                    self.expect_done("quantize", model, "-o", path, "--device", device, *options, timeout=600)
                nodes, expected = self.parameters(self.folder / "cpu.onnx")
                found_nodes, found = self.parameters(self.folder / "cuda.onnx")
                self.assertEqual(found_nodes, nodes)
                for key, value in expected.items():
                    if value.dtype == np.float32:
                        np.testing.assert_allclose(found[key], value, rtol=SCALE_ERROR, err_msg=key)
                    else:
                        np.testing.assert_allclose(found[key].astype(int), value.astype(int), atol=1, err_msg=key)


if __name__ == "__main__":
    program.main()
