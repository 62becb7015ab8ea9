# SPDX-License-Identifier: Apache-2.0
"""`tare run` gives the outputs that another runtime gives for real networks, from arrays and from photographs."""

import json
import shutil

import numpy as np

import networks
import preprocess
import program

LIMIT = 1e-4  # norm of the difference over the norm of the whole output
# One network for each form of preprocessing: crop, grey, luma, channels last, letterbox.
FORMS = (
    "imagenet/squeezenet1.1_zoo",
    "mnist/mnist_8",
    "superres/super_resolution_10",
    "segmentation/deeplabv3_mnv2_dm05_tf",
    "detection/yolox_nano",
)
FOREIGN = "superres/pytorch_superresolution_prepost_op18"


def relative_error(actual, expected):
    norm = np.linalg.norm(expected.astype(np.float64))
    difference = np.linalg.norm(actual.astype(np.float64) - expected.astype(np.float64))
    return difference / norm if norm > 0 else difference


class Golden(program.Case):
    def run_model(self, path, golden):
        """Feeds the recorded inputs; returns (name, actual, expected) of every output."""
        names = json.loads((golden / "io.json").read_text())
        inputs = {entry["name"]: np.load(golden / entry["file"]) for entry in names["inputs"]}
        arguments = golden / names["inputs"][0]["file"]
        if len(inputs) > 1:
            arguments = self.folder / "inputs.npz"
            np.savez(arguments, **inputs)
        output = self.folder / "outputs.npz"
        self.expect_done("run", path, "--input", arguments, "--output", output)
        with np.load(output) as actual:
            self.assertEqual(sorted(actual.files), sorted(entry["name"] for entry in names["outputs"]))
            return [(e["name"], actual[e["name"]], np.load(golden / e["file"])) for e in names["outputs"]]

    def test_outputs(self):
        program.need_shared()
        compared = 0
        for path in networks.real():
            golden = path.with_suffix(".golden")
            if not golden.is_dir():
                continue
            with self.subTest(model=networks.short(path)):
                for name, actual, expected in self.run_model(path, golden):
                    self.assertEqual((name, actual.shape), (name, expected.shape))
                    error = relative_error(actual, expected)
                    print(f"{networks.short(path):45} {name:32} {error:9.2e}")
                    self.assertLessEqual(error, LIMIT, name)
                    compared += 1
        self.assertGreater(compared, 0)

    def test_photographs(self):
        program.need_shared()
        chosen = [path for path in networks.photographs() if path.suffix == ".bmp"][:1] + networks.photographs()[::40]
        data = self.folder / "photographs"
        data.mkdir()
        for index, path in enumerate(chosen):
            shutil.copy(path, data / f"{index:03}{path.suffix}")
        for name in FORMS:
            with self.subTest(model=name):
                path = program.MODELS / f"{name}.onnx"
                description = networks.preprocess_of(path)
                arrays = preprocess.load_all(chosen, description)
                session = networks.session(path)
                feed = session.get_inputs()[0].name
                expected = np.concatenate([session.run(None, {feed: arrays[i : i + 1]})[0] for i in range(len(arrays))])
                output = self.folder / "outputs.npy"
                self.expect_done("run", path, "--data", data, "--preprocess", description, "--output", output)
                actual = np.load(output)
                self.assertEqual(actual.shape, expected.shape)
                error = relative_error(actual, expected)
                print(f"{name:45} {len(arrays)} photographs {error:18.2e}")
                self.assertLessEqual(error, LIMIT)

    def test_foreign_operator_is_refused(self):
        program.need_shared()
        path = program.MODELS / f"{FOREIGN}.onnx"
        operators = {node.op_type for node in networks.load(path).graph.node if node.domain}
        np.save(self.folder / "bytes.npy", np.zeros(100, np.uint8))
        result = self.expect_error(
            1, [], "run", path, "--input", self.folder / "bytes.npy", "--output", self.folder / "out.npz"
        )
        self.assertTrue(any(name in result.stderr for name in operators), result.stderr)


if __name__ == "__main__":
    program.main()
