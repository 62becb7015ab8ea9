/* SPDX-License-Identifier: Apache-2.0 */
/** Stands in for CUDA's header when kernels are compiled for the host: the words of the language,
 * and as much of the runtime as our launchers call. Anything else does not compile, atomic
 * additions of floats among it. */
#ifndef TARE_TESTS_CUDA_RUNTIME_H
#define TARE_TESTS_CUDA_RUNTIME_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __forceinline__ inline
#define __grid_constant__

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

struct alignas(8) uint2 {
    uint32_t x, y;
};

struct alignas(8) float2 {
    float x, y;
};

struct alignas(16) float4 {
    float x, y, z, w;
};

struct alignas(16) uint4 {
    uint32_t x, y, z, w;
};

typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorIllegalState = 401,
    cudaErrorLaunchFailure = 719,
    cudaErrorStreamCaptureUnsupported = 900
} cudaError_t;

enum cudaDeviceAttr {
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrMaxSharedMemoryPerMultiprocessor = 81
};

enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

cudaError_t cudaGetDevice(int *device);
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device);
cudaError_t cudaFuncSetAttribute(const void *function, cudaFuncAttribute attribute, int value);
cudaError_t cudaGetLastError(void);
const char *cudaGetErrorString(cudaError_t status);

struct CUstream_st;

namespace emulator {

/** The running thread's place. */
struct place {
    dim3 thread, block, threads, blocks;
};

const place &here();

/** The lane of the running thread in its warp. */
unsigned lane();

struct shape {
    dim3 blocks, threads;
    size_t shared_bytes;
};

/** Runs `body` once per thread when the stream gets there, at once where that is NULL. Refusals,
 * and failures of what runs at once, are kept for cudaGetLastError(). */
void launch(const void *kernel, const shape &shape, const std::function<void()> &body,
            CUstream_st *stream);

/** Makes the next launch fail if the parameter holds an address of the host where memory is kept
 * apart (fake_stream.h). */
void check_parameter(const void *parameter, size_t bytes);

/** A call with arguments as they are now, converted to the kernel's parameters. */
template <typename... P, typename... A>
std::function<void()> bind(void (*kernel)(P...), const A &...arguments) {
    static_assert(sizeof...(P) == sizeof...(A), "a kernel is given all its arguments");
    const std::tuple<std::decay_t<P>...> values(static_cast<std::decay_t<P>>(arguments)...);
    std::apply([](const auto &...each) { (check_parameter(&each, sizeof each), ...); }, values);
    return [kernel, values] { std::apply(kernel, values); };
}

/** The block's array for this declaration: declarations are told apart by the order in which a
 * thread meets them. */
void *shared_array(size_t bytes);
void *shared_dynamic();

void barrier(const char *site);

/** Deposits `mine` and waits for the whole warp; out receives what each of the 32 lanes deposited.
 */
void exchange(uint64_t (&out)[32], uint32_t mask, uint64_t mine, const char *site);

/** Ends the launch with a failure. */
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

template <typename T> uint64_t to_word(T value) {
    static_assert(sizeof(T) <= sizeof(uint64_t), "warp collectives move up to 8 bytes");
    uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    return word;
}

template <typename T> T from_word(uint64_t word) {
    T value;
    std::memcpy(&value, &word, sizeof value);
    return value;
}

template <typename T> T shuffle(uint32_t mask, T mine, unsigned lane, const char *site) {
    uint64_t all[32];
    exchange(all, mask, to_word(mine), site);
    return from_word<T>(all[lane % 32]);
}

template <typename T, typename F> T reduce(uint32_t mask, T mine, const char *site, F join) {
    uint64_t all[32];
    exchange(all, mask, to_word(mine), site);
    T result = from_word<T>(all[0]);
    for (int lane = 1; lane < 32; lane++) {
        result = join(result, from_word<T>(all[lane]));
    }
    return result;
}

template <typename T> T fetch_add(T *address, T value) {
    const T old = *address;
    *address = old + value;
    return old;
}

} // namespace emulator

#define TARE_STRING_(x) #x
#define TARE_STRING(x)  TARE_STRING_(x)
#define TARE_SITE       __FILE__ ":" TARE_STRING(__LINE__)

#define threadIdx       (emulator::here().thread)
#define blockIdx        (emulator::here().block)
#define blockDim        (emulator::here().threads)
#define gridDim         (emulator::here().blocks)

#define TARE_SHARED(type, name, count)                                                             \
    type *const name = static_cast<type *>(emulator::shared_array(sizeof(type) * (count)))
#define TARE_SHARED_DYNAMIC(type, name)                                                            \
    type *const name = static_cast<type *>(emulator::shared_dynamic())
#define TARE_LAUNCH(kernel, blocks, threads, shared_bytes, stream, ...)                            \
    emulator::launch(reinterpret_cast<const void *>(kernel), {blocks, threads, shared_bytes},      \
                     emulator::bind(kernel, __VA_ARGS__), stream)

#define __syncthreads() emulator::barrier(TARE_SITE)
#define __syncwarp()    emulator::shuffle(0xffffffffU, 0U, 0U, TARE_SITE)

#define __shfl_sync(mask, value, lane)                                                             \
    emulator::shuffle(mask, value, static_cast<unsigned>(lane), TARE_SITE)
#define __shfl_xor_sync(mask, value, lanes)                                                        \
    emulator::shuffle(mask, value, emulator::lane() ^ (lanes), TARE_SITE)
// Beyond the warp's end a lane gets its own value.
#define __shfl_down_sync(mask, value, lanes)                                                       \
    emulator::shuffle(mask, value,                                                                 \
                      emulator::lane() + (lanes) < 32 ? emulator::lane() + (lanes)                 \
                                                      : emulator::lane(),                          \
                      TARE_SITE)
#define __reduce_add_sync(mask, value)                                                             \
    emulator::reduce(mask, value, TARE_SITE, [](auto a, auto b) { return a + b; })
#define __reduce_min_sync(mask, value)                                                             \
    emulator::reduce(mask, value, TARE_SITE, [](auto a, auto b) { return a < b ? a : b; })
#define __reduce_max_sync(mask, value)                                                             \
    emulator::reduce(mask, value, TARE_SITE, [](auto a, auto b) { return a > b ? a : b; })
#define __any_sync(mask, value)                                                                    \
    emulator::reduce(mask, static_cast<int>((value) != 0), TARE_SITE,                              \
                     [](int a, int b) { return a | b; })

static inline unsigned atomicAdd(unsigned *address, unsigned value) {
    return emulator::fetch_add(address, value);
}

static inline unsigned long long atomicAdd(unsigned long long *address, unsigned long long value) {
    return emulator::fetch_add(address, value);
}

static inline unsigned long long atomicMax(unsigned long long *address, unsigned long long value) {
    const unsigned long long old = *address;
    *address = old > value ? old : value;
    return old;
}

namespace emulator {

/** Devices refuse what x86 does not mind. */
template <typename T> void check_alignment(const char *what, const T *address) {
    if (reinterpret_cast<uintptr_t>(address) % sizeof(T) != 0) {
        fail("%s of %zu bytes at %p, which is no multiple of %zu", what, sizeof(T),
             static_cast<const void *>(address), sizeof(T));
    }
}

} // namespace emulator

template <typename T> static inline T __ldcs(const T *address) {
    emulator::check_alignment("load", address);
    return *address;
}

template <typename T> static inline T __ldg(const T *address) {
    emulator::check_alignment("load", address);
    return *address;
}

template <typename T> static inline void __stcs(T *address, T value) {
    emulator::check_alignment("store", address);
    *address = value;
}

static inline uint32_t __float_as_uint(float value) {
    return emulator::from_word<uint32_t>(emulator::to_word(value));
}

static inline float __uint_as_float(uint32_t bits) {
    return emulator::from_word<float>(bits);
}

static inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) {
    return {x, y, z, w};
}

static inline uint2 make_uint2(uint32_t x, uint32_t y) {
    return {x, y};
}

static inline float2 make_float2(float x, float y) {
    return {x, y};
}

static inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}

static inline float rsqrtf(float value) {
    return 1.0F / std::sqrt(value);
}

static inline uint32_t max(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

extern "C" float tare_half_to_float(uint16_t bits);
extern "C" uint16_t tare_float_to_half(float value);

#endif
