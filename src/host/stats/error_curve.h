/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The squared error that a quantizer is expected to make, from a code histogram.
 *
 * Values are taken to lie in their bin as tare_code_pieces() says. Rounding costs the integral
 * of the squared distance to the nearest code, in closed form; clipping costs the squared distance
 * to the end of the grid, from moments of the tails. Within an error of 0.14 % that is what the
 * data would give.
 */
#ifndef TARE_STATS_ERROR_CURVE_H
#define TARE_STATS_ERROR_CURVE_H

#include "stats/estimate.h"

/** The values that a quantizer can represent: (q - zero) * scale for q = 0 .. last. */
typedef struct tare_grid {
    double scale; /**< 0: only zero */
    int zero, last;
} tare_grid;

/** The bins of a tensor (more exactly, their pieces) in order of value, with running moments. Lives
 * in an arena. */
typedef struct tare_error_curve {
    size_t bins;
    double total;             /**< number of values */
    const double *low, *high; /**< edges */
    const double *count;
    const double *density;    /**< count per width; 0 where the width is */
    const double *repeated;   /**< count where the width is 0, else 0 */
    const double *moments[3]; /**< bins + 1 sums of x^0, x^1, x^2 over the bins before this one */
    double *sums;             /**< bins + 1 numbers of working memory */
    const size_t *apart;      /**< the bins whose values may all be the same, but zeros */
    size_t apart_count;
    double chance; /**< relative standard deviation of the rounding error, from where in their steps
                      the values happen to lie */
} tare_error_curve;

TARE_MUST_CHECK tare_status tare_error_curve_init(tare_error_curve *out, tare_arena *arena,
                                                  const tare_tensor_statistics *in,
                                                  tare_error *err);

/** The grid that a quantizer of 8 bits gets from a range (which is widened to hold zero). */
tare_grid tare_grid_of_range(float min, float max, const tare_estimate_options *options);

/** Mean squared error per value. */
double tare_error_curve_at(const tare_error_curve *curve, const tare_grid *grid);

/** The sum of rounding errors (not the mean, and nothing is clipped) of the values of all bins
 * before each bin: `sums` has bins + 1 entries. scale > 0. */
void tare_error_curve_rounding(double *sums, const tare_error_curve *curve, double scale);

/** The sum of errors for a grid whose rounding sums are known: cheap for many zero points. */
double tare_error_curve_window(const tare_error_curve *curve, const double *sums,
                               const tare_grid *grid);

/** What rounding costs the bins apart that lie within the grid. This is what makes the error jump;
 * the rest changes little from one scale to the next. */
double tare_error_curve_jumping(const tare_error_curve *curve, const tare_grid *grid);

/** The part of that sum that comes from clipping. It only grows when the scale shrinks. */
double tare_error_curve_clipping(const tare_error_curve *curve, const tare_grid *grid);

#endif
