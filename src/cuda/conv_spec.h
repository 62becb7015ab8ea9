/* SPDX-License-Identifier: Apache-2.0 */
/** What a convolution computes, apart from its data: all that an execution plan depends on. */
#ifndef TARE_CUDA_CONV_SPEC_H
#define TARE_CUDA_CONV_SPEC_H

#include "base/text.h"
#include "exec/device.h"
#include "ops/attrs.h"

/** Batch, channels and two or three spatial dims; one-dimensional convolutions get a height of 1.
 */
#define TARE_CONV_RANK 5

/** Conv computes y from x; ConvTranspose is the gradient of such a convolution and computes x from
 * y, so that its input is y here. */
typedef struct tare_conv_spec {
    bool transposed;
    int rank; /**< 4 or 5 */
    /** Dims of the forward convolution. w: channels of y, channels of x per group, window. */
    int64_t x[TARE_CONV_RANK], w[TARE_CONV_RANK], y[TARE_CONV_RANK];
    int64_t stride[TARE_MAX_SPATIAL], dilation[TARE_MAX_SPATIAL];
    int64_t pad_begin[TARE_MAX_SPATIAL], pad_end[TARE_MAX_SPATIAL];
    tare_dtype storage; /**< of input, weights, residual and output */
    tare_precision precision;
    bool bias;
    size_t epilogue_count;
    tare_epilogue epilogues[TARE_MAX_EPILOGUES];
} tare_conv_spec;

/** The operands of a Conv or ConvTranspose node. TARE_UNSUPPORTED for those that cuDNN does not
 * take: other types, negative pads that no rounding absorbs, weights or bias that are not
 * constant, empty tensors. */
TARE_MUST_CHECK tare_status tare_conv_spec_read(tare_conv_spec *out, const tare_prepare *prepare,
                                                bool transposed, tare_precision precision,
                                                tare_error *err);

/** Dims of what is written: y, or x of a transposed convolution. */
const int64_t *tare_conv_spec_output(const tare_conv_spec *spec);

/** Elements of the output, and the number of its channels. */
int64_t tare_conv_spec_count(const tare_conv_spec *spec);
int64_t tare_conv_spec_channels(const tare_conv_spec *spec);

/** Whether something is done to the result of the convolution before it is stored. */
bool tare_conv_spec_has_epilogue(const tare_conv_spec *spec);

/** Appends one line without its end that two specs share only if they are equal. */
void tare_conv_spec_text(tare_text *out, const tare_conv_spec *spec);

/** Weights of ONNX ([channels of y][channels of x per group][window]) in the order of the plan,
 * with the channels innermost, as `storage`. `out` is of tare_conv_weight_bytes(). */
size_t tare_conv_weight_bytes(const tare_conv_spec *spec);
void tare_conv_weights_pack(void *out, const float *weights, const tare_conv_spec *spec);

#endif
