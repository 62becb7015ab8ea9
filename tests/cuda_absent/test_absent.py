# SPDX-License-Identifier: Apache-2.0
"""CUDA is missing, or a part of it: the program says which, does the work on the CPU, and refuses only who insists.

TARE_LIBRARY is libtare, TARE_PLUGIN the plug-in, TARE_PLUGIN_ON_HOST the one whose CUDA is a fake, TARE_CUDA_STUB the
stub of the driver; tests of what was not built are skipped.
"""

import ctypes
import json
import os
import pathlib
import shutil
import sys
import unittest
from unittest import mock

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "pipeline"))
import networks  # noqa: E402
import program  # noqa: E402


def need(variable):
    """The file that the variable names; skips the calling test where it was not built."""
    if variable not in os.environ:
        raise unittest.SkipTest(f"{variable} is not set: it was not built")
    return pathlib.Path(os.environ[variable])


class Absent(program.Case):
    def setUp(self):
        super().setUp()
        self.model = networks.save(networks.build(), self.folder / "model.onnx")
        self.data = self.folder / "data.npy"
        random = np.random.default_rng(5)
        np.save(self.data, random.random((3, 3, networks.SIDE, networks.SIDE), np.float32))
        empty = {"TARE_CUDA_FAULT": "", "TARE_CUDNN_DIR": "", "TARE_CUBLAS_DIR": ""}
        self.environment = mock.patch.dict(os.environ, empty)
        self.environment.start()
        self.addCleanup(self.environment.stop)

    def quantize(self, *options):
        return ("quantize", self.model, "--data", self.data, "-o", self.folder / "out.onnx", *options)

    def devices(self):
        text = self.expect_done("devices").stdout
        report = json.loads(self.expect_done("devices", "--json", "-").stdout)
        return text, {entry["name"]: entry for entry in report["devices"]}

    def check_absent(self, *words, device="cuda"):
        """What holds wherever CUDA cannot be used; `words` say why."""
        text, devices = self.devices()
        self.assertTrue(devices["cpu"]["usable"])
        self.assertFalse(devices["cuda"]["usable"])
        self.assertIn("cuda  not usable: ", text)
        for word in words:
            self.assertIn(word, devices["cuda"]["reason"])
            self.assertIn(word, text)

        self.expect_error(3, [f"device '{device}' cannot be used: ", *words], *self.quantize("--device", device))
        result = self.expect_done(*self.quantize("--device", "auto"))
        notes = [line for line in result.stderr.splitlines() if "device: cpu (cuda is not usable: " in line]
        self.assertEqual(len(notes), 1, result.stderr)
        for word in words:
            self.assertIn(word, notes[0])
        by_choice = (self.folder / "out.onnx").read_bytes()

        # Who asks for the CPU hears nothing of it, and gets the same.
        result = self.expect_done(*self.quantize("--device", "cpu"))
        self.assertNotIn("cuda", result.stderr)
        self.assertEqual((self.folder / "out.onnx").read_bytes(), by_choice)
        self.expect_done("inspect", self.model)
        self.expect_done("run", self.model, "--input", self.data, "-o", self.folder / "answers.npz")
        self.expect_error(
            3, words, "run", self.model, "--input", self.data, "-o", self.folder / "no.npz", "--device", device
        )
        (self.folder / "out.onnx").unlink()

    def use(self, plugin, **environment):
        os.environ.update({"TARE_CUDA_PLUGIN": str(plugin), **environment})


class WithoutPlugin(Absent):
    def test_there_is_no_file(self):
        self.use("/nowhere/libtare_cuda.so")
        self.check_absent("the plug-in cannot be loaded: /nowhere/libtare_cuda.so", "No such file")

    def test_the_file_is_garbage(self):
        (self.folder / "garbage.so").write_bytes(b"no library at all" * 500)
        self.use(self.folder / "garbage.so")
        self.check_absent("the plug-in cannot be loaded: ", "garbage.so")

    def test_the_file_is_empty(self):
        (self.folder / "empty.so").write_bytes(b"")
        self.use(self.folder / "empty.so")
        self.check_absent("the plug-in cannot be loaded: ", "empty.so")

    def test_the_file_is_another_library(self):
        self.use(need("TARE_LIBRARY"))
        self.check_absent("is no plug-in: it has no tare_plugin_entry")

    def install(self):
        """Copies program and library to where no plug-in is."""
        library = need("TARE_LIBRARY")
        for name in ("bin", "lib"):
            (self.folder / name).mkdir()
        shutil.copy(program.PROGRAM, self.folder / "bin" / "tare")
        for file in library.parent.glob("libtare.so*"):
            shutil.copy(file, self.folder / "lib")
        os.environ.pop("TARE_CUDA_PLUGIN", None)
        os.environ["LD_LIBRARY_PATH"] = str(self.folder / "lib")
        patch = mock.patch.object(program, "PROGRAM", str(self.folder / "bin" / "tare"))
        patch.start()
        self.addCleanup(patch.stop)

    def test_none_is_installed(self):
        self.install()
        self.check_absent("the plug-in cannot be loaded: libtare_cuda.so", "No such file")

    def test_garbage_is_installed(self):
        self.install()
        (self.folder / "lib" / "libtare_cuda.so").write_bytes(b"\x7fELF, but no more than that")
        self.check_absent("the plug-in cannot be loaded: ", "libtare_cuda.so")

    def test_it_is_found_beside_the_library(self):
        self.install()
        shutil.copy(need("TARE_PLUGIN_ON_HOST"), self.folder / "lib" / "libtare_cuda.so")
        self.assertTrue(self.devices()[1]["cuda"]["usable"])


class WithoutDriver(Absent):
    def test_there_is_no_driver(self):
        try:
            ctypes.CDLL("libcuda.so.1")
        except OSError:
            pass
        else:
            self.skipTest("this machine has a driver")
        self.use(need("TARE_PLUGIN"))
        self.check_absent("driver: no NVIDIA driver was found (libcuda.so.1)")

    def test_a_stub_stands_in(self):
        plugin, stub = need("TARE_PLUGIN"), need("TARE_CUDA_STUB")
        (self.folder / "stub").mkdir()
        shutil.copy(stub, self.folder / "stub" / "libcuda.so.1")
        self.use(plugin, LD_LIBRARY_PATH=str(self.folder / "stub"))
        self.check_absent("driver: the toolkit's stub stands in for the driver (libcuda.so.1)")


class WithoutLibrary(Absent):
    def test_cudnn_is_nowhere(self):
        """With the real plug-in; a missing driver is told first, the list has both."""
        (self.folder / "nothing").mkdir()
        folder = str(self.folder / "nothing")
        self.use(need("TARE_PLUGIN"), TARE_CUDNN_DIR=folder, TARE_CUBLAS_DIR=folder)
        text, devices = self.devices()
        parts = {part["name"]: part for part in devices["cuda"]["parts"]}
        for name, file, variable in (
            ("cuDNN", "libcudnn.so.9", "TARE_CUDNN_DIR"),
            ("cuBLASLt", "libcublasLt.so.13", "TARE_CUBLAS_DIR"),
        ):
            self.assertFalse(parts[name]["usable"])
            self.assertEqual(parts[name]["detail"], f"{file} was not found; {variable} can name its folder")
            self.assertIn(parts[name]["detail"], text)

    def test_cudnn_is_no_library(self):
        (self.folder / "libcudnn.so.9").write_bytes(b"garbage")
        self.use(need("TARE_PLUGIN"), TARE_CUDNN_DIR=str(self.folder))
        parts = {part["name"]: part for part in self.devices()[1]["cuda"]["parts"]}
        self.assertFalse(parts["cuDNN"]["usable"])
        self.assertIn(str(self.folder / "libcudnn.so.9"), parts["cuDNN"]["detail"])

    def test_parts_of_a_fake_machine(self):
        plugin = need("TARE_PLUGIN_ON_HOST")
        for fault, words in {
            "library:cudnn": ["cuDNN: ", "not found"],
            "library:cublaslt": ["cuBLASLt: ", "not found"],
            "devices:0": ["driver: the driver sees no device"],
            "driver:12040": ["driver: the driver is too old: it serves CUDA up to 12.4, expected "],
            "capability:75": ["device 0: compute capability 7.5, expected 8.0 or later"],
        }.items():
            with self.subTest(fault=fault):
                self.use(plugin, TARE_CUDA_FAULT=fault)
                self.check_absent(*words)


class WithAFake(Absent):
    def setUp(self):
        super().setUp()
        self.use(need("TARE_PLUGIN_ON_HOST"))

    def test_devices(self):
        text, devices = self.devices()
        self.assertIn("cuda  usable: 1 device\n", text)
        self.assertTrue(devices["cuda"]["usable"])
        names = [part["name"] for part in devices["cuda"]["parts"]]
        self.assertEqual(names, ["driver", "runtime", "device 0", "cuBLASLt", "cuDNN"])

    def test_several_devices(self):
        os.environ["TARE_CUDA_FAULT"] = "devices:20"
        text, devices = self.devices()
        self.assertIn("cuda  usable: 20 devices\n", text)
        self.assertEqual(devices["cuda"]["devices"], 20)

    def test_devices_that_are_not_there(self):
        for device in ("cuda:1", "cuda:99999"):
            self.expect_error(3, [f"device '{device}'", "there are 1 devices"], *self.quantize("--device", device))
        for device in ("cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cuda:123456789012"):
            self.expect_error(3, [f"there is no device '{device}'", "cuda:N"], *self.quantize("--device", device))
        for device in ("cud", "cudax", "CUDA"):
            self.expect_error(3, [f"there is no device '{device}'"], *self.quantize("--device", device))

    def test_options(self):
        self.expect_error(2, ["--precision", "fp64"], *self.quantize("--precision", "fp64"))
        self.expect_error(2, ["--batch", "0"], *self.quantize("--batch", "0"))


if __name__ == "__main__":
    program.main()
