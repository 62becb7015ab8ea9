# SPDX-License-Identifier: Apache-2.0
"""A call of CUDA, cuDNN or cuBLASLt fails: one clear error, nothing half-written, everything freed, and the last
checkpoint stays good.

TARE_PLUGIN_ON_HOST is the plug-in whose CUDA is a fake that fails on request; all tests are skipped without it.
"""

import os
import pathlib
import sys
import unittest
from unittest import mock

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "pipeline"))
import networks  # noqa: E402
import program  # noqa: E402

SAMPLES = 24

# Whatever they return, the work is done.
HARMLESS = (
    "cudaFree",
    "cudaFreeHost",
    "cudaStreamDestroy",
    "cudaEventDestroy",
    "cudaGraphDestroy",
    "cudaGraphExecDestroy",
    "cudnnDestroy",
    "cudnnBackendDestroyDescriptor",
    "cublasLtDestroy",
    "cublasLtMatmulDescDestroy",
    "cublasLtMatrixLayoutDestroy",
    "cublasLtMatmulPreferenceDestroy",
)
# Without them there is nothing to be done.
FATAL = (
    "cudaHostAlloc",
    "cudaMemcpyAsync",
    "cudaStreamCreateWithFlags",
    "cudaStreamSynchronize",
    "cudaEventCreateWithFlags",
    "cudaEventRecord",
    "cudaEventSynchronize",
    "cudaStreamWaitEvent",
    "cudnnBackendExecute",
    "cublasLtCreate",
    "cublasLtMatmul",
    "launch",
)
# It may go on in another way (a smaller batch, another engine), or fail the run.
EITHER = (
    "cudaMalloc",
    "cudaMemcpy",
    "cudaMemsetAsync",
    "cudaStreamBeginCapture",
    "cudaStreamEndCapture",
    "cudaGraphInstantiate",
    "cudaGraphLaunch",
    "cudnnCreate",
    "cudnnSetStream",
    "cudnnBackendCreateDescriptor",
    "cudnnBackendSetAttribute",
    "cudnnBackendGetAttribute",
    "cudnnBackendFinalize",
    "cublasLtMatmulDescCreate",
    "cublasLtMatmulDescSetAttribute",
    "cublasLtMatrixLayoutCreate",
    "cublasLtMatrixLayoutSetAttribute",
    "cublasLtMatmulPreferenceCreate",
    "cublasLtMatmulPreferenceSetAttribute",
    "cublasLtMatmulAlgoGetHeuristic",
)
# The machine cannot be used when they fail.
UNUSABLE = ("cudaGetDeviceCount", "cudaGetDeviceProperties")


class Faults(program.Case):
    def setUp(self):
        super().setUp()
        plugin = os.environ.get("TARE_PLUGIN_ON_HOST")
        if plugin is None:
            self.skipTest("TARE_PLUGIN_ON_HOST is not set: it was not built")
        # Plans that were kept would hide what happens when they are made.
        environment = mock.patch.dict(
            os.environ,
            {"TARE_CUDA_PLUGIN": plugin, "TARE_CUDA_FAULT": "", "XDG_CACHE_HOME": str(self.folder / "cache")},
        )
        environment.start()
        self.addCleanup(environment.stop)
        (self.folder / "cache").mkdir()
        self.model = networks.save(networks.build(), self.folder / "model.onnx")
        self.data = self.folder / "data.npy"
        random = np.random.default_rng(5)
        np.save(self.data, random.random((SAMPLES, 3, networks.SIDE, networks.SIDE), np.float32))
        self.out = self.folder / "out"

    def calibrate(self, fault, *options):
        """Runs with a fault; the result is the exit code and the error line."""
        os.environ["TARE_CUDA_FAULT"] = fault
        for file in (self.folder / "cache").rglob("*"):
            if file.is_file():
                file.unlink()
        result = program.run(
            "calibrate", self.model, "--data", self.data, "-o", self.out, "--device", "cuda", "--batch", "4",
            "--precision", "fp32", *options, timeout=120,
        )  # fmt: skip
        errors = [line for line in result.stderr.splitlines() if line.startswith("tare: error: ")]
        self.assertIn(result.returncode, (0, 1, 3), result.stderr)
        self.assertEqual(len(errors), 0 if result.returncode == 0 else 1, result.stderr)
        self.assertNotIn("not freed", result.stderr)
        self.assertEqual(self.out.exists(), result.returncode == 0)
        return result.returncode, errors[0] if errors else ""

    def each(self, names, check):
        """Lets the first, the second, the fifth and the fourteenth call fail, and calls check(name, code, error)."""
        for name in names:
            failures = 0
            for nth in (1, 2, 5, 14):
                with self.subTest(fault=f"{name}:{nth}"):
                    code, error = self.calibrate(f"{name}:{nth}", "--checkpoint-every", "0")
                    failures += code != 0
                    check(name, nth, code, error)
                    self.out.unlink(missing_ok=True)

    def test_nothing_is_left_behind_without_a_fault(self):
        self.assertEqual(self.calibrate("")[0], 0)

    def test_harmless(self):
        self.each(HARMLESS, lambda name, nth, code, error: self.assertEqual(code, 0, error))

    def test_fatal(self):
        def check(name, nth, code, error):
            if nth == 1:
                self.assertEqual(code, 1, error)
            if code != 0:
                words = "out of memory" if name == "cudaHostAlloc" else "fail"
                self.assertIn(words, error.lower())

        self.each(FATAL, check)

    def test_either(self):
        self.each(EITHER, lambda name, nth, code, error: self.assertIn(code, (0, 1)))

    def test_unusable(self):
        for name in UNUSABLE:
            code, error = self.calibrate(f"{name}:1")
            self.assertEqual(code, 3)
            self.assertIn("device 'cuda' cannot be used: ", error)

    def test_there_is_too_little_memory(self):
        code, error = self.calibrate("memory:4096")
        self.assertEqual(code, 1)
        self.assertRegex(error, "memory")

    def test_the_checkpoint_stays_good(self):
        self.assertEqual(self.calibrate("")[0], 0)
        expected = self.out.read_bytes()
        self.out.unlink()
        partial = self.folder / "out.partial"
        kept = 0
        for nth in (4, 7, 12):
            code, _ = self.calibrate(f"cudaEventSynchronize:{nth}", "--checkpoint-every", "1ms")
            if code == 0:
                self.out.unlink()
                continue
            kept += partial.exists()
            options = ["--resume"] if partial.exists() else []
            self.assertEqual(self.calibrate("", *options)[0], 0)
            self.assertEqual(self.out.read_bytes(), expected)
            self.out.unlink()
        self.assertGreater(kept, 0, "no run was stopped after a checkpoint")


if __name__ == "__main__":
    program.main()
