# SPDX-License-Identifier: Apache-2.0
"""The same model and data give the same bytes, whatever the number of threads."""

import shutil

import numpy as np

import networks
import program

MODELS = ("imagenet/mobilenet_v1_0.25_128_deq", "ocr/ch_ppocr_mobile_v2.0_cls_infer", "vww/mlperf_tiny_vww_96")


class Determinism(program.Case):
    def test_bytes(self):
        program.need_shared()
        data = self.folder / "photographs"
        data.mkdir()
        for path in networks.photographs()[::10]:
            shutil.copy(path, data)
        for name in MODELS:
            model = program.MODELS / f"{name}.onnx"
            files = {}
            for run, threads in (("first", 1), ("again", 1), ("two", 2), ("three", 3)):
                out = self.folder / f"{run}.onnx"
                options = ("--preprocess", networks.preprocess_of(model), "--threads", threads, "-q")
                self.expect_done("quantize", model, "--data", data, "-o", out, *options)
                files[run] = out.read_bytes()
            for run, content in files.items():
                with self.subTest(model=name, run=run):
                    self.assertTrue(content == files["first"], "the bytes differ")

    def test_order_of_samples(self):
        """A single-threaded and a many-threaded run over many small samples, several times."""
        model = networks.save(networks.build(), self.folder / "model.onnx")
        np.save(self.folder / "data.npy", networks.samples(200))
        contents = set()
        for threads in (1, 2, 5, 2, 7):
            out = self.folder / "out.onnx"
            self.expect_done(
                "quantize", model, "--data", self.folder / "data.npy", "-o", out, "--threads", threads, "-q"
            )
            contents.add(out.read_bytes())
        self.assertEqual(len(contents), 1)


if __name__ == "__main__":
    program.main()
