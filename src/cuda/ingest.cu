// SPDX-License-Identifier: Apache-2.0
// Pixels become floats: byte p of channel c is table[c * 256 + p].
#include "cuda/element.cuh"
#include "cuda/ingest.h"

#define THREADS 256U
// That must fit on a multiprocessor: without this ptxas spills to make room for more.
#define BLOCKS  4
// Bytes that a thread reads at once where pixels and destination lie in the same order.
#define BYTES   4U

namespace {

__device__ void put(const tare_pixels_launch &launch, int64_t at, float value) {
    if (launch.half) {
        static_cast<uint16_t *>(launch.dst)[at] = tare_float_to_half(value);
    } else {
        static_cast<float *>(launch.dst)[at] = value;
    }
}

__device__ uint32_t divide(uint32_t number, const tare_divisor &by) {
    return static_cast<uint32_t>(tare_divide(number, by, true));
}

// One pixel per thread, its channels one after the other.
__device__ void put_pixel(const tare_pixels_launch &launch, uint32_t pixel) {
    const uint32_t channels = static_cast<uint32_t>(launch.channels.value);
    const uint32_t line = divide(pixel, launch.columns);
    const uint32_t column = pixel - line * static_cast<uint32_t>(launch.columns.value);
    const uint32_t sample = divide(line, launch.rows);
    const uint32_t row = line - sample * static_cast<uint32_t>(launch.rows.value);
    const uint8_t *in = launch.src + static_cast<uint64_t>(pixel) * channels;
    int64_t at = sample * launch.sample_step + row * launch.row_step + column * launch.column_step;

    for (uint32_t c = 0; c < channels; c++) {
        put(launch, at, launch.table[c * 256U + in[c]]);
        at += launch.channel_step;
    }
}

__device__ uint32_t channel_of(const tare_pixels_launch &launch, uint32_t at) {
    return at - divide(at, launch.channels) * static_cast<uint32_t>(launch.channels.value);
}

// Four elements of a destination in the order of the pixels, from one load to one store.
__device__ void put_four(const tare_pixels_launch &launch, uint32_t at) {
    const uint32_t in = *reinterpret_cast<const uint32_t *>(launch.src + at);
    uint32_t channel = channel_of(launch, at);
    float value[BYTES];

#pragma unroll
    for (unsigned k = 0; k < BYTES; k++) {
        value[k] = launch.table[channel * 256U + (in >> (8U * k) & 255U)];
        channel = channel + 1 == launch.channels.value ? 0 : channel + 1;
    }
    if (launch.half) {
        const uint32_t low = tare_float_to_half(value[0]) |
                             static_cast<uint32_t>(tare_float_to_half(value[1])) << 16;
        const uint32_t high = tare_float_to_half(value[2]) |
                              static_cast<uint32_t>(tare_float_to_half(value[3])) << 16;
        reinterpret_cast<uint64_t *>(launch.dst)[at / BYTES] = low | static_cast<uint64_t>(high)
                                                                         << 32;
    } else {
        uint4 out;
        out.x = __float_as_uint(value[0]);
        out.y = __float_as_uint(value[1]);
        out.z = __float_as_uint(value[2]);
        out.w = __float_as_uint(value[3]);
        reinterpret_cast<uint4 *>(launch.dst)[at / BYTES] = out;
    }
}

} // namespace

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    tare_pixels_scattered(const tare_pixels_launch launch) {
    const uint32_t pixel = blockIdx.x * THREADS + threadIdx.x;
    if (pixel < divide(launch.count, launch.channels)) {
        put_pixel(launch, pixel);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    tare_pixels_in_order(const tare_pixels_launch launch) {
    const uint32_t first = (blockIdx.x * THREADS + threadIdx.x) * BYTES;
    const bool aligned =
        reinterpret_cast<uintptr_t>(launch.src) % BYTES == 0 && tare_aligned_16(launch.dst);
    if (aligned && first + BYTES <= launch.count) {
        put_four(launch, first);
        return;
    }
    for (uint32_t at = first; at < launch.count && at < first + BYTES; at++) {
        put(launch, at, launch.table[channel_of(launch, at) * 256U + launch.src[at]]);
    }
}

extern "C" tare_status tare_pixels_start(const tare_pixels_launch *launch, tare_stream stream,
                                         tare_error *err) {
    const uint32_t items = launch->same_order
                               ? (launch->count + BYTES - 1) / BYTES
                               : static_cast<uint32_t>(launch->count / launch->channels.value);
    const unsigned blocks = (items + THREADS - 1) / THREADS;

    if (blocks == 0) {
        return TARE_OK;
    }
    if (launch->same_order) {
        TARE_LAUNCH(tare_pixels_in_order, blocks, THREADS, 0, stream, *launch);
        return tare_launched("tare_pixels_in_order", err);
    }
    TARE_LAUNCH(tare_pixels_scattered, blocks, THREADS, 0, stream, *launch);
    return tare_launched("tare_pixels_scattered", err);
}
