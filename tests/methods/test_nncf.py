# SPDX-License-Identifier: Apache-2.0
"""NNCF's range estimators against NNCF's own reducers and aggregators, to 1e-6 of the tensor's magnitude."""

from activations import Estimator, Report, np, skip, tensors

try:
    import nncf.common.tensor_statistics.collectors as theirs
    from nncf.tensor import Tensor
except ImportError as missing:
    skip(f"this Python has no module {missing.name}")

P = 1e-4
# In the order of the enumerations of stats/nncf.h.
REDUCERS = (
    theirs.MinReducer(), theirs.MaxReducer(), theirs.AbsMaxReducer(), theirs.MeanReducer(),
    theirs.QuantileReducer(quantile=[P]), theirs.AbsQuantileReducer(quantile=[1 - P]),
)
QUANTILES = (0, 0, 0, 0, P, 1 - P)
AGGREGATORS = (
    theirs.MinAggregator, theirs.MaxAggregator, theirs.MeanAggregator, theirs.MedianAggregator,
    theirs.MeanNoOutliersAggregator, theirs.MedianNoOutliersAggregator,
)
# Of each set of ours: their reducers and aggregators.
SETS = {
    "nncf-minmax": (0, 0, 1, 1),
    "nncf-mean-minmax": (0, 2, 1, 2),
    "nncf-median-minmax": (0, 3, 1, 3),
    "nncf-mean-no-outliers-minmax": (0, 4, 1, 4),
    "nncf-mean-quantile": (4, 2, 4, 2),
}


def reduce(which, sample, quantile=None):
    reducer = REDUCERS[which]
    if quantile is not None:
        reducer = theirs.QuantileReducer(quantile=[quantile])
    return float(np.asarray(reducer([Tensor(sample)])[0].data).ravel()[0])


def aggregate(which, numbers, p):
    kind = AGGREGATORS[which]
    aggregator = kind(aggregation_axes=(0,), quantile=p) if which >= 4 else kind(aggregation_axes=(0,))
    for number in numbers:
        aggregator.register_reduced_input(Tensor(np.array([number], np.float32)))
    return float(np.asarray(aggregator.aggregate().data).ravel()[0])


def check_numbers(report, estimator, name, samples):
    top = np.abs(samples).max()
    for which in range(len(REDUCERS)):
        worst = max(abs(estimator.number("reduce", which, QUANTILES[which], sample) - reduce(which, sample))
                    for sample in samples)
        report.check(worst <= 1e-6 * top, f"{name} reducer {which}: off by {worst / top:.2g}")
    numbers = samples.max(axis=1)
    numbers = np.concatenate([numbers, numbers * 1.7, -numbers])
    for which in range(len(AGGREGATORS)):
        for p in (P, 0.1, 0.3):
            got = estimator.number("aggregate", which, p, numbers)
            want = aggregate(which, numbers, p)
            report.check(abs(got - want) <= 1e-6 * top, f"{name} aggregator {which}, p {p}: {got:.7g} for {want:.7g}")


def check_sets(report, estimator, name, samples):
    top = np.abs(samples).max()
    for method, (low_reducer, low_aggregator, high_reducer, high_aggregator) in SETS.items():
        for symmetric in (False, True):
            if symmetric and high_reducer == 1:
                high_reducer = 2
            lows = [reduce(low_reducer, sample) for sample in samples]
            highs = [reduce(high_reducer, sample, 1 - P if high_reducer == 4 else None) for sample in samples]
            want = aggregate(low_aggregator, lows, P), aggregate(high_aggregator, highs, P)
            got = estimator.range(method, symmetric, samples)
            worst = max(abs(got[0] - want[0]), abs(got[1] - want[1])) / top
            report.check(worst <= 1e-6, f"{name} {method}, symmetric {symmetric}: off by {worst:.2g}")


# Compositions that have no name: what follows "nncf=", reducer and aggregator of either side, p.
COMPOSITIONS = {
    "min:abs_quantile/median,max:abs_quantile/median,p:0.01": (5, 3, 5, 3, 0.01),
    "min:mean/min,max:mean/max": (3, 0, 3, 1, P),
    "min:quantile/median_no_outliers,max:quantile/mean_no_outliers,p:0.2": (4, 5, 4, 4, 0.2),
    "max:abs_max/max,p:0.001": (0, 2, 2, 1, 0.001),
    "min:min/median_no_outliers,max:max/median": (0, 5, 1, 3, P),
}


def reduce_side(which, sample, p, upper):
    if which < 4:
        return reduce(which, sample)
    kind = theirs.QuantileReducer if which == 4 else theirs.AbsQuantileReducer
    reducer = kind(quantile=[1 - p if upper else p])
    return float(np.asarray(reducer([Tensor(sample)])[0].data).ravel()[0])


def check_compositions(report, estimator, name, samples):
    top = np.abs(samples).max()
    for text, (low_reducer, low_aggregator, high_reducer, high_aggregator, p) in COMPOSITIONS.items():
        lows = [reduce_side(low_reducer, sample, p, False) for sample in samples]
        highs = [reduce_side(high_reducer, sample, p, True) for sample in samples]
        want = aggregate(low_aggregator, lows, p), aggregate(high_aggregator, highs, p)
        got = estimator.range(f"nncf={text}", False, samples)
        worst = max(abs(got[0] - want[0]), abs(got[1] - want[1])) / top
        report.check(worst <= 1e-6, f"{name} {text}: off by {worst:.2g}")


def histogram_range(values):
    """(min, max), and the aggregator that found them."""
    aggregator = theirs.HistogramAggregator()
    aggregator.register_reduced_input(Tensor(values))
    result = aggregator.aggregate()
    return (float(result["min_values"].data), float(result["max_values"].data)), aggregator


def check_histogram(report, estimator, name, samples):
    top = np.abs(samples).max()
    want, aggregator = histogram_range(samples.ravel())
    counts = np.asarray(aggregator.histogram.data, np.float64)
    width = (aggregator.max_val - aggregator.min_val) / len(counts)
    got = estimator.search("nncf", counts, aggregator.min_val, aggregator.max_val)
    worst = max(abs(got[0] - want[0]), abs(got[1] - want[1]))
    report.check(worst <= 1e-6 * top, f"{name} nncf-histogram: same histogram, off by {worst / top:.2g}")
    got = estimator.range("nncf-histogram", False, samples)[:2]
    worst = max(abs(got[0] - want[0]), abs(got[1] - want[1])) / width
    report.check(worst <= 2.01, f"{name} nncf-histogram: from codes, off by {worst:.2g} bins")


def main():
    report = Report()
    with Estimator() as estimator:
        for name, samples in tensors():
            check_numbers(report, estimator, name, samples)
            check_sets(report, estimator, name, samples)
            check_compositions(report, estimator, name, samples)
            check_histogram(report, estimator, name, samples)
    report.finish()


if __name__ == "__main__":
    main()
