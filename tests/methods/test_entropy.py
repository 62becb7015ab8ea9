# SPDX-License-Identifier: Apache-2.0
"""The entropy variants: equal to the originals on the same histogram, within two bins of them from code histograms.

ONNX Runtime's is its own code. The others cannot be installed here without a deep learning framework, or were never
published; they are written out below, bin by bin, from their descriptions.
"""

import contextlib
import io

from activations import Estimator, Report, np, skip, tensors

try:
    from onnxruntime.quantization.calibrate import HistogramCollector
except ImportError as missing:
    skip(f"this Python has no module {missing.name}")

BINS = 2048


def divergence(p, q):
    p, q = p / p.sum(), q / q.sum()
    used = p > 0
    if (q[used] <= 0).any():
        return np.inf
    return np.sum(p[used] * np.log(p[used] / q[used]))


def spread(counts, levels):
    """Each level's mean over its bins in use; a level is the bins between two of levels + 1 even points."""
    kept = len(counts)
    level = np.searchsorted(np.linspace(0, kept, levels + 1), np.arange(kept), side="right") - 1
    used = counts > 0
    sums = np.bincount(level[used], counts[used], levels)
    sizes = np.bincount(level[used], minlength=levels)
    means = sums / np.maximum(sizes, 1)
    return np.where(used, means[level], 0.0)


def divergences(counts, levels):
    out = []
    for kept in range(128, len(counts) + 1):
        p = counts[:kept].copy()
        q = spread(p, levels)
        p[-1] += counts[kept:].sum()
        out.append(divergence(p, q))
    return np.array(out)


def trt(counts, width):
    return (np.argmin(divergences(counts, 128)) + 128 + 0.5) * width


def pytorch(counts, width, levels):
    changed = counts.copy()
    changed[0] = changed[1]
    found = divergences(changed, levels)
    return (len(found) - 1 - np.argmin(found[::-1]) + 128) * width


def ort(values, bins):
    """(range, histogram, its end) from ONNX Runtime."""
    collector = HistogramCollector("entropy", False, bins, 128, 99.99, "same")
    with contextlib.redirect_stdout(io.StringIO()):
        collector.collect({"t": values})
        low, high = collector.compute_collection_result()["t"][:2]
    counts, edges = collector.get_histogram_dict()["t"][:2]
    return float(low), float(high), counts, edges


def check_ort(report, estimator, name, samples):
    values = samples.ravel()
    for bins in (128, 512):
        low, high, counts, edges = ort(values, bins)
        width = 2.0 * abs(float(edges[0])) / bins
        got = estimator.search("ort", counts, edges[0], edges[-1])
        got = max(got[0], values.min()), min(got[1], values.max())
        worst = max(abs(got[0] - low), abs(got[1] - high)) / width
        report.check(worst < 1e-3, f"{name} ort {bins}: same histogram, off by {worst:.2g} bins")
        got = estimator.range(f"ort-entropy={bins}", False, samples)
        good = max(abs(got[0] - low), abs(got[1] - high)) <= 2.01 * width
        report.check(good, f"{name} ort {bins}: from codes, {got[0] / width:.1f} {got[1] / width:.1f} for "
                           f"{low / width:.1f} {high / width:.1f} bins")


def check_magnitudes(report, estimator, name, samples):
    unsigned = samples.min() >= 0
    top = float(np.abs(samples).max())
    width = top / BINS
    variants = {"trt": ("trt-entropy", lambda counts: trt(counts, width)),
                "pytorch-unsigned" if unsigned else "pytorch":
                    ("pytorch-entropy", lambda counts: pytorch(counts, width, 256 if unsigned else 128))}
    counts = np.histogram(np.abs(samples).astype(np.float64), BINS, range=(0, top))[0].astype(np.float64)
    for kind, (method, original) in variants.items():
        first = original(counts)
        got = estimator.search(kind, counts, 0.0, top)[1]
        report.check(abs(got - first) < 1e-3 * width,
                     f"{name} {kind}: same histogram, {got / width:.1f} for {first / width:.1f} bins")
        got = estimator.range(method, True, samples)[1]
        report.check(abs(got - first) <= 2.01 * width,
                     f"{name} {kind}: from codes, {got / width:.1f} for {first / width:.1f} bins")


def main():
    report = Report()
    with Estimator() as estimator:
        for name, samples in tensors():
            check_ort(report, estimator, name, samples)
            check_magnitudes(report, estimator, name, samples)
    report.finish()


if __name__ == "__main__":
    main()
