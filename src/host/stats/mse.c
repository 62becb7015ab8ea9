/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The estimator `mse`: the grid with the smallest expected squared error.
 *
 *   min over scale s and zero point z of  sum over bins of the integral of (x - Q(x; s, z))^2
 *
 * The rounding error of a bin depends on s alone, z only decides what is clipped. So for each s
 * rounding errors are summed up once, and then every z costs a few look-ups.
 *
 * The error is a smooth function of s and, on top of it, one that jumps up and down as values come
 * to lie on codes and between them: little where there are many different values, much where a
 * value repeats. So s goes down in large steps, with all z, until clipping alone costs more than
 * the best grid does. Around each s whose error is not worse than the best one by more than such
 * jumps make, all scales are tried in smaller steps, with nearby z: a few per code of the outermost
 * values where the jumps are worth it, and else in two stages. Where only some values make it jump,
 * their part alone tells which of many steps are worth a try.
 *
 * Other tools try thresholds at bin centres with the whole bin at its centre.
 */
#include <float.h>
#include <math.h>

#include "stats/error_curve.h"

/* Factors between scales. */
#define COARSE    0.97
#define FINE      0.995
#define FINEST    0.9993
/* As many of the last make one of the first. */
#define STEPS     44
/* So many of them are tried where they are chosen. */
#define PROMISING 3
/* The smallest and the largest power of COARSE that is tried. A value that repeats may want a range
 * a little wider than the values, and a rounded zero moves the grid. The last one makes a
 * millionth: a single outlier is worth more than this until there are 10^18 values. */
#define FIRST     (-8)
#define LAST      453
/* Zero points are tried so far from the best one of a scale nearby. */
#define NEARBY    2
/* How many standard deviations an error may have jumped up, and another one down; how much larger
 * than the best one an error may be, at least and at most. */
#define CHANCES   3.0
#define LEAST     1.002
#define MOST      10.0
/* From here on jumps are worth it. */
#define JUMPY     1.005
/* 120 dB below the values. */
#define NOTHING   1e-12

/* The best grid of one scale. */
typedef struct trial {
    tare_grid grid;
    double error;    /* sum */
    double clipping; /* the least with this scale */
} trial;

typedef struct search {
    const tare_error_curve *curve;
    const tare_tensor_statistics *in;
    const tare_estimate_options *options;
    tare_grid full; /* of the whole range */
    trial best;
    double nothing; /* what less of an error is not worth leaving a grid for */
} search;

/* The zero points worth a try: both ends of the grid may lie at most one step beyond the values. */
static void zero_bounds(int *first, int *last, const search *s, double scale) {
    if (s->options->magnitude) {
        *first = *last = s->full.zero;
        return;
    }
    const double below = ceil(-fmin((double)s->in->min, 0.0) / scale) + 1.0;
    const double above = ceil(fmax((double)s->in->max, 0.0) / scale) + 1.0;
    /* A grid that is wider than the values lies anywhere around them. */
    *first = (int)fmax(0.0, fmin(s->full.last - above, below));
    *last = (int)fmin((double)s->full.last, fmax(s->full.last - above, below));
}

/* Tries a scale; `near`: only with zero points near that one, unless it is negative. */
static trial try_scale(search *s, double scale, int near) {
    trial found = {.error = INFINITY, .clipping = INFINITY};
    int first, last;

    tare_error_curve_rounding(s->curve->sums, s->curve, scale);
    zero_bounds(&first, &last, s, scale);
    if (near >= 0) {
        first = near - NEARBY > first ? near - NEARBY : first;
        last = near + NEARBY < last ? near + NEARBY : last;
    }
    for (int zero = first; zero <= last; zero++) {
        const tare_grid grid = {.scale = scale, .zero = zero, .last = s->full.last};
        const double error = tare_error_curve_window(s->curve, s->curve->sums, &grid);
        found.clipping = fmin(found.clipping, tare_error_curve_clipping(s->curve, &grid));
        if (error < found.error) {
            found.error = error;
            found.grid = grid;
        }
    }
    if (found.error < s->best.error - s->nothing) {
        s->best = found;
    }
    return found;
}

/* Fills in the trials in large steps, and returns how many. */
static size_t search_coarsely(trial *out, search *s) {
    size_t count = 0;
    for (int power = FIRST; power <= LAST; power++) {
        out[count] = try_scale(s, s->full.scale * pow(COARSE, power), -1);
        if (out[count++].clipping > s->best.error) {
            break;
        }
    }
    return count;
}

/* How much worse than the best an error may be whose neighbours may be better. */
static double allowance(const tare_error_curve *curve) {
    const double jump = CHANCES * curve->chance;
    const double factor = jump < 1.0 ? (1.0 + jump) / (1.0 - jump) : MOST;
    return fmin(fmax(factor, LEAST), MOST);
}

/* Tries scales in steps, half of a wider step up and down. */
static void search_around(search *s, const tare_grid *from, double outer, double inner) {
    const tare_grid around = *from;
    const double end = around.scale * sqrt(outer);
    for (double scale = around.scale / sqrt(outer); scale > end; scale *= inner) {
        (void)try_scale(s, scale, around.zero);
    }
}

/* A scale that has not been tried, and the error to expect. */
typedef struct promise {
    double scale, error;
} promise;

/* Keeps the best PROMISING, in order. */
static void keep_best(promise *kept, size_t *count, promise one) {
    size_t place = *count;
    for (; place > 0 && kept[place - 1].error > one.error; place--) {
        if (place < PROMISING) {
            kept[place] = kept[place - 1];
        }
    }
    if (place < PROMISING) {
        kept[place] = one;
        *count += *count < PROMISING ? 1 : 0;
    }
}

/* As search_around() in the smallest steps around a coarse trial, but tries only the most promising
 * ones: the smooth part of the error is taken to be between those of the two coarse trials. */
static void search_jumps(search *s, const trial *coarse, size_t at, size_t count) {
    const tare_grid *around = &coarse[at].grid;
    const double smooth = coarse[at].error - tare_error_curve_jumping(s->curve, around);
    promise best[PROMISING];
    size_t kept = 0;
    for (int side = -1; side <= 1; side += 2) {
        const bool alone = side < 0 ? at == 0 : at + 1 == count;
        const trial *next = alone ? &coarse[at] : side < 0 ? &coarse[at - 1] : &coarse[at + 1];
        const double change =
            next->error - tare_error_curve_jumping(s->curve, &next->grid) - smooth;
        for (int step = side < 0 ? 0 : 1; step < STEPS / 2; step++) {
            tare_grid grid = *around;
            double error;
            grid.scale *= pow(COARSE, (double)(side * step) / STEPS);
            error = smooth + change * step / STEPS + tare_error_curve_jumping(s->curve, &grid);
            keep_best(best, &kept, (promise){grid.scale, error});
        }
    }
    for (size_t i = 0; i < kept; i++) {
        (void)try_scale(s, best[i].scale, around->zero);
    }
}

static void search_finely(search *s, const trial *coarse, size_t count) {
    const double allowed = allowance(s->curve), worst = s->best.error * allowed;
    const bool jumps = allowed > JUMPY, some = s->curve->apart_count < s->curve->bins / 4;
    for (size_t i = 0; i < count; i++) {
        if (coarse[i].error > worst && !(i > 0 && coarse[i - 1].error <= worst) &&
            !(i + 1 < count && coarse[i + 1].error <= worst)) {
            continue;
        }
        if (jumps && some) {
            search_jumps(s, coarse, i, count);
        } else {
            search_around(s, &coarse[i].grid, COARSE, jumps ? FINEST : FINE);
        }
    }
    if (!jumps || some) {
        search_around(s, &s->best.grid, FINE * FINE, FINEST);
    }
}

static tare_status mse_range(tare_estimate *out, tare_arena *scratch,
                             const tare_tensor_statistics *in, const tare_estimate_options *options,
                             tare_error *err) {
    const float top = options->magnitude ? (float)tare_statistics_magnitude(in) : in->max;
    search s = {.curve = in->curve, .in = in, .options = options, .best.error = INFINITY};
    trial coarse[LAST - FIRST + 1];
    size_t count;

    TARE_UNUSED(scratch);
    TARE_UNUSED(err);
    s.full = tare_grid_of_range(in->min, top, options);
    if (!(s.full.scale > 0.0)) {
        out->min = out->max = 0.0F;
        return TARE_OK;
    }
    s.nothing = NOTHING * in->curve->moments[2][in->curve->bins];
    (void)try_scale(&s, s.full.scale, -1);
    count = search_coarsely(coarse, &s);
    search_finely(&s, coarse, count);
    /* A grid for the largest float32 may end a little beyond it. */
    const double low = fmax(-s.best.grid.zero * s.best.grid.scale, -(double)FLT_MAX);
    const double high =
        fmin((s.best.grid.last - s.best.grid.zero) * s.best.grid.scale, (double)FLT_MAX);
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
