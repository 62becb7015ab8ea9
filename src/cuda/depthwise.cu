// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution. A block's threads are neighbours in space, so that what they read again
// is still in the first cache; where the kernel's width is known a thread computes some
// neighbouring columns and reads each element of a row once for all of them.
#include "cuda/depthwise.h"

#include "cuda/epilogue.cuh"
#include "cuda/vectors.cuh"

#define THREADS TARE_DEPTHWISE_THREADS
#define COLUMNS TARE_DEPTHWISE_COLUMNS

namespace {

// Where a thread is: channel vector, group of columns, row, sample.
struct place {
    int32_t vector, group, row, sample;
};

__device__ place find_place(const tare_depthwise &work) {
    uint32_t thread = threadIdx.x, block = blockIdx.x;
    uint32_t at[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const uint32_t rest = block / work.box_count[i];
        const uint32_t box = block - rest * work.box_count[i];
        at[i] = (box << work.shift[i]) + (thread & ((1U << work.shift[i]) - 1));
        block = rest;
        thread >>= work.shift[i];
    }
    return {static_cast<int32_t>(at[0]), static_cast<int32_t>(at[1]), static_cast<int32_t>(at[2]),
            static_cast<int32_t>(at[3])};
}

// W floats of weights or bias.
template <int W> __device__ void load_floats(float (&out)[W], const float *in) {
    if constexpr (W % 4 == 0) {
#pragma unroll
        for (int i = 0; i < W; i += 4) {
            const uint4 words = *reinterpret_cast<const uint4 *>(in + i);
            out[i] = __uint_as_float(words.x);
            out[i + 1] = __uint_as_float(words.y);
            out[i + 2] = __uint_as_float(words.z);
            out[i + 3] = __uint_as_float(words.w);
        }
    } else {
#pragma unroll
        for (int i = 0; i < W; i++) {
            out[i] = in[i];
        }
    }
}

// Offset of a pixel's channel in x or y.
__device__ int64_t offset_of(const int32_t (&size)[2], int32_t channels, int32_t sample,
                             int32_t row, int32_t column) {
    return ((static_cast<int64_t>(sample) * size[0] + row) * size[1] + column) * channels;
}

template <typename E, int W>
__device__ void apply_epilogues(const tare_depthwise &work, float (&sums)[W], int64_t to) {
    for (uint32_t e = 0; e < work.epilogue_count; e++) {
        if (work.epilogues[e].kind != TARE_EPILOGUE_ADD) {
            tare_epilogue_apply(sums, work.epilogues[e]);
            continue;
        }
        float more[W];
        tare_vector_load<E, W>(more, static_cast<const typename E::stored *>(work.residual) + to);
#pragma unroll
        for (int v = 0; v < W; v++) {
            sums[v] += more[v];
        }
    }
}

// Epilogues and stores of Q neighbouring columns from `column` on; sums has W values of each. The
// columns take turns at the front, so that the code of the epilogues is there only once and no
// register is indexed at run time.
template <typename E, int W, int Q>
__device__ void finish(const tare_depthwise &work, float (&sums)[Q * W], const place &at,
                       int32_t column) {
    int64_t to = offset_of(work.output, work.channels, at.sample, at.row, column) + at.vector * W;

#pragma unroll 1
    for (int q = 0; q < Q && column + q < work.output[1]; q++, to += work.channels) {
        float part[W];
#pragma unroll
        for (int v = 0; v < W; v++) {
            part[v] = sums[v];
        }
#pragma unroll
        for (int i = W; i < Q * W; i++) {
            sums[i - W] = sums[i];
        }
        apply_epilogues<E, W>(work, part, to);
        tare_vector_store<E, W>(static_cast<typename E::stored *>(work.y) + to, part);
    }
}

// Adds one row of the image under one row of a kernel of S columns: each element is read once and
// met by the columns whose kernel covers it.
template <typename E, int S, int STRIDE>
__device__ void add_row(float (&sums)[COLUMNS * E::width], const typename E::stored *row,
                        const float *weights, const tare_depthwise &work, int32_t first) {
    constexpr int W = E::width;
    float kernel[S][W];

#pragma unroll
    for (int s = 0; s < S; s++) {
        load_floats<W>(kernel[s], weights + static_cast<int64_t>(s) * work.channels);
    }
#pragma unroll
    for (int k = 0; k < (COLUMNS - 1) * STRIDE + S; k++) {
        const int32_t column = first + k;
        uint4 words = {0, 0, 0, 0};
        float x[W];
        if (column >= 0 && column < work.size[1]) {
            words = *reinterpret_cast<const uint4 *>(row +
                                                     static_cast<int64_t>(column) * work.channels);
        }
        E::unpack(x, words);
#pragma unroll
        for (int q = 0; q < COLUMNS; q++) {
            const int s = k - q * STRIDE;
            if (s >= 0 && s < S) {
#pragma unroll
                for (int v = 0; v < W; v++) {
                    sums[q * W + v] = fmaf(x[v], kernel[s][v], sums[q * W + v]);
                }
            }
        }
    }
}

template <typename E, int S, int STRIDE> __device__ void convolve(const tare_depthwise &work) {
    constexpr int W = E::width;
    const place at = find_place(work);
    const int32_t column = at.group * COLUMNS, channel = at.vector * W;
    float sums[COLUMNS * W], bias[W];

    if (channel >= work.channels || column >= work.output[1] || at.row >= work.output[0] ||
        at.sample >= work.samples) {
        return;
    }
    load_floats<W>(bias, work.bias + channel);
#pragma unroll
    for (int i = 0; i < COLUMNS * W; i++) {
        sums[i] = bias[i % W];
    }
#pragma unroll 1
    for (int32_t r = 0; r < work.kernel[0]; r++) {
        const int32_t row = at.row * work.stride[0] - work.padding[0] + r * work.dilation[0];
        if (row >= 0 && row < work.size[0]) {
            add_row<E, S, STRIDE>(sums,
                                  static_cast<const typename E::stored *>(work.x) + channel +
                                      offset_of(work.size, work.channels, at.sample, row, 0),
                                  work.weights + static_cast<int64_t>(r) * S * work.channels +
                                      channel,
                                  work, column * STRIDE - work.padding[1]);
        }
    }
    finish<E, W, COLUMNS>(work, sums, at, column);
}

// Any kernel, stride and dilation; W = 1 for any number of channels.
template <typename E, int W> __device__ void convolve_any(const tare_depthwise &work) {
    const place at = find_place(work);
    const int32_t channel = at.vector * W;
    float sums[W];

    if (channel >= work.channels || at.group >= work.output[1] || at.row >= work.output[0] ||
        at.sample >= work.samples) {
        return;
    }
    load_floats<W>(sums, work.bias + channel);
    for (int32_t r = 0; r < work.kernel[0]; r++) {
        const int32_t row = at.row * work.stride[0] - work.padding[0] + r * work.dilation[0];
        if (row < 0 || row >= work.size[0]) {
            continue;
        }
        const typename E::stored *in = static_cast<const typename E::stored *>(work.x) + channel +
                                       offset_of(work.size, work.channels, at.sample, row, 0);
        const float *weights =
            work.weights + channel + static_cast<int64_t>(r) * work.kernel[1] * work.channels;
        for (int32_t s = 0; s < work.kernel[1]; s++, weights += work.channels) {
            const int32_t column =
                at.group * work.stride[1] - work.padding[1] + s * work.dilation[1];
            if (column >= 0 && column < work.size[1]) {
                float x[W], w[W];
                tare_vector_load<E, W>(x, in + static_cast<int64_t>(column) * work.channels);
                load_floats<W>(w, weights);
#pragma unroll
                for (int v = 0; v < W; v++) {
                    sums[v] = fmaf(x[v], w[v], sums[v]);
                }
            }
        }
    }
    finish<E, W, 1>(work, sums, at, at.group);
}

} // namespace

// One block must fit on a multiprocessor: without a number ptxas spills registers to make room for
// more, and what a thread has in flight counts for more than the number of threads.
#define BLOCKS 1

#define DEPTHWISE(type, s, stride)                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)                                  \
        tare_depthwise_##type##_##s##_##stride(const tare_depthwise work) {                        \
        convolve<tare_element_##type, s, stride>(work);                                            \
    }
#define DEPTHWISE_ANY(name, element, width)                                                        \
    extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)                                  \
        name(const tare_depthwise work) {                                                          \
        convolve_any<element, width>(work);                                                        \
    }

DEPTHWISE(float, 3, 1)
DEPTHWISE(float, 3, 2)
DEPTHWISE(float, 5, 1)
DEPTHWISE(float, 5, 2)
DEPTHWISE(float, 7, 1)
DEPTHWISE(float, 7, 2)
DEPTHWISE(half, 3, 1)
DEPTHWISE(half, 3, 2)
DEPTHWISE(half, 5, 1)
DEPTHWISE(half, 5, 2)
DEPTHWISE(half, 7, 1)
DEPTHWISE(half, 7, 2)
DEPTHWISE_ANY(tare_depthwise_float, tare_element_float, tare_element_float::width)
DEPTHWISE_ANY(tare_depthwise_half, tare_element_half, tare_element_half::width)
DEPTHWISE_ANY(tare_depthwise_float_scalar, tare_element_float, 1)
DEPTHWISE_ANY(tare_depthwise_half_scalar, tare_element_half, 1)

namespace {

struct variant {
    tare_dtype dtype;
    int32_t kernel, stride; // along columns; 0: any
    bool vectors;
    void (*start)(const tare_depthwise work);
    const char *name;
};

#define VARIANT(dtype, type, s, stride)                                                            \
    {                                                                                              \
        dtype, s, stride, true, tare_depthwise_##type##_##s##_##stride,                            \
            "tare_depthwise_" #type "_" #s "_" #stride                                             \
    }
#define VARIANT_ANY(dtype, vectors, name)                                                          \
    { dtype, 0, 0, vectors, name, #name }

// The first that fits.
const variant variants[] = {
    VARIANT(TARE_DTYPE_FLOAT, float, 3, 1),
    VARIANT(TARE_DTYPE_FLOAT, float, 3, 2),
    VARIANT(TARE_DTYPE_FLOAT, float, 5, 1),
    VARIANT(TARE_DTYPE_FLOAT, float, 5, 2),
    VARIANT(TARE_DTYPE_FLOAT, float, 7, 1),
    VARIANT(TARE_DTYPE_FLOAT, float, 7, 2),
    VARIANT(TARE_DTYPE_FLOAT16, half, 3, 1),
    VARIANT(TARE_DTYPE_FLOAT16, half, 3, 2),
    VARIANT(TARE_DTYPE_FLOAT16, half, 5, 1),
    VARIANT(TARE_DTYPE_FLOAT16, half, 5, 2),
    VARIANT(TARE_DTYPE_FLOAT16, half, 7, 1),
    VARIANT(TARE_DTYPE_FLOAT16, half, 7, 2),
    VARIANT_ANY(TARE_DTYPE_FLOAT, true, tare_depthwise_float),
    VARIANT_ANY(TARE_DTYPE_FLOAT16, true, tare_depthwise_half),
    VARIANT_ANY(TARE_DTYPE_FLOAT, false, tare_depthwise_float_scalar),
    VARIANT_ANY(TARE_DTYPE_FLOAT16, false, tare_depthwise_half_scalar),
};

const variant *find_variant(const tare_depthwise &work, bool vectors) {
    const variant *found = variants;
    while (found->dtype != work.dtype || found->vectors != vectors ||
           (found->kernel != 0 && (found->kernel != work.kernel[1] || work.dilation[1] != 1 ||
                                   found->stride != work.stride[1]))) {
        found++;
    }
    return found;
}

// The logarithm of the smallest power of two that is not below `wanted`, at most `most`.
uint32_t log_up(uint32_t wanted, uint32_t most) {
    uint32_t log = 0;
    while (log < most && (1U << log) < wanted) {
        log++;
    }
    return log;
}

uint32_t boxes_of(uint32_t size, uint32_t shift) {
    return (size + (1U << shift) - 1) >> shift;
}

// A box: a line of 128 bytes of channels and some columns, then as many rows as there is room for;
// what small images leave goes to more channels, then to samples.
uint64_t make_boxes(tare_depthwise &work, const uint32_t (&sizes)[4]) {
    const uint32_t all = log_up(THREADS, 31);
    uint64_t blocks = 1;

    work.shift[0] = log_up(sizes[0], work.vectors ? 3 : 5);
    work.shift[1] = log_up(sizes[1], 3);
    work.shift[2] = log_up(sizes[2], all - work.shift[0] - work.shift[1]);
    work.shift[0] += log_up(boxes_of(sizes[0], work.shift[0]),
                            all - work.shift[0] - work.shift[1] - work.shift[2]);
    work.shift[3] = all - work.shift[0] - work.shift[1] - work.shift[2];
    for (int i = 0; i < 4; i++) {
        work.box_count[i] = boxes_of(sizes[i], work.shift[i]);
        blocks *= work.box_count[i];
        blocks = blocks < UINT32_MAX ? blocks : UINT32_MAX;
    }
    return blocks;
}

} // namespace

extern "C" tare_status tare_depthwise_start(const tare_depthwise *work, tare_stream stream,
                                            tare_error *err) {
    tare_depthwise launch = *work;
    const uintptr_t places = reinterpret_cast<uintptr_t>(work->x) |
                             reinterpret_cast<uintptr_t>(work->y) |
                             reinterpret_cast<uintptr_t>(work->residual);
    const int32_t width = static_cast<int32_t>(16 / tare_dtype_bytes(work->dtype));
    launch.vectors = work->channels % width == 0 && (places & 15U) == 0;
    const variant *found = find_variant(launch, launch.vectors);
    const int32_t per_vector = launch.vectors ? width : 1;
    const int32_t columns = found->kernel != 0 ? COLUMNS : 1;
    const uint32_t sizes[4] = {
        static_cast<uint32_t>(work->channels / per_vector),
        static_cast<uint32_t>(work->output[1] / columns + (work->output[1] % columns != 0)),
        static_cast<uint32_t>(work->output[0]), static_cast<uint32_t>(work->samples)};
    const uint64_t blocks = make_boxes(launch, sizes);

    if (blocks == 0) {
        return TARE_OK;
    }
    if (blocks > INT32_MAX) {
        return tare_fail(err, TARE_UNSUPPORTED, "depthwise convolution of more than %d blocks",
                         INT32_MAX);
    }
    TARE_LAUNCH(found->start, static_cast<unsigned>(blocks), THREADS, 0, stream, launch);
    return tare_launched(found->name, err);
}
