# SPDX-License-Identifier: Apache-2.0
"""Answers of the program under test and of ONNX Runtime to the same graphs, and how far they are apart."""

import pathlib
import sys

import numpy as np
import onnx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "pipeline"))
import program  # noqa: E402


def session(path):
    """ONNX Runtime as it is written: its optimizations round differently, and some of them fail on valid models."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def answers(path, feeds):
    """ONNX Runtime's outputs by name, or None where it refuses the model."""
    try:
        known = session(path)
        return dict(zip((output.name for output in known.get_outputs()), known.run(None, feeds)))
    except Exception as error:  # its exceptions have no common base but this one
        if type(error).__module__.startswith("onnxruntime"):
            return None
        raise


def difference(ours, theirs):
    """The error relative to their Euclidean norm; infinite where the two are of another kind."""
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return np.inf
    finite = np.isfinite(theirs)
    if not np.array_equal(finite, np.isfinite(ours)):
        return np.inf
    ours, theirs = (np.where(finite, array, 0).astype(np.float64) for array in (ours, theirs))
    error = np.linalg.norm(ours - theirs)
    return error / np.linalg.norm(theirs) if error > 0 else 0.0


class Case(program.Case):
    """A test that gives graphs to the program."""

    def setUp(self):
        super().setUp()
        try:
            import onnxruntime  # noqa: F401
        except ImportError:
            self.skipTest("onnxruntime is not installed")

    def ask(self, model, feeds, *arguments):
        """Outputs of the model: (ours, theirs), by name. Theirs is None where ONNX Runtime refuses the model."""
        path, given, found = (self.folder / name for name in ("model.onnx", "in.npz", "out.npz"))
        onnx.save(model, path)
        theirs = answers(path, feeds)
        if theirs is None:
            return None, None
        np.savez(given, **feeds)
        self.expect_done("run", path, "--input", given, "--output", found, "--quiet", *arguments)
        with np.load(found) as archive:
            return {name: archive[name] for name in archive.files}, theirs
