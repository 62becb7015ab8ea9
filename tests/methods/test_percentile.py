# SPDX-License-Identifier: Apache-2.0
"""The estimator `percentile` against numpy.quantile on all values: within the width of one bin of the value, 0.8 %."""

from activations import Estimator, Report, np, tensors

BIN = 2.0**-7
PERCENTILES = (90.0, 99.0, 99.9, 99.99, 99.999, 100.0)


def main():
    report = Report()
    with Estimator() as estimator:
        for name, samples in tensors():
            values = samples.astype(np.float64).ravel()
            for percentile in PERCENTILES:
                cut = (100.0 - percentile) / 100.0
                low, high = np.quantile(values, [cut / 2, 1 - cut / 2])
                top = np.quantile(np.abs(values), 1 - cut)
                got = estimator.range(f"percentile={percentile}", False, samples)
                clip = estimator.range(f"percentile={percentile}", True, samples)[1]
                # NumPy interpolates between two values, each of which may be anywhere in its bin.
                good = all(abs(a - b) <= BIN * abs(b) + 1e-7 * np.abs(values).max()
                           for a, b in ((got[0], low), (got[1], high), (clip, top)))
                report.check(good, f"{name} {percentile}: [{got[0]:.5g}, {got[1]:.5g}] for [{low:.5g}, {high:.5g}], "
                                   f"{clip:.5g} for {top:.5g}")
    report.finish()


if __name__ == "__main__":
    main()
