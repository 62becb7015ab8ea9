/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The families of the operator table, and the notation their rows are written in.
 *
 * A family is an array ended by a row without a name. To add an operator write its row into a
 * family; nothing has to be registered. To add a family list it here and in op.c.
 */
#ifndef TARE_OPS_ROWS_H
#define TARE_OPS_ROWS_H

#include <stddef.h>

#include "ops/infer.h"

/** An operator of ONNX's own domain: name, first opset version, arity, infer function. */
#define TARE_OP_ROW(op, version, in_min, in_max, out_min, out_max, function)                       \
    .domain = "", .name = (op), .since = (version), .min_inputs = (in_min),                        \
    .max_inputs = (in_max), .min_outputs = (out_min), .max_outputs = (out_max),                    \
    .infer = (function)

/** The typed attributes of a row: their struct and their specs. */
#define TARE_OP_ATTRS(type, specs) .attrs_size = sizeof(type), .attrs = (specs)

/** One attribute: its name in the file, its kind, and where it goes. */
#define TARE_OP_ATTR(text, what, type, field)                                                      \
    .name = (text), .kind = TARE_ATTR_##what, .offset = offsetof(type, field)

extern const tare_op tare_ops_constant[];
extern const tare_op tare_ops_conv[];
extern const tare_op tare_ops_elementwise[];
extern const tare_op tare_ops_gather[];
extern const tare_op tare_ops_index[];
extern const tare_op tare_ops_matmul[];
extern const tare_op tare_ops_norm[];
extern const tare_op tare_ops_pool[];
extern const tare_op tare_ops_quantize[];
extern const tare_op tare_ops_reduce[];
extern const tare_op tare_ops_reshape[];
extern const tare_op tare_ops_resize[];
extern const tare_op tare_ops_rnn[];

#endif
