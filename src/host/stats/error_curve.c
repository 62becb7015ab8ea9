/* SPDX-License-Identifier: Apache-2.0 */
/** Expected squared errors of quantizers. */
#include "stats/error_curve.h"

#include <math.h>

#define LAST_CODE 255
/* Terms that are computed at a time, before they are summed up. */
#define BLOCK     ((size_t)256)

/* The arrays of a curve while it is made. */
enum { LOW, HIGH, COUNT, DENSITY, REPEATED, MOMENTS, SUMS = MOMENTS + 3, ARRAYS };

static tare_status allocate(tare_error_curve *out, double **arrays, tare_arena *arena, size_t count,
                            tare_error *err) {
    const size_t most = count + 1;
    *out = (tare_error_curve){0};
    for (size_t i = 0; i < ARRAYS; i++) {
        arrays[i] = tare_arena_array(arena, most, sizeof(double));
        if (arrays[i] == NULL) {
            return tare_fail_memory(err, most * sizeof(double), "an error curve");
        }
    }
    out->low = arrays[LOW];
    out->high = arrays[HIGH];
    out->count = arrays[COUNT];
    out->density = arrays[DENSITY];
    out->repeated = arrays[REPEATED];
    for (size_t k = 0; k < 3; k++) {
        out->moments[k] = arrays[MOMENTS + k];
    }
    out->sums = arrays[SUMS];
    return TARE_OK;
}

static void append(tare_error_curve *out, double **arrays, const tare_code_piece *piece) {
    const double middle = 0.5 * (piece->low + piece->high), width = piece->high - piece->low;
    const double count = piece->count;
    const double power[3] = {1.0, middle, middle * middle + width * width / 12.0};
    const size_t i = out->bins;
    arrays[LOW][i] = piece->low;
    arrays[HIGH][i] = piece->high;
    arrays[COUNT][i] = count;
    arrays[DENSITY][i] = width > 0.0 ? count / width : 0.0;
    arrays[REPEATED][i] = width > 0.0 ? 0.0 : count;
    for (size_t k = 0; k < 3; k++) {
        arrays[MOMENTS + k][i + 1] = arrays[MOMENTS + k][i] + count * power[k];
    }
    out->total += count;
    out->bins++;
}

/* Zeros are codes themselves. */
static bool holds_zeros(const tare_code_piece *piece) {
    return piece->low == 0.0 && piece->high == 0.0;
}

/* The squared distance of a value to the nearest code is 0 to 1/4 of a squared step, 1/12 on
 * average with a standard deviation of 0.894 of that. Values in one narrow bin have it in common.
 */
static double chance_of(const tare_code_piece *pieces, size_t count) {
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < count; i++) {
        const tare_code_piece *piece = &pieces[i];
        if (!holds_zeros(piece)) {
            sum += piece->count;
            squares += piece->apart ? piece->count * piece->count : piece->count;
        }
    }
    return sum > 0.0 ? 0.894 * sqrt(squares) / sum : 0.0;
}

tare_status tare_error_curve_init(tare_error_curve *out, tare_arena *arena,
                                  const tare_tensor_statistics *in, tare_error *err) {
    const tare_code_span span = tare_statistics_span(in, false);
    const size_t count = tare_code_pieces(NULL, &span);
    tare_code_piece *pieces = tare_arena_array(arena, count, sizeof *pieces);
    size_t *apart = tare_arena_array(arena, count, sizeof *apart);
    double *arrays[ARRAYS];

    if (pieces == NULL || apart == NULL) {
        return tare_fail_memory(err, count * sizeof *pieces, "an error curve");
    }
    TARE_TRY(allocate(out, arrays, arena, count, err));
    (void)tare_code_pieces(pieces, &span);
    for (size_t i = 0; i < count; i++) {
        append(out, arrays, &pieces[i]);
        if (pieces[i].apart && !holds_zeros(&pieces[i])) {
            apart[out->apart_count++] = i;
        }
    }
    out->apart = apart;
    out->chance = chance_of(pieces, count);
    return TARE_OK;
}

tare_grid tare_grid_of_range(float min, float max, const tare_estimate_options *options) {
    tare_grid grid = {.last = LAST_CODE};
    const double low = fmin((double)min, 0.0), high = fmax((double)max, 0.0);
    if (options->magnitude && min < 0.0F) {
        grid.zero = options->narrow ? 127 : 128;
        grid.last = grid.zero + 127;
        grid.scale = high / 127.0;
        return grid;
    }
    if (options->magnitude) {
        grid.scale = high / LAST_CODE;
        return grid;
    }
    grid.scale = (high - low) / LAST_CODE;
    grid.zero = grid.scale > 0.0 ? (int)floor(-low / grid.scale + 0.5) : 0;
    return grid;
}

/* The nearest integer of |u| < 2^51: adding so large a number leaves no room for a fraction. Unlike
 * rint() it is no call and can be done several at a time. */
static double nearest(double u) {
    const double large = 6755399441055744.0;
    return (u + large) - large;
}

/* The integral of the squared distance to the nearest integer, from 0 to u: 1/12 for each integer
 * on the way and a cube for the rest. */
static double rounding_integral(double u) {
    const double integer = nearest(u), rest = u - integer;
    return integer * (1.0 / 12.0) + rest * rest * rest * (1.0 / 3.0);
}

/* The mean squared distance to the nearest multiple of `scale` of values spread over [low, high].
 */
static double mean_rounding(double low, double high, double scale) {
    const double a = low / scale, b = high / scale;
    if (b > a) {
        return scale * scale * (rounding_integral(b) - rounding_integral(a)) / (b - a);
    }
    return scale * scale * (a - nearest(a)) * (a - nearest(a));
}

/* What rounding costs the values of bins first <= i < first + count. No division and no branch:
 * this is where the search for a scale spends its time. */
static void rounding_terms(double *terms, const tare_error_curve *curve, size_t first, size_t count,
                           double scale) {
    const double inverse = 1.0 / scale, square = scale * scale, cube = square * scale;
    const double *low = curve->low + first, *high = curve->high + first;
    const double *density = curve->density + first, *repeated = curve->repeated + first;
    for (size_t i = 0; i < count; i++) {
        const double a = low[i] * inverse, b = high[i] * inverse, rest = a - nearest(a);
        terms[i] = cube * density[i] * (rounding_integral(b) - rounding_integral(a)) +
                   square * repeated[i] * rest * rest;
    }
}

void tare_error_curve_rounding(double *sums, const tare_error_curve *curve, double scale) {
    double terms[BLOCK];
    sums[0] = 0.0;
    for (size_t first = 0; first < curve->bins; first += BLOCK) {
        const size_t left = curve->bins - first, count = left < BLOCK ? left : BLOCK;
        rounding_terms(terms, curve, first, count, scale);
        for (size_t i = 0; i < count; i++) {
            sums[first + i + 1] = sums[first + i] + terms[i];
        }
    }
}

/* Number of bins that begin below x. */
static size_t bins_below(const tare_error_curve *curve, double x) {
    size_t first = 0, last = curve->bins;
    while (first < last) {
        const size_t middle = first + (last - first) / 2;
        if (curve->low[middle] < x) {
            first = middle + 1;
        } else {
            last = middle;
        }
    }
    return first;
}

/* The sum of (x - to)^2 over bins first <= i < last. */
static double distance(const tare_error_curve *curve, size_t first, size_t last, double to) {
    double sum[3];
    for (size_t k = 0; k < 3; k++) {
        sum[k] = curve->moments[k][last] - curve->moments[k][first];
    }
    return fmax(sum[2] - 2.0 * to * sum[1] + to * to * sum[0], 0.0);
}

/* What clipping costs the part of a bin that lies beyond an end of the grid inside of it. */
static double clipped_part(const tare_error_curve *curve, size_t bin, double outer) {
    return curve->count[bin] * outer * outer * outer / (3.0 * (curve->high[bin] - curve->low[bin]));
}

static double rounded_part(const tare_error_curve *curve, size_t bin, const double inner[2],
                           double scale) {
    const double share = (inner[1] - inner[0]) / (curve->high[bin] - curve->low[bin]);
    return curve->count[bin] * share * mean_rounding(inner[0], inner[1], scale);
}

/* How a grid cuts the bins: those that lie inside as a whole, and whether the bins before and
 * behind them contain an end. These are different ones, because zero, which is a bin of its own or
 * an edge, is between the ends. */
typedef struct window {
    double low, high;
    size_t first, last;
    bool cuts_first, cuts_last;
} window;

static window window_of(const tare_error_curve *curve, const tare_grid *grid) {
    window w = {.low = -grid->zero * grid->scale, .high = (grid->last - grid->zero) * grid->scale};
    w.first = bins_below(curve, w.low);
    w.last = bins_below(curve, w.high);
    w.cuts_first = w.first > 0 && curve->high[w.first - 1] > w.low;
    w.cuts_last = w.last > w.first && curve->high[w.last - 1] > w.high;
    w.last -= w.cuts_last ? 1 : 0;
    return w;
}

static double clipping(const tare_error_curve *curve, const window *w) {
    double error = distance(curve, 0, w->first - (w->cuts_first ? 1 : 0), w->low) +
                   distance(curve, w->last + (w->cuts_last ? 1 : 0), curve->bins, w->high);
    if (w->cuts_first) {
        error += clipped_part(curve, w->first - 1, w->low - curve->low[w->first - 1]);
    }
    if (w->cuts_last) {
        error += clipped_part(curve, w->last, curve->high[w->last] - w->high);
    }
    return error;
}

double tare_error_curve_jumping(const tare_error_curve *curve, const tare_grid *grid) {
    const double low = -grid->zero * grid->scale, high = (grid->last - grid->zero) * grid->scale;
    double error = 0.0;
    for (size_t k = 0; k < curve->apart_count; k++) {
        const size_t i = curve->apart[k];
        if (curve->low[i] >= low && curve->high[i] <= high) {
            error += curve->count[i] * mean_rounding(curve->low[i], curve->high[i], grid->scale);
        }
    }
    return error;
}

double tare_error_curve_clipping(const tare_error_curve *curve, const tare_grid *grid) {
    const window w = window_of(curve, grid);
    return clipping(curve, &w);
}

double tare_error_curve_window(const tare_error_curve *curve, const double *sums,
                               const tare_grid *grid) {
    const window w = window_of(curve, grid);
    double error = clipping(curve, &w) + sums[w.last] - sums[w.first];
    if (w.cuts_first) {
        const double inner[2] = {w.low, curve->high[w.first - 1]};
        error += rounded_part(curve, w.first - 1, inner, grid->scale);
    }
    if (w.cuts_last) {
        const double inner[2] = {curve->low[w.last], w.high};
        error += rounded_part(curve, w.last, inner, grid->scale);
    }
    return error;
}

double tare_error_curve_at(const tare_error_curve *curve, const tare_grid *grid) {
    if (!(grid->scale > 0.0)) {
        return curve->moments[2][curve->bins] / curve->total;
    }
    tare_error_curve_rounding(curve->sums, curve, grid->scale);
    return tare_error_curve_window(curve, curve->sums, grid) / curve->total;
}
