# SPDX-License-Identifier: Apache-2.0
"""`tare bench`: what it reports adds up, on any device and for every kind of model; nothing is said about times.

Runs on the CPU, or on the device of the plug-in that TARE_CUDA_PLUGIN names.
"""

import json
import os
import statistics

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import networks
import program

ON_DEVICE = bool(os.environ.get("TARE_CUDA_PLUGIN"))
SIDES = ("inference", "calibration")


class Bench(program.Case):
    def setUp(self):
        super().setUp()
        self.model = networks.save(networks.build(), self.folder / "model.onnx")

    def bench(self, *options, model=None, device="auto", seconds="40ms", timeout=300):
        """The report and the text of a short measurement."""
        path = self.folder / "report.json"
        result = self.expect_done(
            "bench", model or self.model, "--seconds", seconds, "--device", device, "--json", path, *options,
            timeout=timeout,
        )
        report = json.loads(path.read_text())
        self.check_sums(report)
        return report, result.stdout

    def check_sums(self, report):
        rates = [report[side]["rates"] for side in SIDES]
        self.assertEqual(*map(len, rates))
        self.assertGreaterEqual(len(rates[0]), 3)
        for side, values in zip(SIDES, rates):
            self.assertGreater(min(values), 0)
            self.assertAlmostEqual(report[side]["images_per_second"] / statistics.median(values), 1, 6)
            for part in ("open", "plan", "first_batch"):
                self.assertGreaterEqual(report[side][f"{part}_seconds"], 0)
            self.assertGreater(report[side]["first_batch_seconds"], 0)
            self.assertGreaterEqual(report[side]["spread_percent"], 0)
            self.assertGreater(report[side]["planned_host_bytes"], 0)
        ratios = [calibration / inference for inference, calibration in zip(*rates)]
        self.assertAlmostEqual(report["ratio"] / statistics.median(ratios), 1, 6)
        self.assertGreater(report["host_peak_bytes"], report["memory_plan"]["weight_bytes"])
        self.assertEqual(report["memory_plan"]["total_bytes"], report["calibration"]["planned_host_bytes"])
        on_device = report["device"] != "cpu"
        self.assertEqual(report["inference"]["planned_device_bytes"] > 0, on_device)
        self.assertEqual("memory_on_device" in report["memory_plan"], on_device)

    def check_layers(self, report):
        for side in SIDES:
            layers = report["layers"][side]
            sums = [sum(step[key] for step in layers["steps"]) for key in ("milliseconds", "statistics_milliseconds")]
            total = sum(sums) + layers["input_statistics_milliseconds"]
            self.assertAlmostEqual(total, layers["milliseconds"], delta=1e-6 * total + 1e-9)
            for step in layers["steps"]:
                self.assertGreaterEqual(min(step["milliseconds"], step["statistics_milliseconds"]), 0)
                self.assertIn(step["runs_on"], ("cpu", "copy", report["device"]))
            if total > 0:
                shares = sum(step["share"] for step in layers["steps"])
                self.assertAlmostEqual(shares + layers["input_statistics_milliseconds"] / total, 1, 6)


class Report(Bench):
    def test_made_up_samples(self):
        report, text = self.bench()
        self.assertEqual(report["device"], "cuda" if ON_DEVICE else "cpu")
        self.assertEqual(report["precision"], "tf32" if ON_DEVICE else "float32")
        self.assertEqual((report["synthetic"], report["samples"], report["statistics"]), (True, 16, "minmax"))
        self.assertNotIn("layers", report)
        for word in ("inference ", "calibration ", "ratio ", "start of calibration", "memory plan", "peak memory"):
            self.assertIn(f"\n{word}", text)

    def test_given_samples(self):
        np.save(self.folder / "data.npy", networks.samples(5))
        report, _ = self.bench("--data", self.folder / "data.npy")
        self.assertEqual((report["synthetic"], report["samples"]), (False, 5))

    def test_photographs(self):
        program.need_shared()
        report, _ = self.bench("--data", program.IMAGES / "household", "--batch", 3, "--preprocess", "unit")
        self.assertFalse(report["synthetic"])
        self.assertEqual(report["batch"], 3 if ON_DEVICE else 1)

    def test_layers(self):
        report, text = self.bench("--layers", "--batch", 2)
        self.check_layers(report)
        steps = [step for step in report["layers"]["inference"]["steps"] if not step["view"]]
        self.assertEqual([step["operator"] for step in steps if step["operator"] in ("Relu", "Gemm")], ["Relu", "Gemm"])
        conv = next(step for step in steps if step["operator"] == "Relu")
        self.assertEqual((conv["node"], conv["fused"] > 0), ("relu", True))
        self.assertIn("steps of inference, for a batch of ", text)

    def test_what_the_statistics_are(self):
        watched = {}
        for options in ((), ("--method", "mse"), ("--collect", "ranges"), ("--collect", "all")):
            report, _ = self.bench(*options)
            self.assertEqual(report["statistics"], options[-1] if options else "minmax")
            watched[report["statistics"]] = report["tensors"]
        self.assertEqual(watched["minmax"], watched["mse"])
        self.assertGreaterEqual(watched["ranges"], watched["minmax"])
        self.assertGreaterEqual(watched["all"], watched["ranges"])

    def test_threads_of_the_cpu(self):
        for threads in (1, 3):
            report, _ = self.bench("--threads", threads, device="cpu")
            self.assertEqual((report["threads"], report["batch"]), (threads, 1))


class Models(Bench):
    """Inputs of other kinds, other shapes, other types."""

    def test_an_open_shape(self):
        model = networks.save(networks.build(side=None), self.folder / "open.onnx")
        words = ["open.onnx", "dim 2 (height) of input 'input' is open"]
        self.expect_error(1, words, "bench", model)
        report, _ = self.bench("--shape", "input=1x3x20x24", model=model)
        self.assertGreater(report["ratio"], 0)

    def test_a_fixed_batch(self):
        """Samples of one are repeated; what is made up has the model's own batch."""
        shape = [4, 3, networks.SIDE, networks.SIDE]
        inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)]
        outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [4, 5])]
        model = networks.save(networks.build(inputs=inputs, outputs=outputs), self.folder / "four.onnx")
        np.save(self.folder / "data.npy", networks.samples(3))
        for options in ((), ("--data", self.folder / "data.npy")):
            report, _ = self.bench(*options, "--layers", model=model)
            self.check_layers(report)

    def test_types_of_inputs(self):
        """Indices, wide floats and truths: everything becomes a factor of the result."""
        kinds = ("DOUBLE", "UINT8", "INT8", "UINT16", "INT16", "UINT32", "INT32", "UINT64", "INT64", "BOOL")
        for kind in kinds:
            with self.subTest(kind):
                inputs = [helper.make_tensor_value_info("x", getattr(TensorProto, kind), ["N", 6])]
                outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])]
                weight = numpy_helper.from_array(np.ones((6, 4), np.float32), "w")
                nodes = [
                    helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
                    helper.make_node("MatMul", ["float", "w"], ["y"]),
                ]
                model = networks.build(nodes, [weight], inputs=inputs, outputs=outputs)
                path = networks.save(model, self.folder / "types.onnx")
                self.bench(model=path, seconds=0)

    def test_texts_cannot_be_made_up(self):
        inputs = [helper.make_tensor_value_info("x", TensorProto.STRING, ["N", 6])]
        nodes = [helper.make_node("Cast", ["x"], ["logits"], to=TensorProto.FLOAT)]
        model = networks.save(networks.build(nodes, [], inputs=inputs), self.folder / "text.onnx")
        self.expect_error(1, ["text.onnx", "input 'x'", "cannot be made up"], "bench", model)

    def test_real_networks(self):
        program.need_shared()
        for name in ("cifar/mlperf_tiny_resnet8", "mnist/mnist_8"):
            with self.subTest(name):
                options = ("--batch", 1, "--layers", "--precision", "fp32")
                report, _ = self.bench(*options, model=program.MODELS / f"{name}.onnx", seconds=0)
                self.check_layers(report)


class Mistakes(Bench):
    def test_usage(self):
        for options, words in (
            (["--method", "mse", "--collect", "all"], ["--method", "--collect"]),
            (["--collect", "some"], ["'some'", "ranges"]),
            (["--preprocess", "unit"], ["--preprocess", "--data"]),
            (["--seconds", "long"], ["'long'"]),
            (["--shape", "nothing=1x3"], ["no input 'nothing'"]),
        ):
            with self.subTest(options=options):
                self.expect_error(2, words, "bench", self.model, *options)

    def test_errors(self):
        data = self.folder / "data.npy"
        samples = networks.samples(3)
        samples[1, 0, 0, 0] = np.nan
        np.save(data, samples)
        for options, code, words in (
            (["--method", "guess"], 1, ["'guess'"]),
            (["--data", self.folder / "none.npy"], 1, ["none.npy"]),
            (["--data", data], 1, ["NaN", "data.npy[1]"]),
            (["--device", "cuda:99"], 3, ["cuda:99"]),
            (["--memory", "1K"], 1, ["memory"]),
            (["--batch", 70000], 1, ["70000"]),
        ):
            with self.subTest(options=options):
                self.expect_error(code, words, "bench", self.model, *options)

    def test_every_call_of_the_test_device_may_fail(self):
        """Whatever fails is reported and given back; the device of host memory counts its calls."""
        log = self.folder / "device.log"
        if "tare_host_device" not in os.environ.get("TARE_CUDA_PLUGIN", ""):
            self.skipTest("TARE_CUDA_PLUGIN is not the device made of host memory")
        command = ("bench", self.model, "--seconds", "0", "--batch", 2, "--layers", "--collect", "all", "-q")
        os.environ["TARE_TEST_DEVICE_LOG"] = str(log)
        self.addCleanup(os.environ.pop, "TARE_TEST_DEVICE_LOG", None)
        self.addCleanup(os.environ.pop, "TARE_TEST_DEVICE_FAILS", None)
        for call in [*range(1, 60), *range(60, 600, 20)]:
            log.unlink(missing_ok=True)
            os.environ["TARE_TEST_DEVICE_FAILS"] = str(call)
            result = program.run(*command)
            for line in log.read_text().splitlines():
                words = line.split()
                self.assertEqual(words[words.index("left") + 1], "0", f"call {call}: {line}")
            if result.returncode != 0:
                self.check_error(result, 1, ["the test device fails here"])


if __name__ == "__main__":
    program.main()
