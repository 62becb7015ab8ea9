// SPDX-License-Identifier: Apache-2.0
// Window sums of convolutions: per channel and kernel position the sum of the elements that the
// position meets.
#include "cuda/device.cuh"

// A thread walks a whole row, so that there are few: small blocks reach more multiprocessors.
#define THREADS       64U
#define PER_PROCESSOR 16U
// The sums of so many kernel columns stay in registers.
#define TAPS          TARE_WINDOW_TAPS

namespace {

// The elements along one axis that a position of the kernel meets: first, first + stride, ... below
// end.
struct reach {
    uint64_t first, end;
};

// Along `axis`, for kernel position `tap`. Output o meets element o * stride + tap * dilation -
// padding.
__device__ reach find_reach(const tare_window_tensor &tensor, int axis, uint32_t tap) {
    const uint64_t stride = tensor.stride[axis], size = tensor.size[axis],
                   padding = tensor.padding[axis];
    const uint64_t offset = static_cast<uint64_t>(tap) * tensor.dilation[axis];
    // Outputs whose element lies in the padding before the first are passed over.
    const uint64_t before = padding > offset ? (padding - offset + stride - 1) / stride : 0;
    reach found = {0, 0};
    if (before < tensor.output[axis]) {
        found.first = before * stride + offset - padding;
        found.end = (tensor.output[axis] - 1) * stride + offset - padding + 1;
        found.end = found.end < size ? found.end : size;
    }
    return found;
}

struct taps {
    uint64_t next[TAPS], end[TAPS];
    uint64_t stride;
};

template <typename E>
__device__ void add_element(float (&sums)[TAPS][E::width], const float (&x)[E::width], taps &kernel,
                            uint64_t column) {
#pragma unroll
    for (int tap = 0; tap < TAPS; tap++) {
        if (column != kernel.next[tap]) {
            continue;
        }
        kernel.next[tap] =
            column + kernel.stride < kernel.end[tap] ? column + kernel.stride : UINT64_MAX;
#pragma unroll
        for (int v = 0; v < E::width; v++) {
            sums[tap][v] += x[v];
        }
    }
}

// One row of the image, one vector of channels, a few kernel columns.
template <typename E>
__device__ void add_row(const tare_window_launch &launch, const tare_window_tensor &tensor,
                        const void *data, uint64_t item) {
    const uint64_t channel = item % tensor.vectors * E::width;
    const uint32_t first_tap =
        static_cast<uint32_t>(item / tensor.vectors % tensor.tap_chunks) * TAPS;
    const uint64_t row = item / tensor.vectors / tensor.tap_chunks; // of all samples
    const uint64_t left = tensor.channels - channel;
    const typename E::stored *in = static_cast<const typename E::stored *>(data) +
                                   row * tensor.size[1] * tensor.channels + channel;
    const bool vectors = left >= E::width && tensor.channels % E::width == 0 && tare_aligned_16(in);
    float sums[TAPS][E::width];
    taps kernel;

    kernel.stride = tensor.stride[1];
#pragma unroll
    for (int tap = 0; tap < TAPS; tap++) {
        const uint32_t at = first_tap + static_cast<uint32_t>(tap);
        const reach met = at < tensor.kernel[1] ? find_reach(tensor, 1, at) : reach{0, 0};
        kernel.next[tap] = met.first < met.end ? met.first : UINT64_MAX;
        kernel.end[tap] = met.end;
#pragma unroll
        for (int v = 0; v < E::width; v++) {
            sums[tap][v] = 0.0F;
        }
    }
#pragma unroll 2
    for (uint64_t column = 0; column < tensor.size[1]; column++, in += tensor.channels) {
        float x[E::width];
        if (vectors) {
            E::unpack(x, tare_load_16(in));
        }
#pragma unroll
        for (int v = 0; v < E::width; v++) {
            if (!vectors) {
                x[v] = static_cast<uint64_t>(v) < left ? E::value(in[v]) : 0.0F;
            }
            x[v] = (__float_as_uint(x[v]) & TARE_MAGNITUDE) < TARE_INFINITE ? x[v] : 0.0F;
        }
        add_element<E>(sums, x, kernel, column);
    }
    float *out = launch.partials + tensor.first_partial +
                 (row * tensor.kernel[1] + first_tap) * tensor.channels + channel;
#pragma unroll
    for (int tap = 0; tap < TAPS; tap++) {
#pragma unroll
        for (int v = 0; v < E::width; v++) {
            if (first_tap + static_cast<uint32_t>(tap) < tensor.kernel[1] &&
                static_cast<uint64_t>(v) < left) {
                out[static_cast<uint64_t>(tap) * tensor.channels + static_cast<uint64_t>(v)] =
                    sums[tap][v];
            }
        }
    }
}

} // namespace

extern "C" __global__ void __launch_bounds__(THREADS)
    tare_window_rows(const tare_window_launch launch, const tare_stats_span span) {
    const uint64_t step = static_cast<uint64_t>(gridDim.x) * THREADS;
    for (uint64_t item = span.first + static_cast<uint64_t>(blockIdx.x) * THREADS + threadIdx.x;
         item < span.end; item += step) {
        const tare_window_tensor &tensor = launch.tensors[tare_find(
            launch.tensors, launch.count, &tare_window_tensor::first_item, item)];
        const void *data = span.data != nullptr ? span.data : tensor.data;
        if (tensor.dtype == TARE_DTYPE_FLOAT) {
            add_row<tare_element_float>(launch, tensor, data, item - tensor.first_item);
        } else if (tensor.dtype == TARE_DTYPE_FLOAT16) {
            add_row<tare_element_half>(launch, tensor, data, item - tensor.first_item);
        } else {
            add_row<tare_element_bfloat>(launch, tensor, data, item - tensor.first_item);
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    tare_window_finish(const tare_window_launch launch) {
    const uint64_t step = static_cast<uint64_t>(gridDim.x) * THREADS;
    for (uint64_t item = static_cast<uint64_t>(blockIdx.x) * THREADS + threadIdx.x;
         item < launch.totals.sums; item += step) {
        const tare_window_tensor &tensor = launch.tensors[tare_find(
            launch.tensors, launch.count, &tare_window_tensor::first_sum, item)];
        const uint64_t line =
            tensor.kernel[1] * tensor.channels; // kernel columns and channels of a row
        const uint64_t at = (item - tensor.first_sum) % line;
        const uint64_t above = (item - tensor.first_sum) / line;
        const uint64_t sample = above / tensor.kernel[0];
        const reach rows = find_reach(tensor, 0, static_cast<uint32_t>(above % tensor.kernel[0]));
        const float *partials =
            launch.partials + tensor.first_partial + sample * tensor.size[0] * line + at;
        double sum = 0.0;

#pragma unroll 4
        for (uint64_t row = rows.first; row < rows.end; row += tensor.stride[0]) {
            sum += static_cast<double>(partials[row * line]);
        }
        launch.sums[item] = tare_plain_sum(sum);
    }
}

static tare_status start_rows(const tare_window_launch *launch, const tare_stats_span &span,
                              tare_stream stream, tare_error *err) {
    unsigned blocks = 0;

    if (span.first == span.end) {
        return TARE_OK;
    }
    TARE_TRY(tare_grid(&blocks, (span.end - span.first + THREADS - 1) / THREADS, launch->max_blocks,
                       PER_PROCESSOR, err));
    TARE_LAUNCH(tare_window_rows, blocks, THREADS, 0, stream, *launch, span);
    return tare_launched("tare_window_rows", err);
}

extern "C" tare_status tare_window_begin(const tare_window_launch *launch,
                                         const tare_window_part *part, tare_stream stream,
                                         tare_error *err) {
    const tare_window_tensor *tensor = part->tensor;
    const uint64_t items = part->samples * tensor->size[0] * tensor->tap_chunks * tensor->vectors;

    if (items == 0) {
        return TARE_OK;
    }
    TARE_TRY(tare_check_data(part->data, tensor->dtype, err));
    return start_rows(launch, {tensor->first_item, tensor->first_item + items, part->data, 0},
                      stream, err);
}

extern "C" tare_status tare_window_finish_all(const tare_window_launch *launch, tare_stream stream,
                                              tare_error *err) {
    unsigned blocks = 0;

    if (launch->totals.sums == 0) {
        return TARE_OK;
    }
    TARE_TRY(tare_grid(&blocks, (launch->totals.sums + THREADS - 1) / THREADS, launch->max_blocks,
                       PER_PROCESSOR, err));
    TARE_LAUNCH(tare_window_finish, blocks, THREADS, 0, stream, *launch);
    return tare_launched("tare_window_finish", err);
}

extern "C" tare_status tare_window_sums(const tare_window_launch *launch, tare_stream stream,
                                        tare_error *err) {
    TARE_TRY(start_rows(launch, {0, launch->totals.items, nullptr, 0}, stream, err));
    return tare_window_finish_all(launch, stream, err);
}
