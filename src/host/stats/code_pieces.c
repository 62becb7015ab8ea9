/* SPDX-License-Identifier: Apache-2.0 */
/**
 * From bins to fewer, wider pieces that lose nothing of what a quantizer does to the values.
 *
 * A bin of a hundredth of a quantizer's step need not be looked at alone: neighbours are joined
 * until they are CLOSE of their value wide. But a bin that holds much more than its neighbours
 * holds a value that repeats, such as what a layer makes of the padding around a picture; where in
 * its step that one lies decides the error, so it stays alone. So do all values where there are so
 * few of them that it matters where in their steps they happen to lie: of n values, evenly spread,
 * the mean squared error has a standard deviation of 0.9 / sqrt(n) of itself.
 */
#include <math.h>

#include "stats/code_histogram.h"

#define CLOSE  0x1p-9
#define FEW    200000
/* The number of standard deviations that is no chance. */
#define CHANCE 6.0

static double median(const uint64_t v[3]) {
    const uint64_t low = v[0] < v[1] ? v[0] : v[1], high = v[0] < v[1] ? v[1] : v[0];
    return (double)(v[2] < low ? low : v[2] > high ? high : v[2]);
}

static bool exceeds(uint64_t count, double usual) {
    return (double)count - usual > CHANCE * sqrt(usual + 1.0);
}

/* Against the higher median of three bins on either side, as a bin at the end of a distribution is
 * not exceptional. A median is at least the lesser of any two: mostly two look-ups do. */
static bool repeats(const tare_code_span *span, const tare_code_bin *bin) {
    uint64_t side[2][3];
    if (!exceeds(bin->count, 0.0)) {
        return false;
    }
    for (int64_t s = 0; s < 2; s++) {
        const int64_t step = s == 0 ? -1 : 1;
        side[s][0] = tare_code_count_at(span, bin->position + step);
        side[s][1] = tare_code_count_at(span, bin->position + 2 * step);
        if (!exceeds(bin->count, (double)(side[s][0] < side[s][1] ? side[s][0] : side[s][1]))) {
            return false;
        }
        side[s][2] = tare_code_count_at(span, bin->position + 3 * step);
    }
    return exceeds(bin->count, fmax(median(side[0]), median(side[1])));
}

/* Whether a piece from `low` to `high` is narrow enough for values on one side of zero. */
static bool close(double low, double high) {
    const double a = fabs(low), b = fabs(high);
    return high - low <= CLOSE * (a < b ? a : b) && (low > 0.0) == (high > 0.0);
}

size_t tare_code_pieces(tare_code_piece *out, const tare_code_span *span) {
    tare_code_walk walk;
    tare_code_bin bin;
    const bool few = tare_code_histogram_finite(span->histogram) - span->histogram->zeros <= FEW;
    bool open = false; /* the last piece may grow */
    double low = 0.0;  /* where it begins */
    size_t count = 0;

    tare_code_walk_init(&walk, span);
    while (tare_code_walk_next(&bin, &walk)) {
        const bool alone = few || repeats(span, &bin);
        if (open && !alone && close(low, bin.high)) {
            if (out != NULL) {
                out[count - 1].high = bin.high;
                out[count - 1].count += (double)bin.count;
            }
            continue;
        }
        if (out != NULL) {
            out[count] = (tare_code_piece){bin.low, bin.high, (double)bin.count, alone};
        }
        count++;
        open = !alone;
        low = bin.low;
    }
    return count;
}
