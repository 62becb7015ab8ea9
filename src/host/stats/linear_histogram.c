/* SPDX-License-Identifier: Apache-2.0 */
/** Laying the counts of codes on bins of equal width. */
#include "stats/linear_histogram.h"

#include <math.h>

double tare_linear_edge(const tare_linear_histogram *histogram, size_t index) {
    return histogram->low +
           (histogram->high - histogram->low) * (double)index / (double)histogram->bins;
}

static size_t bin_of(const tare_linear_histogram *histogram, double value) {
    const double place =
        (value - histogram->low) / (histogram->high - histogram->low) * (double)histogram->bins;
    const size_t bin = place > 0.0 ? (size_t)place : 0;
    return bin < histogram->bins ? bin : histogram->bins - 1;
}

static void add_bin(tare_linear_histogram *out, const tare_code_bin *bin) {
    const double low = fmax(bin->low, out->low), high = fmin(bin->high, out->high);
    const double density = (double)bin->count / (bin->high - bin->low);

    if (bin->high <= bin->low) {
        if (bin->low >= out->low && bin->low <= out->high) {
            out->counts[out->high > out->low ? bin_of(out, bin->low) : 0] += (double)bin->count;
        }
        return;
    }
    if (high <= low) {
        return;
    }
    for (size_t i = bin_of(out, low); i < out->bins; i++) {
        const double begin = fmax(low, tare_linear_edge(out, i));
        const double end = i + 1 == out->bins ? high : fmin(high, tare_linear_edge(out, i + 1));
        if (end > begin) {
            out->counts[i] += density * (end - begin);
        }
        if (end >= high) {
            break;
        }
    }
}

/* Rounds the running sum instead of each bin: no value is lost, and a code with two values in 16
 * bins leaves 14 of them empty. */
static void make_whole(tare_linear_histogram *out) {
    double sum = 0.0, given = 0.0;
    for (size_t i = 0; i < out->bins; i++) {
        sum += out->counts[i];
        out->counts[i] = floor(sum + 0.5) - given;
        given += out->counts[i];
    }
}

tare_status tare_linear_from_codes(tare_linear_histogram *out, tare_arena *arena,
                                   const tare_code_span *span, tare_spread spread,
                                   tare_error *err) {
    tare_code_walk walk;
    tare_code_bin bin;

    if (out->bins == 0 || !isfinite(out->low) || !isfinite(out->high) || out->low > out->high) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "a histogram of %zu bins over [%g, %g] cannot be made", out->bins,
                         out->low, out->high);
    }
    out->counts = tare_arena_array(arena, out->bins, sizeof *out->counts);
    if (out->counts == NULL) {
        return tare_fail_memory(err, out->bins * sizeof *out->counts, "a histogram");
    }
    tare_code_walk_init(&walk, span);
    while (tare_code_walk_next(&bin, &walk)) {
        add_bin(out, &bin);
    }
    if (spread == TARE_SPREAD_WHOLE) {
        make_whole(out);
    }
    return TARE_OK;
}
