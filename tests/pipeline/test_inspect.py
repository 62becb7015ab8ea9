# SPDX-License-Identifier: Apache-2.0
"""`tare inspect` describes every real network, also the one that cannot be run."""

import collections
import json

import networks
import program


class Inspect(program.Case):
    def inspect(self, path, *options):
        report = self.folder / "report.json"
        text = self.expect_done("inspect", path, "--json", report, *options).stdout
        return text, json.loads(report.read_text())

    def test_real_networks(self):
        program.need_shared()
        models = networks.real()
        self.assertGreater(len(models), 0)
        for path in models:
            with self.subTest(model=networks.short(path)):
                text, report = self.inspect(path)
                graph = networks.load(path).graph
                initializers = {tensor.name for tensor in graph.initializer}
                for value in [*graph.input, *graph.output]:
                    if value.name not in initializers:
                        self.assertIn(value.name, text)
                        self.assertIn(value.name, json.dumps(report, ensure_ascii=False))
                for operator in collections.Counter(node.op_type for node in graph.node):
                    self.assertIn(operator, text)

    def test_unsupported_operator_is_listed(self):
        nodes = networks.nodes()
        nodes[1].op_type = "Frobnicate"
        text, report = self.inspect(networks.save(networks.build(nodes), self.folder / "model.onnx"))
        line = next(line for line in text.splitlines() if "Frobnicate" in line)
        self.assertRegex(line, "not|no|un")
        self.assertIn("Frobnicate", json.dumps(report))

    def test_open_dims(self):
        model = networks.save(networks.build(side=None), self.folder / "model.onnx")
        without, _ = self.inspect(model)
        given, _ = self.inspect(model, "--shape", "input=1x3x40x24")
        self.assertNotEqual(without, given)
        contradicts, _ = self.inspect(model, "--shape", "input=1x4x40x24x5")
        self.assertRegex(contradicts, r"no plan: .*'input'.*1x4x40x24x5")

    def test_placement_follows_the_options(self):
        model = networks.save(networks.build(), self.folder / "model.onnx")
        plain, _ = self.inspect(model)
        ignored, _ = self.inspect(model, "--ignore-type", "Gemm")
        self.assertNotEqual(plain, ignored)


if __name__ == "__main__":
    program.main()
