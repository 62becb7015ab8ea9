/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What statistics of activations are, to the last bit: every backend gives the same.
 *
 * A sample is looked at as a matrix: its columns are the channels where per-channel values are
 * wanted, its rows the positions on all other axes in ONNX's order of dims, however the elements
 * lie in memory. Where they are not wanted, TARE_STATS_FLAT_COLUMNS neighbouring elements make up a
 * row and the last row may be short.
 *
 * Only finite elements enter minimum, maximum, sum, histogram and window sums; zeros, NaN and
 * infinities are counted. Zeros come out as +0. With no finite element the minimum is +inf, the
 * maximum -inf and the sum 0. A sum that overflows is infinite; a NaN that comes of infinite
 * partial sums is written as 0x7fc00000.
 *
 * The order of additions. It depends on an element's place in its sample and on nothing else: not
 * on the element type, the device, the grid, the batch or the alignment. Every chain starts with
 * +0; "pairwise" means neighbours are added, then neighbouring results, and so on; missing ones are
 * +0.
 *
 *   1. Rows are cut into tiles of TARE_STATS_TILE_ROWS. In a tile, lane l = row mod
 * TARE_STATS_LANES adds a column's elements in ascending row order, in float. The lanes are added
 * pairwise.
 *   2. Tile t belongs to lane t mod TARE_STATS_TILE_LANES, which adds its tiles in ascending order,
 *      in double. The lanes are added pairwise. Rounded to float this is the column's sum.
 *   3. Column c belongs to lane c mod TARE_STATS_COLUMN_LANES, which adds its columns' (float) sums
 *      in ascending order, in double. The lanes are added pairwise. Rounded to float this is the
 *      sample's sum.
 *
 * Window sums (for the bias correction of a convolution): per channel and kernel position the sum
 * of all elements which that position of the kernel meets, padding counted as zero. Per row of the
 * image elements are added by ascending column, in float; rows by ascending row, in double; rounded
 * to float.
 */
#ifndef TARE_EXEC_REDUCE_H
#define TARE_EXEC_REDUCE_H

#define TARE_STATS_TILE_ROWS    256
#define TARE_STATS_LANES        8
#define TARE_STATS_TILE_LANES   32
#define TARE_STATS_COLUMN_LANES 256
#define TARE_STATS_FLAT_COLUMNS 64

/** What one column of one sample is reduced to. */
typedef struct tare_reduce_channel {
    float min, max, sum;
} tare_reduce_channel;

#endif
