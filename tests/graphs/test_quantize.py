# SPDX-License-Identifier: Apache-2.0
"""`tare quantize` on random graphs: the result is valid ONNX, ONNX Runtime runs it, and it answers like the original.

A quantizer of 8 bits over the range of normally distributed values (4 deviations to each side) leaves
10 log10(12 * 255^2 / 8^2) = 41 dB of signal over noise, and the noise of the up to 35 operators of a graph adds up to
that of 35 quantizers: 41 - 10 log10(35) = 25 dB, which the median over the graphs must reach. Single ones lose more,
where they subtract what is alike; but at LEAST the error must have half the energy of the answer.
"""

import os
import statistics

import numpy as np
import onnx

import random_graphs
import reference
from reference import program

COUNT = int(os.environ.get("TARE_GRAPHS", 50))
SAMPLES = 6
MEDIAN = 25.0
LEAST = 3.0
WAYS = ([], ["--preset", "mixed"], ["--model-type", "transformer"])


def answers(path, samples):
    """All outputs for every sample, joined; by name."""
    known = reference.session(path)
    names = [output.name for output in known.get_outputs()]
    every = [known.run(names, {key: array[i : i + 1] for key, array in samples.items()}) for i in range(SAMPLES)]
    return {name: np.stack([one[k] for one in every]).astype(np.float64) for k, name in enumerate(names)}


def signal_to_noise(original, quantized):
    """In decibels; infinite for equal ones."""
    noise = np.sum((original - quantized) ** 2)
    signal = np.sum(original**2)
    return 10 * np.log10(signal / noise) if noise > 0 and signal > 0 else np.inf


class QuantizedGraphs(reference.Case):
    def quantize(self, seed):
        """Decibels of the worst output of the quantized graph."""
        model, feeds, _ = random_graphs.make(seed, samples_of_one=True)
        generator = np.random.default_rng(seed)
        samples = {name: generator.standard_normal((SAMPLES, *array.shape[1:])).astype(np.float32)
                   for name, array in feeds.items()}
        path, data, result = (self.folder / f"{seed}{ending}" for ending in (".onnx", ".npz", "q.onnx"))
        onnx.save(model, path)
        np.savez(data, **samples)
        self.expect_done("quantize", path, "--data", data, "--output", result, "--quiet", *WAYS[seed % len(WAYS)],
                         "--threads", 1 + seed % 3)
        onnx.checker.check_model(str(result), full_check=True)
        original, quantized = answers(path, samples), answers(result, samples)
        self.assertEqual(list(original), list(quantized))
        for name, array in quantized.items():
            self.assertEqual(array.shape, original[name].shape)
            self.assertTrue(np.isfinite(array).all(), f"output '{name}' is not finite")
        return min(signal_to_noise(original[name], quantized[name]) for name in original)

    def test_answers(self):
        decibels = {}
        for seed in range(COUNT):
            with self.subTest(seed=seed):
                decibels[seed] = self.quantize(seed)
                self.assertGreater(decibels[seed], LEAST)
        median = statistics.median(decibels.values())
        worst = min(decibels, key=decibels.get)
        print(f"{len(decibels)} graphs, median {median:.1f} dB, worst {decibels[worst]:.1f} dB, of seed {worst}")
        self.assertGreater(median, MEDIAN)


if __name__ == "__main__":
    program.main()
