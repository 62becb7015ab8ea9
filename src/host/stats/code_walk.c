/* SPDX-License-Identifier: Apache-2.0 */
/** Walking over the bins of a code histogram in order of value. */
#include <math.h>
#include <string.h>

#include "stats/code_histogram.h"

static double edge(uint32_t bin, uint32_t top) {
    const uint32_t bits = tare_code_smallest(bin, top);
    float value;
    if (bits >= TARE_CODE_INFINITE) {
        return ldexp(1.0, 128);
    }
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

void tare_code_edges(double *low, double *high, uint32_t bin, uint32_t top) {
    *low = edge(bin, top);
    *high = edge(bin + 1, top);
}

/* Positions are bins + 1, negative for negative values; 0 are the zeros. */
void tare_code_walk_init(tare_code_walk *walk, const tare_code_span *span) {
    const tare_code_histogram *histogram = span->histogram;
    const bool empty = histogram->first > histogram->last;
    *walk = (tare_code_walk){.span = *span, .end = empty ? 1 : (int64_t)histogram->last + 2};
    walk->position = span->magnitude || empty ? 0 : -(int64_t)histogram->last - 1;
}

static uint64_t count_at(const tare_code_span *span, int64_t position) {
    const tare_code_histogram *histogram = span->histogram;
    if (position == 0) {
        return histogram->zeros;
    }
    if (position < 0) {
        return tare_code_count(histogram, TARE_CODE_BINS + (size_t)(-position - 1));
    }
    return tare_code_count(histogram, (size_t)position - 1) +
           (span->magnitude ? tare_code_count(histogram, TARE_CODE_BINS + (size_t)position - 1)
                            : 0);
}

/* As fmin() and fmax() of numbers, which are calls because of what is none. */
static double lesser(double a, double b) {
    return a < b ? a : b;
}

static double greater(double a, double b) {
    return a > b ? a : b;
}

static void set_edges(tare_code_bin *bin, const tare_code_span *span, int64_t position) {
    double low, high;
    if (position == 0) {
        bin->low = bin->high = 0.0;
        return;
    }
    tare_code_edges(&low, &high, (uint32_t)(position < 0 ? -position - 1 : position - 1),
                    span->histogram->top);
    bin->low = position < 0 ? -high : low;
    bin->high = position < 0 ? -low : high;
    bin->low = lesser(greater(bin->low, span->min), span->max);
    bin->high = greater(lesser(bin->high, span->max), bin->low);
}

uint64_t tare_code_count_at(const tare_code_span *span, int64_t position) {
    const int64_t last = TARE_CODE_BINS;
    if (position == 0 || position > last || position < (span->magnitude ? 0 : -last)) {
        return 0;
    }
    return count_at(span, position);
}

bool tare_code_walk_next(tare_code_bin *bin, tare_code_walk *walk) {
    while (walk->position < walk->end) {
        const int64_t position = walk->position;
        walk->position++;
        bin->count = count_at(&walk->span, position);
        bin->position = position;
        /* From the smallest negative to zero, and from zero to the smallest positive value. */
        if (position == -(int64_t)walk->span.histogram->first - 1) {
            walk->position = 0;
        } else if (position == 0 && walk->end > 1) {
            walk->position = (int64_t)walk->span.histogram->first + 1;
        }
        if (bin->count > 0) {
            set_edges(bin, &walk->span, position);
            return true;
        }
    }
    return false;
}

/* The value of order statistic `index` (from 0) when it lies in this bin, which `below` values
 * precede. */
static double order_value(const tare_code_bin *bin, double index, double below) {
    return bin->low + (bin->high - bin->low) * (index - below + 0.5) / (double)bin->count;
}

double tare_code_span_quantile(const tare_code_span *span, double q) {
    const double last = (double)tare_code_histogram_finite(span->histogram) - 1.0;
    const double rank = fmin(fmax(q, 0.0), 1.0) * last, index = floor(rank);
    double below = 0.0, value = NAN;
    tare_code_walk walk;
    tare_code_bin bin;

    tare_code_walk_init(&walk, span);
    while (tare_code_walk_next(&bin, &walk)) {
        const double end = below + (double)bin.count;
        if (index >= below && index < end) {
            /* Of magnitudes of both signs the smallest is not known. */
            const bool known = isfinite(span->min) && (!span->magnitude || bin.low <= span->min);
            value = index <= 0.0 && known ? span->min : order_value(&bin, index, below);
            if (index >= last && isfinite(span->max)) {
                return span->max;
            }
        }
        if (index + 1.0 >= below && index + 1.0 < end) {
            const double next = index + 1.0 >= last && isfinite(span->max)
                                    ? span->max
                                    : order_value(&bin, index + 1.0, below);
            return value + (rank - index) * (next - value);
        }
        below = end;
    }
    return value;
}
