/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Typed attributes of the operators, in one form for all opset versions. Kernels read these and
 * nothing else.
 *
 * Axes are non-negative after inference. Fields marked (inferred) are completed by the row's infer
 * function.
 */
#ifndef TARE_OPS_ATTRS_H
#define TARE_OPS_ATTRS_H

#include "ir/tensor.h"

#define TARE_MAX_SPATIAL 3

typedef struct tare_ints {
    size_t count;
    const int64_t *values; /**< NULL when absent */
} tare_ints;

typedef struct tare_floats {
    size_t count;
    const float *values; /**< NULL when absent */
} tare_floats;

typedef struct tare_texts {
    size_t count;
    const char *const *values; /**< NULL when absent */
} tare_texts;

/** auto_pad of convolutions and pools, as an index. */
typedef enum tare_auto_pad {
    TARE_PAD_NOTSET,
    TARE_PAD_SAME_UPPER,
    TARE_PAD_SAME_LOWER,
    TARE_PAD_VALID
} tare_auto_pad;

/** Window of Conv, ConvTranspose and pools; spatial dims only, explicit after inference. */
typedef struct tare_window {
    int rank; /**< number of spatial dims, 1 to 3 (inferred) */
    int64_t kernel[TARE_MAX_SPATIAL], stride[TARE_MAX_SPATIAL], dilation[TARE_MAX_SPATIAL];
    int64_t pad_begin[TARE_MAX_SPATIAL], pad_end[TARE_MAX_SPATIAL];
} tare_window;

/** Conv and ConvTranspose. */
typedef struct tare_conv_attrs {
    int auto_pad;
    int64_t group;
    tare_ints kernel_shape, strides, pads, dilations, output_padding,
        output_shape;   /**< as in the file */
    tare_window window; /**< (inferred); for ConvTranspose output_padding, output_shape and auto_pad
                           are resolved into the pads: out = stride (in - 1) + dilation (kernel - 1)
                           + 1 - pad_begin - pad_end holds exactly, hence pad_end may be negative */
} tare_conv_attrs;

/** MaxPool, AveragePool, LpPool and the global pools (window = whole input). */
typedef struct tare_pool_attrs {
    int auto_pad;
    bool count_include_pad, ceil_mode;
    int64_t storage_order, p;
    tare_ints kernel_shape, strides, pads, dilations;
    tare_window window; /**< (inferred) pad_end is enlarged where ceil_mode needs it */
    int64_t
        declared_pad_end[TARE_MAX_SPATIAL]; /**< (inferred) pads that count for count_include_pad */
} tare_pool_attrs;

typedef struct tare_gemm_attrs {
    float alpha, beta;
    bool trans_a, trans_b;
} tare_gemm_attrs;

/** One axis: Concat, Softmax, LogSoftmax, Gather, ... */
typedef struct tare_axis_attrs {
    int64_t axis;
    bool flatten; /**< Softmax family before opset 13: everything from axis on is one dim (inferred)
                   */
} tare_axis_attrs;

/** Unary functions with parameters: LeakyRelu, Elu, Selu, HardSigmoid, ThresholdedRelu, Celu, Gelu,
 * Swish... */
typedef struct tare_unary_attrs {
    float alpha, beta; /**< gamma of Selu is beta */
    int approximate;   /**< Gelu: 0 exact, 1 by tanh */
} tare_unary_attrs;

/** Clip: bounds from attributes or constant inputs. */
typedef struct tare_clip_attrs {
    float file_min, file_max; /**< before opset 11 */
    double min, max;          /**< (inferred) -/+ infinity when absent */
} tare_clip_attrs;

/** BatchNormalization, InstanceNormalization, LayerNormalization, GroupNormalization. */
typedef struct tare_norm_attrs {
    float epsilon, momentum;
    int64_t axis, num_groups, stash_type, training_mode, spatial;
} tare_norm_attrs;

/** LRN. */
typedef struct tare_lrn_attrs {
    float alpha, beta, bias;
    int64_t size;
} tare_lrn_attrs;

/** Reduce*, ArgMax, ArgMin, CumSum-like: axes resolved, sorted, unique. */
typedef struct tare_reduce_attrs {
    tare_ints file_axes;
    int64_t axis; /**< ArgMax, ArgMin */
    bool keepdims, noop_with_empty_axes, select_last_index;
    int axis_count; /**< (inferred) */
    int axes[TARE_MAX_RANK];
} tare_reduce_attrs;

/** Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout: the output holds the same elements in
 * the same order. */
typedef struct tare_reshape_attrs {
    tare_ints file_axes, file_shape;
    int64_t axis;
    bool allowzero;
} tare_reshape_attrs;

typedef struct tare_transpose_attrs {
    tare_ints file_perm;
    int perm[TARE_MAX_RANK]; /**< (inferred) output axis i is input axis perm[i] */
} tare_transpose_attrs;

/** Slice: one start and step per input axis; output dims are inferred. */
typedef struct tare_slice_attrs {
    tare_ints file_starts, file_ends, file_axes;
    int64_t start[TARE_MAX_RANK], step[TARE_MAX_RANK]; /**< (inferred) for every axis */
} tare_slice_attrs;

/** Split: the offset of each output on the axis follows from the outputs' dims. */
typedef struct tare_split_attrs {
    int64_t axis, num_outputs;
    tare_ints file_split;
} tare_split_attrs;

typedef enum tare_pad_mode {
    TARE_PAD_CONSTANT,
    TARE_PAD_REFLECT,
    TARE_PAD_EDGE,
    TARE_PAD_WRAP
} tare_pad_mode;

typedef struct tare_pad_attrs {
    int mode; /**< tare_pad_mode */
    tare_ints file_pads;
    float file_value;
    double value;                                     /**< (inferred) */
    int64_t begin[TARE_MAX_RANK], end[TARE_MAX_RANK]; /**< (inferred) negative: cropping */
} tare_pad_attrs;

typedef enum tare_resize_mode {
    TARE_RESIZE_NEAREST,
    TARE_RESIZE_LINEAR,
    TARE_RESIZE_CUBIC
} tare_resize_mode;
typedef enum tare_resize_coordinates {
    TARE_RESIZE_HALF_PIXEL,
    TARE_RESIZE_PYTORCH_HALF_PIXEL,
    TARE_RESIZE_ALIGN_CORNERS,
    TARE_RESIZE_ASYMMETRIC,
    TARE_RESIZE_TF_CROP_AND_RESIZE,
    TARE_RESIZE_HALF_PIXEL_SYMMETRIC,
    TARE_RESIZE_TF_HALF_PIXEL_FOR_NN
} tare_resize_coordinates;
typedef enum tare_resize_rounding {
    TARE_RESIZE_ROUND_PREFER_FLOOR,
    TARE_RESIZE_ROUND_PREFER_CEIL,
    TARE_RESIZE_FLOOR,
    TARE_RESIZE_CEIL
} tare_resize_rounding;

/** Resize and Upsample. */
typedef struct tare_resize_attrs {
    int mode, coordinates, nearest_mode, keep_aspect_ratio_policy;
    bool antialias, exclude_outside;
    float cubic_coeff_a, extrapolation_value;
    tare_ints file_axes;
    tare_floats file_scales;
    float scale[TARE_MAX_RANK]; /**< (inferred) output over input, as the specification uses it */
    float roi_begin[TARE_MAX_RANK], roi_end[TARE_MAX_RANK]; /**< (inferred) */
} tare_resize_attrs;

/** GridSample. */
typedef struct tare_grid_sample_attrs {
    int mode;         /**< 0 linear, 1 nearest, 2 cubic */
    int padding_mode; /**< 0 zeros, 1 border, 2 reflection */
    bool align_corners;
} tare_grid_sample_attrs;

typedef enum tare_rnn_direction {
    TARE_RNN_FORWARD,
    TARE_RNN_REVERSE,
    TARE_RNN_BIDIRECTIONAL
} tare_rnn_direction;

/** LSTM, GRU, RNN. */
typedef struct tare_rnn_attrs {
    int64_t hidden_size, layout, input_forget, linear_before_reset;
    int direction;          /**< tare_rnn_direction */
    float clip;             /**< 0: none */
    tare_texts activations; /**< only the default ones pass inference */
    tare_floats activation_alpha, activation_beta;
} tare_rnn_attrs;

typedef struct tare_cast_attrs {
    int64_t to, saturate;
} tare_cast_attrs;

/** DepthToSpace, SpaceToDepth. */
typedef struct tare_block_attrs {
    int64_t blocksize;
    int mode; /**< 0 DCR, 1 CRD */
} tare_block_attrs;

/** QuantizeLinear, DequantizeLinear. */
typedef struct tare_quantize_attrs {
    int64_t axis, block_size, output_dtype, saturate, precision;
} tare_quantize_attrs;

/** Mod, and other binary operators with a flag. */
typedef struct tare_binary_attrs {
    bool fmod;
    int direction; /**< BitShift: 0 LEFT, 1 RIGHT */
} tare_binary_attrs;

/** Constant, ConstantOfShape. */
typedef struct tare_constant_attrs {
    const tare_tensor *value;
    float value_float;
    int64_t value_int;
    tare_floats value_floats;
    tare_ints value_ints;
} tare_constant_attrs;

/** TopK. */
typedef struct tare_topk_attrs {
    int64_t axis, k; /**< k (inferred) */
    bool largest, sorted;
} tare_topk_attrs;

/** LpNormalization. */
typedef struct tare_lp_attrs {
    int64_t axis, p;
} tare_lp_attrs;

/** CumSum. */
typedef struct tare_cumsum_attrs {
    int64_t axis; /**< (inferred) */
    bool exclusive, reverse;
} tare_cumsum_attrs;

/** Shape: the range of dims asked for. */
typedef struct tare_shape_attrs {
    int64_t start, end;
} tare_shape_attrs;

typedef enum tare_scatter_reduction {
    TARE_SCATTER_NONE,
    TARE_SCATTER_ADD,
    TARE_SCATTER_MUL,
    TARE_SCATTER_MIN,
    TARE_SCATTER_MAX
} tare_scatter_reduction;

/** ScatterElements, ScatterND (which has no axis). */
typedef struct tare_scatter_attrs {
    int64_t axis;
    int reduction; /**< tare_scatter_reduction */
} tare_scatter_attrs;

/** GatherND. */
typedef struct tare_gather_nd_attrs {
    int64_t batch_dims;
} tare_gather_nd_attrs;

/** Trilu. */
typedef struct tare_trilu_attrs {
    bool upper;
    int64_t k; /**< (inferred) diagonal where the kept part ends */
} tare_trilu_attrs;

/** IsInf. */
typedef struct tare_isinf_attrs {
    bool detect_negative, detect_positive;
} tare_isinf_attrs;

#endif
