# SPDX-License-Identifier: Apache-2.0
"""The command line itself: help, versions, mistakes, progress, signals, exit codes."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import networks
import program

COMMANDS = ("quantize", "calibrate", "merge", "state", "inspect", "run", "bench", "devices")


def run_help(command):
    return program.run(*command.split(), "--help").stdout


class CommandLine(program.Case):
    def test_help(self):
        overview = self.expect_done("--help").stdout
        for command in COMMANDS:
            self.assertRegex(overview, rf"(?m)^  {command} ")
            text = self.expect_done(command, "--help").stdout
            self.assertTrue(text.startswith(f"usage: tare {command}"))
            self.assertRegex(text, rf"example:\n  tare {command} ")
            self.assertLessEqual(max(map(len, text.splitlines())), 100)

    def test_the_manual_quotes_the_help(self):
        manual = (program.SOURCE / "docs" / "cli.md").read_text()
        for command in ("", *COMMANDS):
            text = run_help(command)
            with self.subTest(command=command):
                self.assertIn("".join(f"    {line}".rstrip() + "\n" for line in text.splitlines()), manual)

    def test_version(self):
        cmake = (program.SOURCE / "CMakeLists.txt").read_text()
        expected = re.search(r"project\(tare VERSION ([0-9.]+)", cmake)[1]
        self.assertEqual(self.expect_done("--version").stdout, f"tare {expected}\n")

    def test_mistakes(self):
        model = networks.save(networks.build(), self.folder / "m.onnx")
        cases = [
            ([], ["no command"]),
            (["quantise"], ["quantise", "'quantize'"]),
            (["frobnicate"], ["unknown command 'frobnicate'"]),
            (["quantize", model, "--dta", "x"], ["'--dta'", "'--data'"]),
            (["quantize", model, "--sample=3"], ["'--sample'", "'--samples'"]),
            (["quantize", model, "-x"], ["'-x'"]),
            (["quantize"], ["no model"]),
            (["quantize", model, "-o", "y"], ["--data", "--state"]),
            (["quantize", model, "--data"], ["--data", "needs a value"]),
            (["quantize", model, "--data", "x"], ["--output", "missing"]),
            (["quantize", model, "other.onnx"], ["other.onnx"]),
            (["quantize", model, "--data", "a", "--data", "b"], ["--data", "twice"]),
            (["quantize", model, "--data="], ["--data", "empty"]),
            (["quantize", model, "--skip-bad=yes"], ["--skip-bad", "yes"]),
            (["quantize", model, "--preset", "fast"], ["--preset", "performance", "mixed", "fast"]),
            (["quantize", model, "--model-type", "cnn"], ["--model-type", "transformer", "cnn"]),
            (["devices", "surplus"], ["surplus"]),
            (["run", model, "-o", "y.npy"], ["--input", "--data"]),
            (["run", model, "--input", "x.npy", "--data", "d", "-o", "y.npy"], ["--input", "--data"]),
            (["run", model, "--input", "x.npy", "-p", "unit", "-o", "y.npy"], ["--preprocess"]),
            (["run", model, "--input", "x.npy", "-o", "y.txt"], [".npy", ".npz", "y.txt"]),
        ]
        for value in ("0", "-1", "x", "3x", "99999999999", ""):
            cases.append((["quantize", model, "--samples", value], ["--samples", f"'{value}'"]))
        for value in ("0", "5Q", "G", "-4G", "4GB", "99999999999999999999", "99999999T"):
            cases.append((["quantize", model, "--memory", value], ["--memory", f"'{value}'"]))
        for value in ("input", "=1x3", "input=", "input=1x", "input=x3", "input=1x-3", "input=0", "i=1x1x1x1x1x1x1x1x1"):
            cases.append((["inspect", model, "--shape", value], ["--shape", f"'{value}'"]))
        for arguments, words in cases:
            with self.subTest(arguments=arguments[:1] + arguments[2:]):
                self.expect_error(2, words, *arguments)

    def test_forms_of_options(self):
        model = networks.save(networks.build(), self.folder / "m.onnx")
        np.save(self.folder / "x.npy", networks.samples(2))
        outputs = []
        for index, arguments in enumerate(
            [
                ["run", model, "--input", self.folder / "x.npy", "--output", "{}"],
                ["run", f"--input={self.folder / 'x.npy'}", "--output={}", "--threads=1", "--", model],
                ["run", "-i", self.folder / "x.npy", "-q", "-o", "{}", model],
            ]
        ):
            out = self.folder / f"{index}.npy"
            self.expect_done(*[str(argument).replace("{}", str(out)) for argument in arguments])
            outputs.append(np.load(out))
        self.assertEqual(outputs[0].shape, (2, 5))
        for other in outputs[1:]:
            np.testing.assert_array_equal(outputs[0], other)

    def test_run_on_data_is_run_on_the_array(self):
        model = networks.save(networks.build(), self.folder / "m.onnx")
        np.save(self.folder / "x.npy", networks.samples(5))
        self.expect_done("run", model, "--input", self.folder / "x.npy", "-o", self.folder / "a.npz")
        self.expect_done("run", model, "--data", self.folder / "x.npy", "-o", self.folder / "b.npz")
        with np.load(self.folder / "a.npz") as a, np.load(self.folder / "b.npz") as b:
            self.assertEqual(a.files, ["logits"])
            self.assertEqual(b["logits"].shape, (5, 5))
            np.testing.assert_allclose(a["logits"], b["logits"], rtol=1e-5, atol=1e-6)

    def test_devices(self):
        self.assertIn("cpu", self.expect_done("devices").stdout)
        report = json.loads(self.expect_done("devices", "--json", "-").stdout)
        self.expect_done("devices", "--json", self.folder / "devices.json", "-q")
        self.assertEqual(json.loads((self.folder / "devices.json").read_text()), report)

    def test_quiet(self):
        model = networks.save(networks.build(), self.folder / "m.onnx")
        np.save(self.folder / "x.npy", networks.samples(2))
        arguments = ("quantize", model, "--data", self.folder / "x.npy", "-o", self.folder / "o.onnx")
        self.assertNotEqual(self.expect_done(*arguments).stdout, "")
        self.assertEqual(self.expect_done(*arguments, "-q").stdout, "")


class Slow(program.Case):
    """Signals and progress, with a network that takes a while."""

    COUNT = 4000

    def setUp(self):
        super().setUp()
        random = np.random.default_rng(0)
        nodes, initializers, channels, value = [], [], 3, "input"
        for index in range(6):
            name = f"w{index}"
            array = random.normal(0, 0.1, (64, channels, 3, 3)).astype(np.float32)
            initializers.append(numpy_helper.from_array(array, name))
            nodes.append(helper.make_node("Conv", [value, name], [f"v{index}"], f"conv{index}", pads=[1, 1, 1, 1]))
            channels, value = 64, f"v{index}"
        nodes.append(helper.make_node("GlobalAveragePool", [value], ["y"], "pool"))
        output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 64, 1, 1])
        model = networks.build(nodes, initializers, side=64, outputs=[output])
        self.model = networks.save(model, self.folder / "slow.onnx")
        # A file of zeros takes no room on the disk.
        data = np.lib.format.open_memmap(
            self.folder / "zeros.npy", mode="w+", dtype=np.float32, shape=(self.COUNT, 3, 64, 64)
        )
        del data

    def start(self, stderr):
        arguments = ["quantize", self.model, "--data", self.folder / "zeros.npy", "-o", self.folder / "out.onnx"]
        arguments += ["--samples", self.COUNT]
        return subprocess.Popen(
            [program.PROGRAM, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "TERM": "xterm"},
        )

    def stop(self, number):
        before = set(self.folder.iterdir())
        process = self.start(subprocess.PIPE)
        time.sleep(1.0)
        process.send_signal(number)
        stderr = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, 128 + number, stderr)
        self.assertIn("tare: error: interrupted", stderr)
        self.assertEqual(set(self.folder.iterdir()), before)

    def test_interrupt(self):
        self.stop(signal.SIGINT)

    def test_terminate(self):
        self.stop(signal.SIGTERM)

    def test_progress_on_a_terminal(self):
        ours, theirs = pty.openpty()
        process = self.start(theirs)
        os.close(theirs)
        shown = b""
        end = time.monotonic() + 60
        line = rb"\r\x1b\[K[a-z]+: \d+ of 4000, [0-9.]+ samples/s, \d+ s left"
        while time.monotonic() < end and not re.search(line, shown):
            if select.select([ours], [], [], 1.0)[0]:
                try:
                    shown += os.read(ours, 65536)
                except OSError:  # Linux's way to say that nobody writes any more
                    break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        os.close(ours)
        self.assertRegex(shown, line)
        self.assertNotIn(b"\n", shown[shown.index(b"\r\x1b") :])  # notes may come before

    def test_progress_elsewhere(self):
        process = self.start(subprocess.PIPE)
        first = "tare: "
        while first.startswith("tare: "):  # notes, for instance of the memory plan
            first = process.stderr.readline().decode()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertRegex(first, r"^[a-z]+: \d+ of 4000, [0-9.]+ samples/s, \d+ s left\n$")


if __name__ == "__main__":
    program.main()
