/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The estimator `mse`: the grid with the smallest expected squared error.
 *
 *   min over scale s and zero point z of  sum over bins of the integral of (x - Q(x; s, z))^2
 *
 * The rounding error of a bin depends on s alone, z only decides what is clipped. So for each s
 * rounding errors are summed up once, and then every z costs a few look-ups: the search over z is
 * complete, that over s goes down in small steps until clipping alone costs more than the best grid
 * does, and is then refined around the best. Other tools try thresholds at bin centres with the
 * whole bin at its centre.
 */
#include <float.h>
#include <math.h>

#include "stats/error_curve.h"

/* Factors between scales of the first search, and of the refinements. */
#define COARSE   0.97
#define FINE     0.995
#define FINEST   0.999
/* The smallest scale tried, as a share of that of the full range. A single outlier is worth more
 * than this until there are 10^18 values. */
#define SMALLEST 1e-6

typedef struct search {
    const tare_error_curve *curve;
    const tare_tensor_statistics *in;
    const tare_estimate_options *options;
    tare_grid best;
    double best_error;
    double widest; /* scale; a little more than the full range, as a rounded zero moves the grid */
} search;

/* The zero points worth a try: both ends of the grid may lie at most one step beyond the values. */
static void zero_bounds(int *first, int *last, const search *s, double scale) {
    if (s->options->magnitude) {
        *first = *last = s->best.zero;
        return;
    }
    const double below = ceil(-fmin((double)s->in->min, 0.0) / scale) + 1.0;
    const double above = ceil(fmax((double)s->in->max, 0.0) / scale) + 1.0;
    *first = (int)fmax(0.0, s->best.last - above);
    *last = (int)fmin((double)s->best.last, below);
}

/* Tries a scale; the return value is the least that clipping costs with it. */
static double try_scale(search *s, double scale) {
    const double *sums = s->curve->sums;
    double least = INFINITY;
    int first, last;

    tare_error_curve_rounding(s->curve->sums, s->curve, scale);
    zero_bounds(&first, &last, s, scale);
    for (int zero = first; zero <= last; zero++) {
        const tare_grid grid = {.scale = scale, .zero = zero, .last = s->best.last};
        const double error = tare_error_curve_window(s->curve, sums, &grid);
        const double clipping = tare_error_curve_clipping(s->curve, &grid);
        least = clipping < least ? clipping : least;
        if (error < s->best_error) {
            s->best_error = error;
            s->best = grid;
        }
    }
    return least;
}

/* Tries scales on both sides of the best one. */
static void refine(search *s, double outer, double inner) {
    const double from = fmin(s->best.scale / outer, s->widest), to = s->best.scale * outer;
    for (double scale = from; scale > to; scale *= inner) {
        (void)try_scale(s, scale);
    }
}

static tare_status mse_range(tare_estimate *out, tare_arena *scratch,
                             const tare_tensor_statistics *in, const tare_estimate_options *options,
                             tare_error *err) {
    const float top = options->magnitude ? (float)tare_statistics_magnitude(in) : in->max;
    search s = {.curve = in->curve, .in = in, .options = options, .best_error = INFINITY};

    TARE_UNUSED(scratch);
    TARE_UNUSED(err);
    s.best = tare_grid_of_range(in->min, top, options);
    if (!(s.best.scale > 0.0)) {
        out->min = out->max = 0.0F;
        return TARE_OK;
    }
    s.widest = s.best.scale * 1.01;
    for (double scale = s.widest; scale > s.widest * SMALLEST; scale *= COARSE) {
        if (try_scale(&s, scale) > s.best_error) {
            break;
        }
    }
    refine(&s, COARSE, FINE);
    refine(&s, FINE, FINEST);
    /* A grid for the largest float32 may end a little beyond it. */
    const double low = fmax(-s.best.zero * s.best.scale, -(double)FLT_MAX);
    const double high = fmin((s.best.last - s.best.zero) * s.best.scale, (double)FLT_MAX);
    if (options->magnitude) {
        tare_estimate_clip(out, in, high);
    } else {
        out->min = (float)low;
        out->max = (float)high;
    }
    return TARE_OK;
}

const tare_estimator tare_estimator_mse = {
    .name = "mse", .needs_histogram = true, .range = mse_range};
