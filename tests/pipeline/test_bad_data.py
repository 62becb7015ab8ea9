# SPDX-License-Identifier: Apache-2.0
"""Calibration data, descriptions and options that cannot be meant: one clear error each, and nothing written."""

import json
import os
import subprocess

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import networks
import program

GOOD = {
    "color": "RGB",
    "resize": {"mode": "exact", "size": [networks.SIDE, networks.SIDE], "filter": "bilinear"},
    "scale": 1 / 255,
    "mean": [0, 0, 0],
    "std": [1, 1, 1],
    "layout": "NCHW",
}


class BadData(program.Case):
    def setUp(self):
        super().setUp()
        self.model = networks.save(networks.build(), self.folder / "model.onnx")
        self.photographs = self.folder / "photographs"
        self.photographs.mkdir()
        random = np.random.default_rng(3)
        for index in range(4):
            pixels = random.integers(0, 256, (40, 50, 3), np.uint8)
            Image.fromarray(pixels).save(self.photographs / f"photo{index}.jpg")

    def describe(self, **changes):
        """Writes a description that differs from a good one; None removes the field."""
        description = {**GOOD, **changes}
        description = {key: value for key, value in description.items() if value is not None}
        path = self.folder / "preprocess.json"
        path.write_text(json.dumps(description))
        return path

    def quantize(self, data, *options):
        return ("quantize", self.model, "--data", data, "-o", self.folder / "out.onnx", *options)

    def refuse(self, words, data, *options, code=1):
        return self.expect_error(code, words, *self.quantize(data, *options))

    def refuse_arrays(self, words, array):
        np.save(self.folder / "data.npy", array)
        return self.refuse(words, self.folder / "data.npy")

    def refuse_description(self, words, **changes):
        self.refuse(words, self.photographs, "--preprocess", self.describe(**changes))

    def test_the_good_one_is_accepted(self):
        self.expect_done(*self.quantize(self.photographs, "--preprocess", self.describe()))

    def test_missing_data(self):
        self.refuse(["nowhere"], self.folder / "nowhere")

    def test_empty_folder(self):
        (self.folder / "nothing").mkdir()
        self.refuse(["nothing"], self.folder / "nothing")

    def test_folder_without_images(self):
        (self.folder / "texts").mkdir()
        (self.folder / "texts" / "readme.txt").write_text("no image")
        self.refuse(["texts"], self.folder / "texts")

    def test_undecodable_image(self):
        (self.photographs / "photo2.jpg").write_text("this is no photograph")
        self.refuse(["photo2.jpg"], self.photographs, "--preprocess", self.describe())

    def test_truncated_image(self):
        whole = (self.photographs / "photo2.jpg").read_bytes()
        (self.photographs / "photo2.jpg").write_bytes(whole[: len(whole) // 2])
        self.refuse(["photo2.jpg"], self.photographs, "--preprocess", self.describe())

    def test_skip_bad(self):
        (self.photographs / "photo2.jpg").write_text("this is no photograph")
        options = ("--preprocess", self.describe(), "--skip-bad", "--json", self.folder / "report.json")
        result = self.expect_done(*self.quantize(self.photographs, *options))
        self.assertIn("photo2.jpg", result.stderr)
        self.assertIn("skip", (self.folder / "report.json").read_text())

    def test_nothing_but_bad(self):
        for path in self.photographs.iterdir():
            path.write_text("this is no photograph")
        self.refuse([], self.photographs, "--preprocess", self.describe(), "--skip-bad")

    def test_nan_in_the_data(self):
        array = networks.samples(8)
        array[5, 1, 3, 3] = np.nan
        self.refuse_arrays(["nan", "input", "5"], array)

    def test_infinity_in_the_data(self):
        array = networks.samples(8)
        array[6, 0, 0, 0] = np.inf
        self.refuse_arrays(["inf", "input", "6"], array)

    def test_nan_made_by_the_model(self):
        nodes = networks.nodes()
        nodes.insert(1, helper.make_node("Sqrt", ["conv.out"], ["root.out"], "root"))
        nodes[2].input[0] = "root.out"
        networks.save(networks.build(nodes), self.model)
        result = self.refuse_arrays(["nan"], networks.samples())
        self.assertRegex(result.stderr, r"root\.out|relu\.out|pool\.out|flat\.out|logits")

    def test_wrong_size(self):
        self.refuse_arrays(["input", "20", "16"], networks.samples(side=20))

    def test_wrong_channels(self):
        self.refuse_arrays(["input", "4", "3"], np.zeros((2, 4, networks.SIDE, networks.SIDE), np.float32))

    def test_wrong_rank(self):
        self.refuse_arrays(["input"], np.zeros((2, 3), np.float32))

    def test_wrong_type(self):
        self.refuse_arrays(["input", "int64"], np.zeros((2, 3, networks.SIDE, networks.SIDE), np.int64))

    def test_no_samples(self):
        self.refuse_arrays(["data.npy"], np.zeros((0, 3, networks.SIDE, networks.SIDE), np.float32))

    def test_damaged_array_files(self):
        np.save(self.folder / "whole.npy", networks.samples())
        whole = (self.folder / "whole.npy").read_bytes()
        for what, content in {
            "empty": b"",
            "short": whole[: len(whole) // 2],
            "header": whole[:9],
            "noise": np.random.default_rng(0).bytes(4096),
            "claims": whole.replace(b"(4, 3, 16, 16)", b"(4, 3, 99, 99)"),
            "huge": whole.replace(b"(4, 3, 16, 16)", b"(1099511627776, 1048576, 16, 16)"),
            "object": whole.replace(b"<f4", b"|O "),
        }.items():
            with self.subTest(what=what):
                (self.folder / "data.npy").write_bytes(content)
                self.refuse(["data.npy"], self.folder / "data.npy")

    def test_archive_names(self):
        np.savez(self.folder / "data.npz", other=networks.samples())
        self.refuse(["other", "input"], self.folder / "data.npz")
        self.expect_error(
            1, ["other"], "run", self.model, "--input", self.folder / "data.npz", "-o", self.folder / "y.npy"
        )

    def test_archive_lacks_an_input(self):
        model = self.two_inputs()
        np.savez(self.folder / "data.npz", a=np.zeros((2, 4), np.float32))
        self.expect_error(
            1, ["'b'"], "run", model, "--input", self.folder / "data.npz", "-o", self.folder / "y.npy"
        )

    def test_archive_of_unequal_lengths(self):
        model = self.two_inputs()
        np.savez(self.folder / "data.npz", a=np.zeros((2, 4), np.float32), b=np.zeros((3, 4), np.float32))
        arguments = ("quantize", model, "--data", self.folder / "data.npz", "-o", self.folder / "out.onnx")
        self.expect_error(1, ["data.npz", "2", "3"], *arguments)

    def test_array_for_two_inputs(self):
        model = self.two_inputs()
        np.save(self.folder / "data.npy", np.zeros((2, 4), np.float32))
        arguments = ("run", model, "--input", self.folder / "data.npy", "-o", self.folder / "y.npz")
        self.expect_error(2, ["2 inputs", "('a', 'b')", ".npz"], *arguments)

    def test_array_for_two_outputs(self):
        model = networks.load(self.two_inputs())
        model.graph.output.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["N", 4]))
        networks.save(model, self.model)
        np.savez(self.folder / "x.npz", a=np.zeros((2, 4), np.float32), b=np.zeros((2, 4), np.float32))
        arguments = ("run", self.model, "--input", self.folder / "x.npz", "-o", self.folder / "y.npy")
        self.expect_error(2, ["2 outputs", "('y', 'sum')", ".npz"], *arguments)

    def two_inputs(self):
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in "aby"]
        nodes = [
            helper.make_node("Add", ["a", "b"], ["sum"], "add"),
            helper.make_node("Relu", ["sum"], ["y"], "relu"),
        ]
        model = networks.build(nodes, initializers=[], inputs=values[:2], outputs=values[2:])
        return networks.save(model, self.folder / "two.onnx")

    def test_description_fields(self):
        sized = {"mode": "exact", "size": [networks.SIDE, networks.SIDE], "filter": "bilinear"}
        cases = {
            "sharpen": {"sharpen": 3},
            "color": {"color": "CMYK"},
            "mean": {"mean": [0, 0]},
            "std": {"std": [1, 0, 1]},
            "layout": {"layout": "CHWN"},
            "scale": {"scale": "big"},
            "mode": {"resize": {**sized, "mode": "stretch"}},
            "size": {"resize": {**sized, "size": [0, 16]}},
            "filter": {"resize": {**sized, "filter": "fast"}},
            "pad": {"resize": {**sized, "pad": 3}},
            "align": {"resize": {**sized, "align": "top_left"}},
            "center_crop": {"center_crop": [300, 300]},
        }
        for field, changes in cases.items():
            with self.subTest(field=field):
                self.refuse_description([field, "preprocess.json"], **changes)

    def test_description_files(self):
        for what, content in {"not JSON": "{", "a list": "[]", "a number": "3", "empty": ""}.items():
            with self.subTest(what=what):
                (self.folder / "bad.json").write_text(content)
                self.refuse(["bad.json"], self.photographs, "--preprocess", self.folder / "bad.json")
        self.refuse(["nowhere.json"], self.photographs, "--preprocess", self.folder / "nowhere.json")
        self.refuse(["imagenat"], self.photographs, "--preprocess", "imagenat")

    def test_sizes_that_contradict(self):
        other = {"mode": "exact", "size": [24, 32], "filter": "bilinear"}
        self.refuse_description(["16", "24", "32"], resize=other)
        self.refuse_description(["3", "1"], color="GRAY", mean=[0], std=[1])
        self.refuse_description(["preprocess.json", "3", "16"], layout="NHWC")

    def test_options_that_match_nothing(self):
        for option, value in {"name": "no_such_node", "type": "LSTM", "pattern": "^nothing.*"}.items():
            with self.subTest(option=option):
                self.refuse([value], self.photographs, f"--ignore-{option}", value)
        self.refuse(["openwine"], self.photographs, "--target", "openwine")
        shape = ("--shape", "no_such_input=1x3x16x16")
        self.refuse(["no_such_input", "'input'"], self.photographs, *shape, code=2)
        self.expect_error(2, ["no_such_input"], "inspect", self.model, *shape)

    def test_pattern_that_is_none(self):
        self.refuse(["(unclosed"], self.photographs, "--ignore-pattern", "(unclosed")

    def test_memory(self):
        self.refuse(["memory"], self.photographs, "--preprocess", self.describe(), "--memory", "1K")

    def test_device(self):
        self.refuse(["abacus"], self.photographs, "--device", "abacus", code=3)

    def test_output_that_cannot_be_written(self):
        (self.folder / "file").write_text("a file")
        (self.folder / "taken.onnx").mkdir()
        for path in ("file/out.onnx", "missing/out.onnx", "taken.onnx"):
            with self.subTest(path=path):
                arguments = ("quantize", self.model, "--data", self.photographs, "-o", self.folder / path)
                self.expect_error(1, [path], *arguments)
        report = ("--json", self.folder / "missing" / "report.json")
        self.refuse(["missing/report.json"], self.photographs, *report)

    def test_output_is_the_model(self):
        before = self.model.read_bytes()
        arguments = ("quantize", self.model, "--data", self.photographs, "-o", self.model)
        self.expect_error(2, ["model.onnx"], *arguments)
        self.assertEqual(self.model.read_bytes(), before)

    def test_output_is_an_input(self):
        """Nothing that a command reads is overwritten, nor one output by the other."""
        array = self.folder / "data.npy"
        np.save(array, networks.samples(2))
        description = self.describe()
        state = self.folder / "state.tare"
        self.expect_done("calibrate", self.model, "--data", array, "-o", state, "-q")
        (self.folder / "link.npy").symlink_to(array)
        picture = self.photographs / "photo1.jpg"
        report = self.folder / "report"
        for arguments, read in (
            (("calibrate", self.model, "--data", array, "-o", array), array),
            (("calibrate", self.model, "--data", array, "-o", self.folder / "link.npy"), array),
            (("calibrate", self.model, "--data", picture, "-p", "unit", "-o", picture), picture),
            (("quantize", self.model, "--data", picture, "-p", description, "-o", description), description),
            (("quantize", self.model, "--data", array, "-o", report, "--json", array), array),
            (("quantize", self.model, "--data", array, "-o", report, "--json", self.model), self.model),
            (("quantize", self.model, "--state", state, "-o", state), state),
            (("run", self.model, "--input", array, "-o", array), array),
            (("calibrate", self.model, "--data", array, "-o", report, "--json", report), array),
            (("merge", state, "-o", report, "--json", report), state),
            (("merge", state, "-o", report, "--json", state), state),
        ):
            with self.subTest(arguments=arguments):
                before = read.read_bytes()
                self.expect_error(2, [str(arguments[-1])], *arguments)
                self.assertEqual(read.read_bytes(), before)

    def test_output_is_no_file(self):
        """A pipe or a device stays what it is, and so does a link: what it leads to is replaced."""
        array = self.folder / "data.npy"
        np.save(array, networks.samples(2))
        pipe, link, nowhere = (self.folder / name for name in ("pipe", "link", "nowhere"))
        os.mkfifo(pipe)
        nowhere.symlink_to(self.folder / "missing")
        calibrate = ("calibrate", self.model, "--data", array, "-o")
        self.expect_error(1, ["pipe", "not a regular file"], *calibrate, pipe)
        self.expect_error(1, ["nowhere", "link to nothing"], *calibrate, nowhere)
        self.assertTrue(pipe.is_fifo() and nowhere.is_symlink())
        target = self.folder / "target.tare"
        target.write_text("old")
        link.symlink_to("target.tare")
        self.expect_done(*calibrate, link, "-q")
        self.assertTrue(link.is_symlink())
        self.expect_done("state", target, "-q")

    def test_a_pipe_among_the_images(self):
        os.mkfifo(self.photographs / "pipe.png")
        self.refuse(["pipe.png", "not a regular file"], self.photographs, "--preprocess", self.describe())
        result = self.expect_done(*self.quantize(self.photographs, "--skip-bad", "--preprocess", self.describe()))
        self.assertIn("pipe.png", result.stderr)

    def test_names_of_many_lines(self):
        (self.photographs / "two\nlines\x1b[31m.png").write_bytes(b"x")
        result = self.expect_done(*self.quantize(self.photographs, "--skip-bad", "--preprocess", self.describe()))
        self.assertIn("'two lines [31m.png' is skipped", result.stderr)

    def test_more_threads_than_there_is_work(self):
        description = self.describe()
        result = self.expect_done(*self.quantize(self.photographs, "-p", description, "--threads", 100000, "--device", "cpu"))
        self.assertIn("with 4 threads", result.stderr)

    def test_output_on_a_full_disk(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("there is no /dev/full")
        np.save(self.folder / "x.npy", networks.samples(1))
        arguments = ("run", self.model, "--input", self.folder / "x.npy", "-o", self.folder / "y.npy")
        command = [program.PROGRAM, *map(str, arguments)]
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("standard output", result.stderr)


class JoinedOutputs(program.Case):
    """What a run hands back counts in its memory plan: here some kilobytes become 100 MB."""

    SIZE = 512

    def setUp(self):
        super().setUp()
        nodes = [helper.make_node("Expand", ["input", "shape"], ["large"], "expand")]
        shape = numpy_helper.from_array(np.array([1, 1, self.SIZE, self.SIZE]), "shape")
        inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 1, 1, 1])]
        outputs = [helper.make_tensor_value_info("large", TensorProto.FLOAT, ["N", 1, self.SIZE, self.SIZE])]
        self.model = networks.save(networks.build(nodes, [shape], inputs=inputs, outputs=outputs), self.folder / "m.onnx")
        np.save(self.folder / "data.npy", np.arange(100, dtype=np.float32).reshape(100, 1, 1, 1))

    def arguments(self, way, *more):
        return ["run", self.model, way, self.folder / "data.npy", "--output", self.folder / "y.npy", *more]

    def test_limit(self):
        for way in ("--input", "--data"):
            with self.subTest(way=way):
                self.expect_error(1, ["m.onnx: ", "memory"], *self.arguments(way, "--memory", "90M"))

    def test_plan(self):
        self.expect_done(*self.arguments("--data", "--memory", "140M", "--threads", "1"))
        joined = np.load(self.folder / "y.npy")
        self.assertEqual(joined.shape, (100, 1, self.SIZE, self.SIZE))
        np.testing.assert_array_equal(joined[:, 0, -1, -1], np.arange(100, dtype=np.float32))


if __name__ == "__main__":
    program.main()
