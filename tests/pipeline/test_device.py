# SPDX-License-Identifier: Apache-2.0
"""Calibrating and running on a device: the same results as on the CPU, whatever the batch, and clear errors.

The device is made of host memory (tests/pipeline/device) and stands in for a CUDA device; TARE_HOST_DEVICE names its
library.
"""

import json
import os
import struct

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import networks
import program


def read_state(path):
    """Metadata and the bytes of each tensor."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    data = content[8 + length :]
    meta = header.pop("__metadata__")
    return meta, {name: data[slice(*entry["data_offsets"])] for name, entry in header.items()}


class Device(program.Case):
    """Runs the program with the test device."""

    plugin = os.environ.get("TARE_HOST_DEVICE", "")

    def setUp(self):
        super().setUp()
        if not self.plugin:
            self.skipTest("the plug-in was not built, or no variable names it")
        self.model = networks.save(networks.build(), self.folder / "model.onnx")
        self.data = networks.samples(12)
        np.save(self.folder / "data.npy", self.data)
        self.log = self.folder / "device.log"
        self.set(TARE_CUDA_PLUGIN=self.plugin, TARE_TEST_DEVICE_LOG=str(self.log))

    def set(self, **variables):
        for name, value in variables.items():
            os.environ[name] = value
            self.addCleanup(os.environ.pop, name, None)

    def calibrate(self, name, *options, device="cuda", data="data.npy", model=None):
        path = self.folder / name
        result = self.expect_done(
            "calibrate", model or self.model, "--data", self.folder / data, "-o", path, "--device", device, *options
        )
        return path, result.stderr

    def runs(self):
        """What the device says of its runs, as dictionaries."""
        if not self.log.exists():
            return []
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [dict(zip(words[::2], map(int, words[1::2]))) for words in lines]

    def check_same(self, one, other):
        """All statistics are the same to the bit. Where in their bins values lie is only found on the CPU."""
        first, second = read_state(one)[1], read_state(other)[1]
        first.pop("codes.place", None)
        second.pop("codes.place", None)
        self.assertEqual(first.keys(), second.keys())
        for name, content in first.items():
            self.assertEqual(content, second[name], name)


class Batches(Device):
    def test_any_batch_gives_what_the_cpu_gives(self):
        cpu, _ = self.calibrate("cpu.tare", device="cpu")
        for batch in (1, 3, 5, 12, 64):
            with self.subTest(batch=batch):
                path, notes = self.calibrate("device.tare", "--batch", batch, "--precision", "fp32")
                self.assertIn(f"batches of {min(batch, 12)}\n", notes)
                self.check_same(cpu, path)
                many, _ = self.calibrate("many.tare", "--batch", batch, "--precision", "fp32", "--threads", 16)
                self.assertEqual(many.read_bytes(), path.read_bytes())
        self.assertEqual(read_state(cpu)[0]["precision"], "float32")
        self.assertEqual(read_state(path)[0]["precision"], "fp32")
        # 12 samples: the first full batch goes as it is, then one recording per place in the ring.
        self.assertEqual([run["replays"] for run in self.runs()], [11, 11, 3, 3, 1, 1, 0, 0, 0, 0])
        self.assertEqual({run["left"] for run in self.runs()}, {0})

    def test_a_batch_is_chosen(self):
        _, notes = self.calibrate("device.tare")
        self.assertIn("batches of 8\n", notes)

    def test_the_cpu_takes_the_batch_for_a_hint(self):
        states = {self.calibrate("cpu.tare", "--batch", batch, device="cpu")[0].read_bytes() for batch in (1, 3, 16)}
        self.assertEqual(len(states), 1)

    def test_photographs_travel_as_pixels(self):
        folder = self.folder / "images"
        folder.mkdir()
        random = np.random.default_rng(3)
        for i in range(7):
            size = random.integers(8, 40, 2)
            Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(folder / f"{i}.png")
        letterbox = {"mode": "letterbox", "size": [16, 16], "filter": "bilinear", "align": "center", "pad": [1, 2, 3]}
        description = self.folder / "p.json"
        for color, mean in (("RGB", [0.4, 0.5, 0.6]), ("BGR", [3, 2, 1])):
            description.write_text(json.dumps({"color": color, "resize": letterbox, "mean": mean, "std": [0.2, 3, 7]}))
            options = ("--preprocess", description)
            cpu, _ = self.calibrate("cpu.tare", *options, data="images", device="cpu")
            device, _ = self.calibrate("device.tare", *options, "--batch", 3, "--precision", "fp32", data="images")
            self.check_same(cpu, device)

    def test_splits_give_the_same_bytes(self):
        whole = self.calibrate("whole.tare", "--batch", 5)[0].read_bytes()
        shards = [self.calibrate(f"s{i}.tare", "--shard", f"{i}/3", "--batch", 2)[0] for i in (1, 2, 3)]
        self.expect_done("merge", *shards, "-o", self.folder / "merged.tare")
        self.assertEqual((self.folder / "merged.tare").read_bytes(), whole)
        self.calibrate("part.tare", "--samples", 5)
        part, _ = self.calibrate("part.tare", "--resume", "--batch", 4, "--checkpoint-every", "1ms")
        self.assertEqual(part.read_bytes(), whole)
        cpu, _ = self.calibrate("cpu.tare", device="cpu")
        words = ["precision", "float32", "tf32"]
        self.expect_error(1, words, "merge", cpu, shards[0], "-o", self.folder / "never.tare")

    def test_quantizing_is_the_same(self):
        models = []
        for device in ("cpu", "cuda"):
            path = self.folder / f"{device}.onnx"
            self.expect_done(
                "quantize", self.model, "--data", self.folder / "data.npy", "-o", path, "--device", device, "-q"
            )
            models.append(path.read_bytes())
        self.assertEqual(*models)

    def test_a_model_with_one_sample_baked_in(self):
        """A target shape for one sample is replaced, and the samples are compared one by one first."""
        shape = numpy_helper.from_array(np.array([1, 4, 96], np.int64), "shape")
        nodes = [
            helper.make_node("Reshape", ["input", "shape"], ["rows"]),
            helper.make_node("MatMul", ["rows", "weight"], ["logits"]),
        ]
        weight = numpy_helper.from_array(np.random.default_rng(0).normal(0, 1, (96, 5)).astype(np.float32), "weight")
        model = networks.build(
            nodes,
            [shape, weight],
            inputs=[helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 8, 16])],
            outputs=[helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 4, 5])],
        )
        path = networks.save(model, self.folder / "baked.onnx")
        np.save(self.folder / "data.npy", np.random.default_rng(1).normal(0, 1, (7, 3, 8, 16)).astype(np.float32))
        cpu, _ = self.calibrate("cpu.tare", model=path, device="cpu")
        device, notes = self.calibrate("device.tare", "--precision", "fp32", model=path)
        self.assertIn("batches of 4\n", notes)
        self.check_same(cpu, device)

    def test_samples_that_cannot_be_told_apart(self):
        turn = helper.make_node("Transpose", ["input"], ["turned"], "turn", perm=[1, 0, 2, 3])
        summed = [helper.make_node("ReduceMean", ["input"], ["logits"], "sum", axes=[0], keepdims=1)]
        product = [turn, helper.make_node("Conv", ["turned", "weight"], ["logits"], "conv")]
        weight = numpy_helper.from_array(np.ones((2, 1, 3, 3), np.float32), "weight")
        for nodes, reason in (
            (summed, "node 'sum' (ReduceMean): its samples are not known to be parts of an axis afterwards"),
            (product, "with 3 samples: node 'conv' (Conv)"),
        ):
            path = networks.save(networks.build(nodes, [weight]), self.folder / "model.onnx")
            cpu, _ = self.calibrate("cpu.tare", model=path, device="cpu")
            device, notes = self.calibrate("device.tare", "--precision", "fp32", model=path)
            self.assertIn(f"samples run one by one: {reason}", notes)
            self.check_same(cpu, device)

    def test_samples_on_another_axis_in_between(self):
        nodes = [
            helper.make_node("Transpose", ["input"], ["turned"], "turn", perm=[1, 0, 2, 3]),
            helper.make_node("Add", ["turned", "turned"], ["sum"], "add"),
            helper.make_node("Transpose", ["sum"], ["logits"], "back", perm=[1, 0, 2, 3]),
        ]
        path = networks.save(networks.build(nodes, []), self.folder / "model.onnx")
        cpu, _ = self.calibrate("cpu.tare", model=path, device="cpu")
        device, notes = self.calibrate("device.tare", "--precision", "fp32", model=path)
        self.assertIn("batches of 8\n", notes)
        self.check_same(cpu, device)

    def test_a_model_that_fixes_its_batch(self):
        model = networks.build(inputs=[helper.make_tensor_value_info("input", TensorProto.FLOAT, [4, 3, 16, 16])])
        path = networks.save(model, self.folder / "four.onnx")
        cpu, _ = self.calibrate("cpu.tare", model=path, device="cpu")
        device, _ = self.calibrate("device.tare", "--precision", "fp32", model=path)
        self.check_same(cpu, device)

    def test_outputs(self):
        outputs = {}
        for device in ("cpu", "cuda"):
            for batch in (1, 5):
                path = self.folder / f"{device}{batch}.npy"
                data = self.folder / "data.npy"
                self.expect_done(
                    "run", self.model, "--data", data, "-o", path, "--device", device, "--batch", batch, "-q"
                )
                outputs[device, batch] = np.load(path)
        for result in outputs.values():
            np.testing.assert_allclose(result, outputs["cpu", 1], rtol=1e-5, atol=1e-6)
        single = self.folder / "single.npy"
        np.save(single, self.data[:3])
        self.expect_done("run", self.model, "--input", single, "-o", self.folder / "o.npy", "--device", "cuda")
        np.testing.assert_allclose(np.load(self.folder / "o.npy"), outputs["cpu", 1][:3], rtol=1e-5, atol=1e-6)


class Limits(Device):
    def test_a_smaller_batch_is_taken(self):
        cpu, _ = self.calibrate("cpu.tare", "--collect", "ranges", device="cpu")
        plans = []
        report = self.folder / "report.json"
        for _ in range(2):
            path, _ = self.calibrate("device.tare", "--collect", "ranges", "--precision", "fp32", "--json", report)
            plans.append(json.loads(report.read_text())["memory_plan"]["memory_on_device"])
            # One part in sixteen of what is free is left alone.
            self.set(TARE_TEST_DEVICE_FREE=str(plans[0]["total_bytes"] // 2 * 17 // 16))
        self.assertEqual(plans[0]["batch"], 8)
        self.assertLess(plans[1]["batch"], 8)
        self.assertLessEqual(plans[1]["total_bytes"], plans[0]["total_bytes"] // 2)
        self.check_same(cpu, path)

    def test_the_limit_holds_for_the_device_too(self):
        words = ["needs", "of the device's memory", "allowed are 1.0 mb"]
        before = set(self.folder.rglob("*")) | {self.log}
        result = program.run(
            "calibrate", self.model, "--data", self.folder / "data.npy", "-o", self.folder / "never.tare",
            "--device", "cuda", "--memory", "1M",
        )
        self.check_error(result, 1, words)
        self.assertEqual(set(self.folder.rglob("*")), before)

    def test_the_plan_is_what_is_used(self):
        report = self.folder / "report.json"
        for batch in (1, 4):
            self.calibrate("device.tare", "--batch", batch, "--collect", "ranges", "--json", report)
            plan = json.loads(report.read_text())["memory_plan"]["memory_on_device"]
            used = self.runs()[-1]["most"] + plan["statistics_bytes"]
            self.assertLessEqual(used, plan["total_bytes"] + 8192)

    def test_nothing_fits(self):
        self.set(TARE_TEST_DEVICE_FREE="5000")
        words = ["model.onnx", "needs", "of the device's memory", "batch of one", "free are 4.7 kb"]
        data, out = self.folder / "data.npy", self.folder / "never.tare"
        before = set(self.folder.rglob("*")) | {self.log}
        result = program.run("calibrate", self.model, "--data", data, "-o", out, "--device", "cuda")
        self.check_error(result, 1, words)
        self.assertEqual(set(self.folder.rglob("*")), before)

    def test_what_the_device_lacks_runs_on_the_cpu(self):
        cpu, _ = self.calibrate("cpu.tare", device="cpu")
        self.set(TARE_TEST_DEVICE_REFUSES=" AveragePool Gemm ")
        report = self.folder / "report.json"
        device, notes = self.calibrate("device.tare", "--precision", "fp32", "--json", report)
        self.assertIn("on the CPU for lack of kernels: GlobalAveragePool 1, Gemm 1\n", notes)
        nodes = json.loads(report.read_text())["memory_plan"]["memory_on_device"]["host_nodes"]
        self.assertEqual(nodes, [["pool", "GlobalAveragePool"], ["head", "Gemm"]])
        self.assertEqual(self.runs()[-1]["replays"], 0)
        self.check_same(cpu, device)


class Precision(Device):
    def overflowing(self):
        """A network in which a product leaves float16 and comes back."""
        nodes = [
            helper.make_node("Mul", ["input", "up"], ["large"]),
            helper.make_node("Conv", ["large", "conv.weight"], ["logits"], "conv"),
        ]
        weight = numpy_helper.from_array(np.full((2, 3, 1, 1), 1e-6, np.float32), "conv.weight")
        up = numpy_helper.from_array(np.full((), 60000, np.float32), "up")
        return networks.save(networks.build(nodes, [weight, up]), self.folder / "large.onnx")

    def test_float16(self):
        fp16, _ = self.calibrate("fp16.tare", "--precision", "fp16")
        fp32, _ = self.calibrate("fp32.tare", "--precision", "fp32")
        self.assertEqual(read_state(fp16)[0]["precision"], "fp16")
        wide, half = (np.frombuffer(read_state(path)[1]["sample.max"], np.float32) for path in (fp32, fp16))
        np.testing.assert_allclose(half, wide, rtol=5e-3)
        self.assertTrue((half != wide).any())

    def test_overflow_begins_anew_in_tf32(self):
        model = self.overflowing()
        tf32, _ = self.calibrate("tf32.tare", "--precision", "tf32", model=model)
        fp16, notes = self.calibrate("fp16.tare", "--precision", "fp16", model=model, data="data.npy")
        self.assertIn("tensor 'large' leaves the range of float16", notes)
        self.assertIn("the run begins anew in tf32\n", notes)
        self.assertEqual(fp16.read_bytes(), tf32.read_bytes())

    def test_overflow_after_earlier_samples(self):
        model = self.overflowing()
        self.data[:6] *= 0.01
        np.save(self.folder / "data.npy", self.data)
        self.calibrate("fp16.tare", "--precision", "fp16", "--samples", 6, model=model)
        before = (self.folder / "fp16.tare").read_bytes()
        result = program.run(
            "calibrate", model, "--data", self.folder / "data.npy", "-o", self.folder / "fp16.tare",
            "--device", "cuda", "--precision", "fp16", "--resume",
        )
        self.check_error(result, 1, ["sample 'data.npy[", "tensor 'large' leaves the range of float16", "tf32"])
        self.assertEqual((self.folder / "fp16.tare").read_bytes(), before)


class Failures(Device):
    def error_of(self, device, *options):
        result = program.run(
            "calibrate", self.model, "--data", self.folder / "data.npy", "-o", self.folder / "never.tare",
            "--device", device, "-q", *options,
        )
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertFalse((self.folder / "never.tare").exists())
        return result.stderr

    def test_the_first_bad_sample_is_named(self):
        self.data[7, 1, 2, 3] = np.nan
        self.data[9, 0, 0, 0] = np.inf
        np.save(self.folder / "data.npy", self.data)
        expected = self.error_of("cpu", "--threads", 1)
        self.assertIn("data.npy[7]", expected)
        for batch in (1, 4, 12):
            for threads in (1, 16):
                self.assertEqual(self.error_of("cuda", "--batch", batch, "--threads", threads), expected)

    def test_a_file_that_does_not_load(self):
        folder = self.folder / "images"
        folder.mkdir()
        for i in range(6):
            Image.fromarray(np.full((16, 16, 3), i, np.uint8)).save(folder / f"{i}.png")
        (folder / "4.png").write_bytes(b"no image")
        for device in ("cpu", "cuda"):
            self.expect_failure(["4.png"], "--data", folder, "--device", device, "--batch", 3)
        path = self.folder / "state.tare"
        result = self.expect_done("calibrate", self.model, "--data", folder, "-o", path, "--device", "cuda", "--skip-bad")
        self.assertIn("4.png' is skipped", result.stderr)
        self.assertIn("1 skipped", result.stdout)

    def expect_failure(self, words, *options):
        result = program.run("calibrate", self.model, "-o", self.folder / "never.tare", *options)
        self.check_error(result, 1, words)

    def test_every_call_may_fail(self):
        """Whatever fails is reported, everything is given back, and nothing is written."""
        options = ("--batch", 5, "--precision", "fp32")
        self.calibrate("whole.tare", *options)
        calls = self.runs()[-1]["calls"]
        self.assertGreater(calls, 50)
        passed = 0
        for call in range(1, calls + 1):
            self.log.unlink()
            self.set(TARE_TEST_DEVICE_FAILS=str(call))
            result = program.run(
                "calibrate", self.model, "--data", self.folder / "data.npy", "-o", self.folder / "never.tare",
                "--device", "cuda", *options,
            )
            self.assertEqual(self.runs()[-1]["left"], 0, f"call {call}")
            if result.returncode == 0:
                # Only recording may fail without consequences.
                self.assertIn("batches are not recorded", result.stderr, f"call {call}")
                self.check_same(self.folder / "whole.tare", self.folder / "never.tare")
                (self.folder / "never.tare").unlink()
                passed += 1
            else:
                self.check_error(result, 1, ["the test device fails here"])
                self.assertFalse((self.folder / "never.tare").exists())
        self.assertGreater(passed, 0)


class Networks(Device):
    """Real networks on photographs."""

    NAMES = ("cifar/mlperf_tiny_resnet8", "imagenet/mobilenet_v1_0.25_128_deq", "detection/yolox_nano")

    def test_quantized_like_on_the_cpu(self):
        program.need_shared()
        for name in self.NAMES:
            with self.subTest(name):
                model = program.MODELS / f"{name}.onnx"
                preprocess = networks.preprocess_of(model)
                options = ["--data", program.IMAGES / "household", "--samples", 5]
                options += [] if preprocess is None else ["--preprocess", preprocess]
                states = []
                for device, batch in (("cpu", 1), ("cuda", 4)):
                    path = self.folder / f"{device}.tare"
                    run = ("--device", device, "--batch", batch, "--precision", "fp32", "-q")
                    self.expect_done("calibrate", model, "-o", path, *options, *run, timeout=600)
                    states.append(read_state(path)[1])
                for field in ("sample.min", "sample.max"):
                    one, other = (np.frombuffer(state[field], np.float32) for state in states)
                    np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4 * float(np.abs(one).max()))


if __name__ == "__main__":
    program.main()
