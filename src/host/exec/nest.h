/* SPDX-License-Identifier: Apache-2.0 */
/** Loop nests over operands of one broadcast shape, in the memory order of the output. */
#ifndef TARE_EXEC_NEST_H
#define TARE_EXEC_NEST_H

#include "exec/backend.h"

#define TARE_NEST_OPERANDS 8

/** Axes of size one are gone and neighbours that all operands walk alike are merged, so that equal
 * shapes become one row. Operand 0 is the output. */
typedef struct tare_nest {
    int rank; /**< at least 2 */
    size_t operand_count;
    int64_t dims[TARE_MAX_RANK];                        /**< outermost first */
    int64_t strides[TARE_NEST_OPERANDS][TARE_MAX_RANK]; /**< in elements; 0 where broadcast */
    bool empty;                                         /**< there is no element */
} tare_nest;

/** Builds the nest of descs[0] (the output) and operands that broadcast to it (NumPy's rules).
 * TARE_INVALID_MODEL when one does not. */
TARE_MUST_CHECK tare_status tare_nest_build(tare_nest *nest, const tare_desc *const *descs,
                                            size_t count, tare_error *err);

/** Adds an axis of `size` with one stride per operand inside the others; axes must be given in the
 * memory order of operand 0. For nests that are not broadcasts; finish with tare_nest_finish(). */
void tare_nest_axis(tare_nest *nest, int64_t size, const int64_t *strides);

/** Pads the nest to rank 2. */
void tare_nest_finish(tare_nest *nest);

/** A position in the outer axes of a nest. Start with a zeroed one. */
typedef struct tare_cursor {
    int64_t index[TARE_MAX_RANK];
    int64_t offset[TARE_NEST_OPERANDS]; /**< of each operand, in elements */
} tare_cursor;

/** Steps through the outermost `axes` axes; false after the last position. */
bool tare_cursor_next(tare_cursor *cursor, const tare_nest *nest, int axes);

/** An operand seen along one axis, in the order of its memory: index = (outer * size + k) * inner +
 * i. */
typedef struct tare_axis_view {
    int64_t outer, size, inner;
} tare_axis_view;

tare_axis_view tare_axis_view_of(const tare_desc *desc, int axis);

/** The ONNX axes of an operand in the order of its memory, outermost first. */
void tare_desc_order(int *order, const tare_desc *desc);

#endif
