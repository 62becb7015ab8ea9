// SPDX-License-Identifier: Apache-2.0
// Element-wise programs. Each thread carries neighbouring elements through the whole program, so
// that finding out what a step is costs little per element. Registers cannot be numbered at run
// time: every loop over a thread's elements is unrolled, or, where a function is long, moves them
// past the place where it is computed.
#include "cuda/elementwise.h"

#include "cuda/element.cuh"
#include "cuda/functions.cuh"

#define THREADS       128
// Blocks that a multiprocessor holds at once, as many as registers allow: 72 for a thread of the
// general kernels (64 are one too few), 48 where nothing but vectors is read, since there memory is
// the limit and more threads keep more of it in flight.
#define RESIDENT      7
#define RESIDENT_EVEN 10
#define PER_PROCESSOR 20

// Elements per thread: two loads of 16 bytes of float32, one of float16.
#define FLOAT_WIDTH   8
#define WHOLE_WIDTH   4

// Where element `index` of the output lies in an operand.
__device__ static inline int64_t place_of(const tare_program &program,
                                          const tare_program_operand &operand, uint64_t index) {
    uint32_t rest = static_cast<uint32_t>(index);
    int64_t place = 0;
    for (int axis = program.rank - 1; axis > 0; axis--) {
        const uint32_t outer = tare_divide(rest, program.dims[axis]);
        place += (rest - outer * static_cast<uint32_t>(program.dims[axis].value)) *
                 operand.strides[axis];
        rest = outer;
    }
    return place + rest * operand.strides[0];
}

// The elements that a thread reads of an operand: places[i] elements behind place.
template <int N> struct selection {
    int64_t place;
    uint32_t places[N];
};

template <typename S, typename T, int N>
__device__ static inline void load_each(T (&y)[N], const void *data, const selection<N> &from) {
#pragma unroll
    for (int i = 0; i < N; i++) {
        y[i] = S::template load<T>(data, static_cast<uint64_t>(from.place) + from.places[i]);
    }
}

template <int N>
__device__ static inline void load_reals(float (&y)[N], const tare_program_operand &operand,
                                         const selection<N> &from) {
    if (operand.dtype == TARE_DTYPE_FLOAT) {
        load_each<tare_stored_float>(y, operand.data, from);
    } else if (operand.dtype == TARE_DTYPE_FLOAT16) {
        load_each<tare_stored_half>(y, operand.data, from);
    }
}

template <int N>
__device__ static inline void load_reals(int64_t (&)[N], const tare_program_operand &,
                                         const selection<N> &) {}

template <typename T, int N>
__device__ static inline void load_places(T (&y)[N], const tare_program_operand &operand,
                                          const selection<N> &from) {
    switch (operand.dtype) {
    case TARE_DTYPE_INT64:
        return load_each<tare_stored<int64_t>>(y, operand.data, from);
    case TARE_DTYPE_INT32:
        return load_each<tare_stored<int32_t>>(y, operand.data, from);
    case TARE_DTYPE_INT8:
        return load_each<tare_stored<int8_t>>(y, operand.data, from);
    case TARE_DTYPE_UINT8:
    case TARE_DTYPE_BOOL:
        return load_each<tare_stored<uint8_t>>(y, operand.data, from);
    default:
        return load_reals(y, operand, from);
    }
}

// Eight neighbours by loads of 16 bytes; false where that cannot be.
__device__ static inline bool load_vector(float (&y)[FLOAT_WIDTH],
                                          const tare_program_operand &operand, int64_t place) {
    if (operand.dtype == TARE_DTYPE_FLOAT16) {
        const void *from = static_cast<const uint16_t *>(operand.data) + place;
        if (tare_aligned_16(from)) {
            tare_element_half::unpack(y, *static_cast<const uint4 *>(from));
            return true;
        }
    } else if (operand.dtype == TARE_DTYPE_FLOAT) {
        const void *from = static_cast<const float *>(operand.data) + place;
        if (tare_aligned_16(from)) {
            const uint4 low = static_cast<const uint4 *>(from)[0];
            const uint4 high = static_cast<const uint4 *>(from)[1];
            float halves[2][4];
            tare_element_float::unpack(halves[0], low);
            tare_element_float::unpack(halves[1], high);
#pragma unroll
            for (int i = 0; i < FLOAT_WIDTH; i++) {
                y[i] = halves[i / 4][i % 4];
            }
            return true;
        }
    }
    return false;
}

__device__ static inline bool load_vector(int64_t (&)[WHOLE_WIDTH], const tare_program_operand &,
                                          int64_t) {
    return false;
}

// An operand's elements for outputs `at` and following; those behind the last repeat it.
template <typename T, int N>
__device__ static inline void fetch(T (&y)[N], const tare_program &program,
                                    const tare_program_operand &operand, uint64_t at) {
    const bool inside = at + N <= program.count;
    const int left = inside ? N : static_cast<int>(program.count - at);
    selection<N> from = {0, {}};
    if (operand.walk == TARE_WALK_STRIDES && !program.long_rows) {
#pragma unroll
        for (int i = 0; i < N; i++) {
            from.places[i] =
                static_cast<uint32_t>(place_of(program, operand, at + (i < left ? i : left - 1)));
        }
    } else {
        uint32_t step = 0;
        if (operand.walk == TARE_WALK_ALIKE) {
            from.place = static_cast<int64_t>(at);
            step = 1;
        } else if (operand.walk == TARE_WALK_STRIDES) {
            from.place = place_of(program, operand, at);
            step = static_cast<uint32_t>(operand.strides[program.rank - 1]);
        }
        if (step == 1 && inside && load_vector(y, operand, from.place)) {
            return;
        }
#pragma unroll
        for (int i = 0; i < N; i++) {
            from.places[i] = static_cast<uint32_t>(i < left ? i : left - 1) * step;
        }
    }
    load_places(y, operand, from);
}

__device__ static inline float load_real(const tare_program_operand &operand, int64_t place) {
    return operand.dtype == TARE_DTYPE_FLOAT16
               ? tare_stored_half::load<float>(operand.data, static_cast<uint64_t>(place))
               : tare_stored_float::load<float>(operand.data, static_cast<uint64_t>(place));
}

// The same for even programs: whole vectors but for the last one, which goes element by element.
__device__ static inline void fetch_even(float (&y)[FLOAT_WIDTH], const tare_program &program,
                                         const tare_program_operand &operand, uint64_t at) {
    int64_t place = 0;
    if (operand.walk == TARE_WALK_ALIKE) {
        place = static_cast<int64_t>(at);
    } else if (operand.walk == TARE_WALK_STRIDES) {
        place = place_of(program, operand, at);
    }
    if (operand.walk == TARE_WALK_SCALAR || operand.strides[program.rank - 1] == 0) {
        const float value = load_real(operand, place);
#pragma unroll
        for (int i = 0; i < FLOAT_WIDTH; i++) {
            y[i] = value;
        }
    } else if (at + FLOAT_WIDTH <= program.count) {
        load_vector(y, operand, place);
    } else {
        const int64_t last = static_cast<int64_t>(program.count - 1 - at);
#pragma unroll 1
        for (int64_t pass = 0; pass < FLOAT_WIDTH; pass++) {
            const float value = load_real(operand, place + (pass < last ? pass : last));
#pragma unroll
            for (int i = 0; i + 1 < FLOAT_WIDTH; i++) {
                y[i] = y[i + 1];
            }
            y[FLOAT_WIDTH - 1] = value;
        }
    }
}

template <typename S, typename T, int N>
__device__ static inline void store_each(void *data, const T (&x)[N], uint64_t at, int left) {
#pragma unroll
    for (int i = 0; i < N; i++) {
        if (i < left) {
            S::store(data, at + i, x[i]);
        }
    }
}

__device__ static inline bool store_vector(const tare_program &program,
                                           const float (&x)[FLOAT_WIDTH], uint64_t at) {
    if (program.out_dtype == TARE_DTYPE_FLOAT16) {
        void *to = static_cast<uint16_t *>(program.out) + at;
        if (tare_aligned_16(to)) {
            *static_cast<uint4 *>(to) = tare_element_half::pack(x);
            return true;
        }
    } else if (program.out_dtype == TARE_DTYPE_FLOAT) {
        void *to = static_cast<float *>(program.out) + at;
        if (tare_aligned_16(to)) {
            const float low[4] = {x[0], x[1], x[2], x[3]}, high[4] = {x[4], x[5], x[6], x[7]};
            static_cast<uint4 *>(to)[0] = tare_element_float::pack(low);
            static_cast<uint4 *>(to)[1] = tare_element_float::pack(high);
            return true;
        }
    }
    return false;
}

__device__ static inline bool store_vector(const tare_program &, const int64_t (&)[WHOLE_WIDTH],
                                           uint64_t) {
    return false;
}

template <typename T, int N>
__device__ static inline void put(const tare_program &program, const T (&x)[N], uint64_t at) {
    const bool inside = at + N <= program.count;
    const int left = inside ? N : static_cast<int>(program.count - at);
    if (inside && store_vector(program, x, at)) {
        return;
    }
    switch (program.out_dtype) {
    case TARE_DTYPE_FLOAT:
        return store_each<tare_stored_float>(program.out, x, at, left);
    case TARE_DTYPE_FLOAT16:
        return store_each<tare_stored_half>(program.out, x, at, left);
    case TARE_DTYPE_INT64:
        return store_each<tare_stored<int64_t>>(program.out, x, at, left);
    case TARE_DTYPE_INT32:
        return store_each<tare_stored<int32_t>>(program.out, x, at, left);
    case TARE_DTYPE_INT8:
    case TARE_DTYPE_UINT8:
        return store_each<tare_stored<uint8_t>>(program.out, x, at, left);
    default:
        return store_each<tare_stored_bool>(program.out, x, at, left);
    }
}

// x becomes a function of x and y, for all of a thread's elements.
#define EACH(expression)                                                                           \
    _Pragma("unroll") for (int i = 0; i < N; i++) {                                                \
        const auto x = acc[i], y = arg[i];                                                         \
        (void)x, (void)y;                                                                          \
        acc[i] = (expression);                                                                     \
    }                                                                                              \
    return

// The same for long functions: once in the code, with the elements passing by.
#define PASSING(expression)                                                                        \
    _Pragma("unroll 1") for (int pass = 0; pass < N; pass++) {                                     \
        const auto x = acc[0], y = arg[0];                                                         \
        (void)x, (void)y;                                                                          \
        const auto result = (expression);                                                          \
        _Pragma("unroll") for (int i = 0; i + 1 < N; i++) {                                        \
            acc[i] = acc[i + 1];                                                                   \
            arg[i] = arg[i + 1];                                                                   \
        }                                                                                          \
        acc[N - 1] = result;                                                                       \
    }                                                                                              \
    return

// Functions that take more than a few instructions.
template <int N>
__device__ static inline void apply_long(float (&acc)[N], float (&arg)[N],
                                         const tare_program_step &step) {
    const float a = step.a, b = step.b;
    switch (step.opcode) {
    case TARE_OPCODE_FMOD:
        PASSING(fmodf(x, y));
    case TARE_OPCODE_POW:
        PASSING(powf(x, y));
    case TARE_OPCODE_EXP:
        EACH(expf(x));
    case TARE_OPCODE_SIGMOID:
        EACH(tare_sigmoid(x));
    case TARE_OPCODE_SWISH:
        EACH(x * tare_sigmoid(a * x));
    case TARE_OPCODE_TANH:
        EACH(tanhf(x));
    case TARE_OPCODE_ERF:
        EACH(erff(x));
    case TARE_OPCODE_GELU:
        EACH(tare_gelu(x));
    case TARE_OPCODE_GELU_TANH:
        PASSING(tare_gelu_tanh(x));
    case TARE_OPCODE_MISH:
        PASSING(tare_mish(x));
    case TARE_OPCODE_SOFTPLUS:
        PASSING(tare_softplus(x));
    case TARE_OPCODE_ELU:
        PASSING(b * (x < 0.0F ? a * expm1f(x) : x));
    case TARE_OPCODE_CELU:
        PASSING(x < 0.0F ? a * expm1f(x / a) : x);
    case TARE_OPCODE_LOG:
        PASSING(logf(x));
    case TARE_OPCODE_SIN:
        PASSING(tare_sine(x, 0));
    case TARE_OPCODE_COS:
        PASSING(tare_sine(x, 1));
    case TARE_OPCODE_TAN:
        PASSING(tare_tangent(x));
    case TARE_OPCODE_ASIN:
        PASSING(asinf(x));
    case TARE_OPCODE_ACOS:
        PASSING(acosf(x));
    case TARE_OPCODE_ATAN:
        PASSING(atanf(x));
    case TARE_OPCODE_SINH:
        PASSING(sinhf(x));
    case TARE_OPCODE_COSH:
        PASSING(coshf(x));
    case TARE_OPCODE_ASINH:
        PASSING(asinhf(x));
    case TARE_OPCODE_ACOSH:
        PASSING(acoshf(x));
    case TARE_OPCODE_ATANH:
        PASSING(atanhf(x));
    default:
        return;
    }
}

template <int N>
__device__ static inline void apply(float (&acc)[N], float (&arg)[N], uint32_t &chosen,
                                    const tare_program_step &step) {
    const float a = step.a, b = step.b;
    switch (step.opcode) {
    case TARE_OPCODE_LOAD:
        EACH(y);
    case TARE_OPCODE_TEST:
        chosen = 0;
#pragma unroll
        for (int i = 0; i < N; i++) {
            chosen |= (acc[i] != 0.0F ? 1U : 0U) << i;
        }
        return;
    case TARE_OPCODE_CHOOSE:
        EACH((chosen >> i & 1U) != 0 ? x : y);
    case TARE_OPCODE_ADD:
        EACH(x + y);
    case TARE_OPCODE_SUB:
        EACH(x - y);
    case TARE_OPCODE_MUL:
        EACH(x * y);
    case TARE_OPCODE_DIV:
        EACH(x / y);
    case TARE_OPCODE_MAX:
        EACH(x > y ? x : (x == x ? y : x));
    case TARE_OPCODE_MIN:
        EACH(x < y ? x : (x == x ? y : x));
    case TARE_OPCODE_PRELU:
        EACH(x < 0.0F ? y * x : x);
    case TARE_OPCODE_EQUAL:
        EACH(x == y ? 1.0F : 0.0F);
    case TARE_OPCODE_LESS:
        EACH(x < y ? 1.0F : 0.0F);
    case TARE_OPCODE_LESS_EQUAL:
        EACH(x <= y ? 1.0F : 0.0F);
    case TARE_OPCODE_GREATER:
        EACH(x > y ? 1.0F : 0.0F);
    case TARE_OPCODE_GREATER_EQUAL:
        EACH(x >= y ? 1.0F : 0.0F);
    case TARE_OPCODE_ABS:
        EACH(fabsf(x));
    case TARE_OPCODE_NEG:
        EACH(-x);
    case TARE_OPCODE_SIGN:
        EACH(x > 0.0F ? 1.0F : (x < 0.0F ? -1.0F : x));
    case TARE_OPCODE_CLIP:
        EACH(tare_clamp(x, a, b));
    case TARE_OPCODE_SQUARE:
        EACH(x * x);
    case TARE_OPCODE_IS_NAN:
        EACH(x == x ? 0.0F : 1.0F);
    case TARE_OPCODE_IS_INFINITE:
        EACH(fabsf(x) == __uint_as_float(TARE_INFINITE) && (x > 0.0F ? a : b) != 0.0F ? 1.0F
                                                                                      : 0.0F);
    case TARE_OPCODE_LEAKY_RELU:
        EACH(x < 0.0F ? a * x : x);
    case TARE_OPCODE_THRESHOLDED_RELU:
        EACH(x > a ? x : (x == x ? 0.0F : x));
    case TARE_OPCODE_HARD_SIGMOID:
        EACH(tare_clamp(a * x + b, 0.0F, 1.0F));
    case TARE_OPCODE_HARD_SWISH:
        EACH(x * tare_clamp(a * x + b, 0.0F, 1.0F));
    case TARE_OPCODE_SHRINK:
        EACH(x < -a ? x + b : (x > a ? x - b : 0.0F));
    case TARE_OPCODE_SOFTSIGN:
        EACH(x / (1.0F + fabsf(x)));
    case TARE_OPCODE_SQRT:
        EACH(sqrtf(x));
    case TARE_OPCODE_RECIPROCAL:
        EACH(1.0F / x);
    case TARE_OPCODE_FLOOR:
        EACH(floorf(x));
    case TARE_OPCODE_CEIL:
        EACH(ceilf(x));
    case TARE_OPCODE_ROUND:
        EACH(rintf(x));
    default:
        return apply_long(acc, arg, step);
    }
}

// Unsigned arithmetic wraps where that of signed numbers is undefined.
__device__ static inline int64_t wrap(uint64_t value) {
    return static_cast<int64_t>(value);
}

__device__ static inline uint64_t free_of_sign(int64_t value) {
    return static_cast<uint64_t>(value);
}

__device__ static inline int64_t quotient(int64_t x, int64_t y) {
    return y == -1 ? wrap(0U - free_of_sign(x)) : x / y;
}

__device__ static inline int64_t remainder_of_x(int64_t x, int64_t y) {
    return y == -1 ? 0 : x % y;
}

__device__ static inline int64_t remainder_of_y(int64_t x, int64_t y) {
    const int64_t rest = remainder_of_x(x, y);
    return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

__device__ static inline int64_t clamp_whole(int64_t x, int64_t low, int64_t high) {
    const int64_t raised = x < low ? low : x;
    return raised > high ? high : raised;
}

template <int N>
__device__ static inline void apply(int64_t (&acc)[N], int64_t (&arg)[N], uint32_t &chosen,
                                    const tare_program_step &step) {
    switch (step.opcode) {
    case TARE_OPCODE_LOAD:
        EACH(y);
    case TARE_OPCODE_TEST:
        chosen = 0;
#pragma unroll
        for (int i = 0; i < N; i++) {
            chosen |= (acc[i] != 0 ? 1U : 0U) << i;
        }
        return;
    case TARE_OPCODE_CHOOSE:
        EACH((chosen >> i & 1U) != 0 ? x : y);
    case TARE_OPCODE_ADD:
        EACH(wrap(free_of_sign(x) + free_of_sign(y)));
    case TARE_OPCODE_SUB:
        EACH(wrap(free_of_sign(x) - free_of_sign(y)));
    case TARE_OPCODE_MUL:
        EACH(wrap(free_of_sign(x) * free_of_sign(y)));
    case TARE_OPCODE_DIV:
        PASSING(quotient(x, y));
    case TARE_OPCODE_MAX:
        EACH(x > y ? x : y);
    case TARE_OPCODE_MIN:
        EACH(x < y ? x : y);
    case TARE_OPCODE_FMOD:
        PASSING(remainder_of_x(x, y));
    case TARE_OPCODE_MOD:
        PASSING(remainder_of_y(x, y));
    case TARE_OPCODE_PRELU:
        EACH(x < 0 ? wrap(free_of_sign(x) * free_of_sign(y)) : x);
    case TARE_OPCODE_EQUAL:
        EACH(x == y ? 1 : 0);
    case TARE_OPCODE_LESS:
        EACH(x < y ? 1 : 0);
    case TARE_OPCODE_LESS_EQUAL:
        EACH(x <= y ? 1 : 0);
    case TARE_OPCODE_GREATER:
        EACH(x > y ? 1 : 0);
    case TARE_OPCODE_GREATER_EQUAL:
        EACH(x >= y ? 1 : 0);
    case TARE_OPCODE_ABS:
        EACH(x < 0 ? wrap(0U - free_of_sign(x)) : x);
    case TARE_OPCODE_NEG:
        EACH(wrap(0U - free_of_sign(x)));
    case TARE_OPCODE_SIGN:
        EACH(x > 0 ? 1 : (x < 0 ? -1 : 0));
    case TARE_OPCODE_CLIP:
        EACH(clamp_whole(x, step.low, step.high));
    case TARE_OPCODE_AND:
        EACH(x != 0 && y != 0 ? 1 : 0);
    case TARE_OPCODE_OR:
        EACH(x != 0 || y != 0 ? 1 : 0);
    case TARE_OPCODE_XOR:
        EACH((x != 0) != (y != 0) ? 1 : 0);
    case TARE_OPCODE_NOT:
        EACH(x == 0 ? 1 : 0);
    case TARE_OPCODE_BITWISE_AND:
        EACH(x & y);
    case TARE_OPCODE_BITWISE_OR:
        EACH(x | y);
    case TARE_OPCODE_BITWISE_XOR:
        EACH(x ^ y);
    case TARE_OPCODE_BITWISE_NOT:
        EACH(~x);
    case TARE_OPCODE_SHIFT_LEFT:
        EACH(free_of_sign(y) > 63U ? 0 : wrap(free_of_sign(x) << free_of_sign(y)));
    case TARE_OPCODE_SHIFT_RIGHT:
        EACH(free_of_sign(y) > 63U ? 0 : wrap(free_of_sign(x) >> free_of_sign(y)));
    default:
        return;
    }
}

__device__ static inline void set_number(float &y, const tare_program_step &step) {
    y = step.number;
}

__device__ static inline void set_number(int64_t &y, const tare_program_step &step) {
    y = step.whole_number;
}

template <typename T, int N, bool EVEN>
__device__ static inline void run_program(const tare_program &program) {
    const uint64_t stride = static_cast<uint64_t>(gridDim.x) * THREADS * N;
    uint64_t at = (static_cast<uint64_t>(blockIdx.x) * THREADS + threadIdx.x) * N;
    for (; at < program.count; at += stride) {
        T acc[N] = {}, arg[N] = {};
        uint32_t chosen = 0;
#pragma unroll 1
        for (int k = 0; k < program.step_count; k++) {
            const tare_program_step &step = program.steps[k];
            if (step.source >= 0) {
                if constexpr (EVEN) {
                    fetch_even(arg, program, program.operands[step.source], at);
                } else {
                    fetch(arg, program, program.operands[step.source], at);
                }
            } else {
#pragma unroll
                for (int i = 0; i < N; i++) {
                    set_number(arg[i], step);
                }
            }
            apply(acc, arg, chosen, step);
        }
        put(program, acc, at);
    }
}

__global__ static void __launch_bounds__(THREADS, RESIDENT)
    elementwise_floats(const __grid_constant__ tare_program program) {
    run_program<float, FLOAT_WIDTH, false>(program);
}

__global__ static void __launch_bounds__(THREADS, RESIDENT_EVEN)
    elementwise_even(const __grid_constant__ tare_program program) {
    run_program<float, FLOAT_WIDTH, true>(program);
}

__global__ static void __launch_bounds__(THREADS, RESIDENT)
    elementwise_wholes(const __grid_constant__ tare_program program) {
    run_program<int64_t, WHOLE_WIDTH, false>(program);
}

static bool is_even(const tare_program &program) {
    bool even = program.even && tare_aligned_16(program.out);
    for (int i = 0; i < program.operand_count; i++) {
        even = even && tare_aligned_16(program.operands[i].data);
    }
    return even;
}

extern "C" tare_status tare_elementwise(const tare_program *program, tare_stream stream,
                                        tare_error *err) {
    const uint64_t width = THREADS * (program->whole ? WHOLE_WIDTH : FLOAT_WIDTH);
    const tare_program given = *program;
    unsigned blocks = 0;

    TARE_TRY(tare_grid(&blocks, (program->count - 1) / width + 1, 0, PER_PROCESSOR, err));
    if (is_even(given)) {
        TARE_LAUNCH(elementwise_even, blocks, THREADS, 0, stream, given);
    } else if (program->whole) {
        TARE_LAUNCH(elementwise_wholes, blocks, THREADS, 0, stream, given);
    } else {
        TARE_LAUNCH(elementwise_floats, blocks, THREADS, 0, stream, given);
    }
    return tare_launched("an element-wise program", err);
}
