/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What the rows' infer functions are built from: reading constant inputs, checking, and setting
 * outputs.
 *
 * Nothing here mentions the node: tare_op_infer() puts it in front of every message.
 */
#ifndef TARE_OPS_INFER_H
#define TARE_OPS_INFER_H

#include "ops/op.h"

/** A constant that infer makes itself is not stored above this size; a kernel makes it then. */
#define TARE_INFER_CONSTANT_BYTES ((size_t)64 << 20)

/** Input `port`; NULL when it is left out. */
const tare_value *tare_infer_input(const tare_infer *infer, size_t port);

/** Whether somebody wants output `port`. */
bool tare_infer_wants(const tare_infer *infer, size_t port);

/** Sets type and shape of output `port` (nothing when it is left out). TARE_UNSUPPORTED for too
 * many dims, TARE_INVALID_MODEL for negative dims or a size beyond the address space. */
TARE_MUST_CHECK tare_status tare_infer_output(tare_infer *infer, size_t port, tare_dtype dtype,
                                              int rank, const int64_t *dims, tare_error *err);

/** Sets output `port` to the type and shape of `value`. */
TARE_MUST_CHECK tare_status tare_infer_output_like(tare_infer *infer, size_t port,
                                                   const tare_value *value, tare_error *err);

/** Gives output `port`, whose type and shape are set, a zeroed constant to be filled. */
TARE_MUST_CHECK tare_status tare_infer_output_constant(tare_tensor **out, tare_infer *infer,
                                                       size_t port, tare_error *err);

/** The integers of constant input `port` (rank 0 or 1) into the arena; values NULL when the input
 * is left out. TARE_UNSUPPORTED when it depends on the graph's inputs: `what` names it. */
TARE_MUST_CHECK tare_status tare_infer_ints(tare_ints *out, tare_infer *infer, size_t port,
                                            const char *what, tare_error *err);

/** The one integer of constant input `port`, which must be given. Errors as tare_infer_ints(). */
TARE_MUST_CHECK tare_status tare_infer_int(int64_t *out, tare_infer *infer, size_t port,
                                           const char *what, tare_error *err);

/** The one number of constant input `port`; *out stays as it is when the input is left out. */
TARE_MUST_CHECK tare_status tare_infer_number(double *out, const tare_infer *infer, size_t port,
                                              const char *what, tare_error *err);

/** axis + rank for negative axes; TARE_INVALID_MODEL unless -rank <= axis < rank. */
TARE_MUST_CHECK tare_status tare_infer_axis(int64_t *out, int64_t axis, int rank, tare_error *err);

/** Resolves a list of axes into flags; TARE_INVALID_MODEL for axes out of range or given twice. */
TARE_MUST_CHECK tare_status tare_infer_axes(bool flags[TARE_MAX_RANK], const tare_ints *axes,
                                            int rank, tare_error *err);

/** A shape that grows by broadcasting. */
typedef struct tare_shape {
    int rank;
    int64_t dims[TARE_MAX_RANK];
} tare_shape;

/** Broadcasts `value`'s shape into `shape`; TARE_INVALID_MODEL with both shapes when they do not
 * fit. */
TARE_MUST_CHECK tare_status tare_infer_broadcast(tare_shape *shape, int rank, const int64_t *dims,
                                                 tare_error *err);

/** TARE_UNSUPPORTED unless input `port` (when given) is float32. */
TARE_MUST_CHECK tare_status tare_infer_float32(const tare_infer *infer, size_t port,
                                               tare_error *err);

/** TARE_INVALID_MODEL unless the inputs first..last that are given have one type. */
TARE_MUST_CHECK tare_status tare_infer_one_type(const tare_infer *infer, size_t first, size_t last,
                                                tare_error *err);

/** TARE_INVALID_MODEL unless the rank of input `port` is between `low` and `high`. */
TARE_MUST_CHECK tare_status tare_infer_rank(const tare_infer *infer, size_t port, int low, int high,
                                            tare_error *err);

/** TARE_INVALID_MODEL unless input `port`, when given, is a vector of `count` elements. */
TARE_MUST_CHECK tare_status tare_infer_vector(const tare_infer *infer, size_t port, int64_t count,
                                              const char *what, tare_error *err);

/** Whether Tare computes with this element type at all. */
bool tare_dtype_is_executable(tare_dtype dtype);

/** Whether the type is an integer type Tare computes with (not bool). */
bool tare_dtype_is_integer(tare_dtype dtype);

#endif
