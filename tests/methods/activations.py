# SPDX-License-Identifier: Apache-2.0
"""Activations of real networks to estimate ranges of, and the program that estimates them."""

import os
import pathlib
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(os.environ.get("TARE_SOURCE_DIR", pathlib.Path(__file__).parents[2]))
SHARED = SOURCE / ".." / "shared"


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


try:
    import numpy as np
    import onnx
    import onnxruntime
    import PIL  # noqa: F401  (the description of an image's way to an array needs it)
except ImportError as missing:
    skip(f"this Python has no module {missing.name} (configure with -DTARE_PYTHON=...)")

sys.path.insert(0, str(SOURCE / "tests" / "pipeline"))
import preprocess  # noqa: E402

# Three layers of each: early, middle and late, with and without negative values.
NETWORKS = {
    "imagenet/mobilenet_v2_1.0_224_tf": 3,
    "imagenet/squeezenet1.1_zoo": 3,
    "detection/ultraface_version-RFB-320": 3,
}
PHOTOGRAPHS = 6
# Elements that are kept of a sample, evenly over the tensor: searches by brute force look at all of them.
MOST_ELEMENTS = 40000
LAYERS = ("Conv", "Relu", "Clip", "Add", "Concat", "Mul")


def layers_of(model, count):
    """Outputs of `count` nodes at even distances among those of the kinds that quantizers follow."""
    names = [node.output[0] for node in model.graph.node if node.op_type in LAYERS]
    return [names[(2 * i + 1) * len(names) // (2 * count)] for i in range(count)]


def photographs():
    endings = {".jpg", ".jpeg", ".png"}
    found = sorted(path for path in (SHARED / "images").rglob("*") if path.suffix.lower() in endings)
    return found[:: max(len(found) // PHOTOGRAPHS, 1)][:PHOTOGRAPHS]


def run_network(name, count):
    path = SHARED / "models" / f"{name}.onnx"
    model = onnx.load(str(path))
    layers = layers_of(model, count)
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(layer) for layer in layers)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    inputs = preprocess.load_all(photographs(), path.with_suffix(".preprocess.json"))
    runs = [session.run(None, {session.get_inputs()[0].name: image[None]}) for image in inputs]
    for index, layer in enumerate(layers):
        samples = np.stack([run[index].ravel() for run in runs])
        step = -(-samples.shape[1] // MOST_ELEMENTS)
        yield f"{name.split('/')[1]}:{layer}", np.ascontiguousarray(samples[:, ::step], np.float32)


def tensors():
    """Pairs of a name and an array [sample, element]."""
    if not (SHARED / "models").is_dir() or len(photographs()) < PHOTOGRAPHS:
        skip("there are no models and photographs beside this checkout")
    for name, count in NETWORKS.items():
        yield from run_network(name, count)


class Estimator:
    """The C program, kept running."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen([os.environ["TARE_ESTIMATE"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.folder.cleanup()

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer or answer.startswith("error"):
            raise RuntimeError(f"{words}: {answer or 'the program ended'}")
        return answer.split()

    def file(self, array):
        path = os.path.join(self.folder.name, "values")
        np.ascontiguousarray(array).tofile(path)
        return path

    def range(self, method, symmetric, samples):
        """(min, max, expected error, method, reason) for an array [sample, element]."""
        scheme = "symmetric" if symmetric else "asymmetric"
        words = self.ask("range", method, scheme, self.file(samples.astype(np.float32)), len(samples))
        return float(words[0]), float(words[1]), float(words[2]), words[3], " ".join(words[4:])

    def search(self, kind, counts, low, high):
        words = self.ask("search", kind, self.file(np.asarray(counts, np.float64)), repr(float(low)), repr(float(high)))
        return float(words[0]), float(words[1])

    def number(self, verb, which, q, values):
        return float(self.ask(verb, which, repr(float(q)), self.file(values.astype(np.float32)))[0])


class Report:
    """Prints one line for each comparison and remembers failures."""

    def __init__(self):
        self.failures = 0
        self.count = 0

    def check(self, good, text):
        self.count += 1
        if not good:
            self.failures += 1
        print(("ok    " if good else "WRONG ") + text, flush=True)

    def finish(self):
        print(f"{self.count - self.failures} of {self.count} comparisons hold")
        sys.exit(1 if self.failures or not self.count else 0)
