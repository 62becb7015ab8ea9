# SPDX-License-Identifier: Apache-2.0
"""Every real network is quantized with photographs; the result is valid and ONNX Runtime runs it."""

import json
import os
import shutil

import numpy as np
import onnx

import networks
import preprocess
import program

# Enough for placement and validity; quality is snr_table.py's business. A sanitized program is many times slower.
PHOTOGRAPHS = 1 if os.environ.get("TARE_SLOW") else 3
FOREIGN = "superres/pytorch_superresolution_prepost_op18"


class Quantize(program.Case):
    def quantize(self, path, data, *options):
        output = self.folder / "int8.onnx"
        report = self.folder / "report.json"
        self.expect_done("quantize", path, "--data", data, "-o", output, "--json", report, "-q", *options)
        self.assertIsInstance(json.loads(report.read_text()), dict)
        return output

    def check(self, output, feed, float_names):
        """Valid, with quantizers, and with finite outputs of the float model's names."""
        onnx.checker.check_model(str(output), full_check=True)
        model = networks.load(output)
        kinds = [node.op_type for node in model.graph.node]
        self.assertEqual([value.name for value in model.graph.output], float_names)
        session = networks.session(output)
        for name, array in zip(float_names, session.run(None, feed)):
            self.assertTrue(np.isfinite(array).all(), name)
        return kinds.count("QuantizeLinear"), kinds.count("DequantizeLinear")

    def check_groups(self, output):
        """Quantizers that the report puts into a group have one scale, which covers all of their ranges."""
        graph = networks.load(output).graph
        numbers = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        scales = {}  # of a tensor: one, or several where it is quantized once for each of its readers
        for node in graph.node:
            if node.op_type == "QuantizeLinear":
                scales.setdefault(node.input[0], set()).update(numbers[node.input[1]].ravel().tolist())
        groups, most = {}, {}
        for entry in json.loads((self.folder / "report.json").read_text())["quantizers"]:
            if "group" in entry:
                group = entry["group"]
                groups[group] = groups.get(group, scales[entry["tensor"]]) & scales[entry["tensor"]]
                most[group] = max(most.get(group, 0), *entry["max"])
        for group, shared in groups.items():
            self.assertTrue(any(scale * 255.001 >= most[group] for scale in shared), group)
        return len(groups)

    def test_photographs(self):
        program.need_shared()
        chosen = networks.photographs()[:: len(networks.photographs()) // PHOTOGRAPHS][:PHOTOGRAPHS]
        data = self.folder / "photographs"
        data.mkdir()
        for path in chosen:
            shutil.copy(path, data)
        done, groups = 0, 0
        for path in networks.real():
            description = networks.preprocess_of(path)
            if description is None:
                continue
            with self.subTest(model=networks.short(path)):
                output = self.quantize(path, data, "--preprocess", description)
                graph = networks.load(path).graph
                initializers = {tensor.name for tensor in graph.initializer}
                name = next(value.name for value in graph.input if value.name not in initializers)
                feed = {name: preprocess.load_all(chosen[:1], description)}
                groups += self.check_groups(output)
                quantize, dequantize = self.check(output, feed, [value.name for value in graph.output])
                print(f"{networks.short(path):45} {quantize:4} Q {dequantize:4} DQ {output.stat().st_size:10} bytes")
                self.assertGreater(quantize, 0)
                self.assertGreater(dequantize, quantize)  # weights are stored behind a DequantizeLinear alone
                done += 1
        self.assertGreater(done, 0)
        self.assertGreater(groups, 0)

    def test_two_inputs(self):
        program.need_shared()
        path = program.MODELS / "features" / "xfeat_interpolator_bicubic_256x256.onnx"
        golden = path.with_suffix(".golden")
        names = json.loads((golden / "io.json").read_text())
        feed = {entry["name"]: np.load(golden / entry["file"]) for entry in names["inputs"]}
        np.savez(self.folder / "data.npz", **feed)
        output = self.quantize(path, self.folder / "data.npz")
        self.check(output, feed, [entry["name"] for entry in names["outputs"]])

    def test_foreign_operator_is_refused(self):
        program.need_shared()
        path = program.MODELS / f"{FOREIGN}.onnx"
        operators = {node.op_type for node in networks.load(path).graph.node if node.domain}
        np.save(self.folder / "bytes.npy", np.zeros(100, np.uint8))
        result = self.expect_error(
            1, [], "quantize", path, "--data", self.folder / "bytes.npy", "-o", self.folder / "out.onnx"
        )
        self.assertTrue(any(name in result.stderr for name in operators), result.stderr)


if __name__ == "__main__":
    program.main()
