# SPDX-License-Identifier: Apache-2.0
"""The estimators `mse` and `auto` by their error on the raw values, against the best range found by brute force.

Also: the expected error that the estimators state is that of the values. What is not known is where in their bins the
values lie: the mean of n rounding errors deviates from its expectation by the standard error.
"""

from activations import Estimator, Report, np, run_network, tensors

TOLERANCE = 1.005
# What a bin of 0.4 to 0.8 % costs at most.
BIN_ERROR = 0.0014
# Standard deviation of the squared error of rounding to integers: sqrt(1/80 - 1/144).
ROUNDING_DEVIATION = 0.0745
THRESHOLDS = 300
ENDS = 24
CLOSER = 9
# Its pictures are padded by one grey, so that values repeat in its early layers.
PADDED = ("detection/yolox_nano", 6)


def squared_error(values, scale, low_code, high_code):
    """Mean squared error of codes low_code..high_code, zero being code 0."""
    codes = np.clip(np.rint(values / scale), low_code, high_code)
    return np.mean((codes * scale - values) ** 2)


def symmetric_error(values, threshold):
    if values.min() < 0:
        return squared_error(values, threshold / 127, -128, 127)
    return squared_error(values, threshold / 255, 0, 255)


def asymmetric_error(values, low, high):
    scale = (high - low) / 255
    zero = np.rint(-low / scale)
    return squared_error(values, scale, -zero, 255 - zero)


def best_threshold(values):
    top = np.abs(values).max()
    step = 1.0 / THRESHOLDS
    error, place = min((symmetric_error(values, top * k * step), k * step) for k in range(3, THRESHOLDS + 1))
    for _ in range(2):
        error, place = min((symmetric_error(values, top * p), p) for p in np.linspace(place - step, place + step, 41))
        step /= 20
    return error


def best_range(values):
    """All pairs of ends in even steps, then closer and closer around the best pair."""
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    places = np.linspace(0.08, 1.0, ENDS)
    lows = places * low if low < 0 else [0.0]
    error, a, b = min((asymmetric_error(values, x, y), x, y) for x in lows for y in places * high if y > x)
    step = 0.92 / (ENDS - 1)
    for _ in range(3):
        near = np.linspace(-step, step, CLOSER)
        lows = a + near * low if low < 0 else [0.0]
        error, a, b = min((asymmetric_error(values, x, y), x, y) for x in np.minimum(lows, 0.0) for y in b + near * high)
        step /= 4
    return error


def check_tensor(report, estimator, name, samples):
    values = samples.astype(np.float64).ravel()
    for symmetric in (True, False):
        low, high, expected, _, _ = estimator.range("mse", symmetric, samples)
        error = symmetric_error(values, high) if symmetric else asymmetric_error(values, low, high)
        best = best_threshold(values) if symmetric else best_range(values)
        scheme = "symmetric" if symmetric else "asymmetric"
        report.check(error <= TOLERANCE * best,
                     f"{name} {scheme}: [{low:.5g}, {high:.5g}] has {error:.5g}, {100 * (error / best - 1):+.3f} % of "
                     f"the best")
        scale = (high / (127 if values.min() < 0 else 255)) if symmetric else (high - low) / 255
        allowed = BIN_ERROR * error + 4 * ROUNDING_DEVIATION * scale**2 / np.sqrt(np.count_nonzero(values))
        report.check(abs(expected - error) <= allowed,
                     f"{name} {scheme}: expected error {expected:.5g}, {100 * (expected / error - 1):+.3f} % off, allowed "
                     f"{100 * allowed / error:.3f} %")
        low, high, _, method, reason = estimator.range("auto", symmetric, samples)
        chosen = symmetric_error(values, high) if symmetric else asymmetric_error(values, low, high)
        # `auto` allows 5 % more than the least expected error.
        report.check(chosen <= 1.05 * TOLERANCE * error and reason,
                     f"{name} {scheme}: auto takes {method}, {100 * (chosen / error - 1):+.2f} % of mse: {reason}")


def main():
    report = Report()
    with Estimator() as estimator:
        for name, samples in tensors():
            check_tensor(report, estimator, name, samples)
        for name, samples in run_network(*PADDED):
            check_tensor(report, estimator, name, samples)
    report.finish()


if __name__ == "__main__":
    main()
