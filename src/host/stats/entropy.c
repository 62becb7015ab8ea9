/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The estimator `entropy=BINS` (default 2048): the range whose codes tell most about the values.
 *
 * Let h be the density of the values that are not zero (zero is always a code), known in n equal
 * bins. A grid with ends a, b and codes 0..m has the step s = (b - a) / m; code k stands for the
 * values within s/2 of a + k s, the outermost codes for what is clipped as well.
 *
 *   P: h within [a, b], and the clipped values evenly over the share of the outermost codes
 *   Q: evenly over the share of each code; of the mass (n_k + 1/2) / (n + (m+1)/2), where n_k
 * counts the values that the code stands for without being clipped minimise  KL(P || Q)
 *
 * Coarse codes make Q flat where P is not, clipping makes P heavy at the ends where Q is not. The
 * known variants instead spread over bins in use, which punishes sparse tails by chance, or smooth
 * counts by constants; half a value per code (Krichevsky and Trofimov) keeps Q positive and
 * depends on nothing. Ends are edges of bins; no code is narrower than a bin, since nothing is
 * known below that.
 */
#include <math.h>

#include "stats/estimate.h"
#include "stats/linear_histogram.h"

#define LAST_SIGNED 127
#define LAST_CODE   255
/* Edges are tried at this distance, then one by one around the best. */
#define STRIDE      16
#define ROUNDS      4

typedef struct search {
    tare_linear_histogram histogram;
    double *count, *entropy; /* over the bins before each: values; their number times its log */
    double total;
    size_t last;       /* code */
    size_t zero;       /* the edge at or below 0 */
    size_t begin, end; /* edges of the best range */
    double best;
} search;

static double times_log(double x) {
    return x > 0.0 ? x * log(x) : 0.0;
}

/* A running sum at a place between edges, in bins. */
static double sum_at(const double *sums, double place, size_t bins) {
    const size_t edge = place >= (double)bins ? bins - 1 : (size_t)place;
    return sums[edge] + (place - (double)edge) * (sums[edge + 1] - sums[edge]);
}

/* The sum of p ln p over [from, to] (in bins, half a step at an end of the range) where `extra`
 * values lie evenly on top of the histogram. */
static double end_entropy(const search *s, double from, double to, double extra) {
    const double added = extra / (to - from);
    double sum = 0.0;
    for (size_t j = (size_t)from; (double)j < to && j < s->histogram.bins; j++) {
        const double width = fmin(to, (double)j + 1.0) - fmax(from, (double)j);
        sum += width * times_log(s->histogram.counts[j] + added);
    }
    return sum;
}

/* KL in nats, with lengths in bins. */
static double divergence(const search *s, size_t begin, size_t end) {
    const size_t bins = s->histogram.bins;
    const double step = (double)(end - begin) / (double)s->last;
    const double outer[2] = {s->count[begin], s->total - s->count[end]};
    const double inner = s->total - outer[0] - outer[1];
    const double first = (double)begin + 0.5 * step, final = (double)end - 0.5 * step;
    double self = sum_at(s->entropy, final, bins) - sum_at(s->entropy, first, bins);
    double cross = 0.0, before = s->count[begin];

    self += end_entropy(s, (double)begin, first, outer[0]);
    self += end_entropy(s, final, (double)end, outer[1]);
    for (size_t k = 0; k <= s->last; k++) {
        const bool at_end = k == s->last;
        const double after =
            at_end ? s->count[end] : sum_at(s->count, first + (double)k * step, bins);
        const double mass = after - before;
        const double clipped = k == 0 ? outer[0] : at_end ? outer[1] : 0.0;
        const double width = k == 0 || at_end ? 0.5 * step : step;
        cross += (mass + clipped) * log((mass + 0.5) / width);
        before = after;
    }
    return (self - cross) / s->total - log(s->total) + log(inner + 0.5 * ((double)s->last + 1.0));
}

static void try_range(search *s, size_t begin, size_t end) {
    if (end > s->histogram.bins || begin >= end) {
        return;
    }
    /* With few values half a value per code outweighs them: whatever it says, half of them stay. */
    const bool most = s->count[end] - s->count[begin] >= 0.5 * s->total;
    if (most && end >= begin + s->last && begin <= s->zero) {
        const double value = divergence(s, begin, end);
        if (value < s->best) {
            s->best = value;
            s->begin = begin;
            s->end = end;
        }
    }
}

static void scan_end(search *s) {
    const size_t begin = s->begin;
    for (size_t end = s->histogram.bins; end > s->zero && end >= STRIDE; end -= STRIDE) {
        try_range(s, begin, end);
    }
    const size_t from = s->end > STRIDE ? s->end - STRIDE : 1, to = s->end + STRIDE;
    for (size_t end = from; end < to; end++) {
        if (end > s->zero) {
            try_range(s, begin, end);
        }
    }
}

static void scan_begin(search *s) {
    const size_t end = s->end;
    for (size_t begin = 0; begin <= s->zero; begin += STRIDE) {
        try_range(s, begin, end);
    }
    const size_t from = s->begin > STRIDE ? s->begin - STRIDE : 0, to = s->begin + STRIDE;
    for (size_t begin = from; begin < to; begin++) {
        try_range(s, begin, end);
    }
}

static tare_status prepare(search *s, tare_arena *scratch, const tare_code_span *span,
                           tare_error *err) {
    tare_code_histogram others = *span->histogram;
    tare_code_span without_zeros = *span;
    const size_t bins = s->histogram.bins;

    others.zeros = 0;
    without_zeros.histogram = &others;
    TARE_TRY(
        tare_linear_from_codes(&s->histogram, scratch, &without_zeros, TARE_SPREAD_EVENLY, err));
    s->count = tare_arena_array(scratch, bins + 1, sizeof *s->count);
    s->entropy = tare_arena_array(scratch, bins + 1, sizeof *s->entropy);
    if (s->count == NULL || s->entropy == NULL) {
        return tare_fail_memory(err, 2 * bins * sizeof(double), "running sums");
    }
    for (size_t j = 0; j < bins; j++) {
        s->count[j + 1] = s->count[j] + s->histogram.counts[j];
        s->entropy[j + 1] = s->entropy[j] + times_log(s->histogram.counts[j]);
    }
    s->total = s->count[bins];
    s->zero =
        (size_t)floor(-s->histogram.low / (s->histogram.high - s->histogram.low) * (double)bins);
    s->end = bins;
    s->best = INFINITY;
    return TARE_OK;
}

static tare_status entropy_range(tare_estimate *out, tare_arena *scratch,
                                 const tare_tensor_statistics *in,
                                 const tare_estimate_options *options, tare_error *err) {
    const tare_code_span span = tare_statistics_span(in, options->magnitude);
    search s = {.histogram = {.bins = (size_t)options->number,
                              .low = fmin(span.min, 0.0),
                              .high = fmax(span.max, 0.0)},
                .last = options->magnitude && in->min < 0.0F ? LAST_SIGNED : LAST_CODE};

    if (!(s.histogram.high > s.histogram.low)) {
        out->min = out->max = 0.0F;
        return TARE_OK;
    }
    TARE_TRY(prepare(&s, scratch, &span, err));
    for (int round = 0; round < ROUNDS; round++) {
        const size_t begin = s.begin, end = s.end;
        scan_end(&s);
        if (s.zero > 0) {
            scan_begin(&s);
        }
        if (begin == s.begin && end == s.end) {
            break;
        }
    }
    const double ends[2] = {tare_linear_edge(&s.histogram, s.begin),
                            tare_linear_edge(&s.histogram, s.end)};
    if (options->magnitude) {
        tare_estimate_clip(out, in, ends[1]);
    } else {
        out->min = (float)ends[0];
        out->max = (float)ends[1];
    }
    return TARE_OK;
}

const tare_estimator tare_estimator_entropy = {.name = "entropy",
                                               .number_name = "number of bins",
                                               .number = 2048,
                                               .number_min = 512,
                                               .number_max = 65536,
                                               .number_whole = true,
                                               .needs_histogram = true,
                                               .range = entropy_range};
