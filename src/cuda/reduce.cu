// SPDX-License-Identifier: Apache-2.0
// Reductions. A block takes some outputs of one slice at a time: its threads are lanes times
// outputs, arranged so that neighbours read neighbouring elements.
#include "cuda/reduce.h"

#include "cuda/element.cuh"

#define THREADS       TARE_REDUCE_THREADS
#define PER_PROCESSOR 8
// Blocks that a multiprocessor holds at once.
#define RESIDENT      4
// Elements that a lane loads before it takes them.
#define AHEAD         4

__device__ static inline int64_t place_of(const tare_reduce_axes &axes, const int64_t *strides,
                                          uint32_t index) {
    int64_t place = 0;
    for (int axis = axes.rank - 1; axis > 0; axis--) {
        const uint32_t outer = tare_divide(index, axes.dims[axis]);
        place += (index - outer * static_cast<uint32_t>(axes.dims[axis].value)) * strides[axis];
        index = outer;
    }
    return place + index * strides[0];
}

__device__ static inline float shift_of(const tare_reduction &p, uint32_t output) {
    const float shift = p.shifts == nullptr ? 0.0F : p.shifts[output];
    return fabsf(shift) < __uint_as_float(TARE_INFINITE) ? shift : 0.0F;
}

__device__ static inline void put_real(const tare_reduction &p, uint64_t place, double value) {
    const float rounded = static_cast<float>(value);
    if (p.out_dtype == TARE_DTYPE_FLOAT16) {
        static_cast<uint16_t *>(p.out)[place] = tare_float_to_half(rounded);
    } else {
        static_cast<float *>(p.out)[place] = rounded;
    }
}

// A family says what a lane holds, where it begins, how it takes in an element (with its number
// behind the output), how two are joined, and what is written.

struct sums {
    typedef double state;
    typedef float element;

    __device__ static state start(const tare_reduction &) {
        return 0.0;
    }

    __device__ static state take(const tare_reduction &p, state sum, float x, uint32_t,
                                 float shift) {
        const double wide = static_cast<double>(x);
        switch (p.kind) {
        case TARE_REDUCE_ABSOLUTE:
            return sum + fabs(wide);
        case TARE_REDUCE_SQUARES:
            return sum + wide * wide;
        case TARE_REDUCE_EXPONENTIALS:
            return sum + static_cast<double>(expf(x - shift));
        default:
            return sum + wide;
        }
    }

    __device__ static state join(const tare_reduction &, state a, state b) {
        return a + b;
    }

    __device__ static void put(const tare_reduction &p, uint64_t place, state sum, float shift) {
        double value = sum;
        if (p.finish == TARE_REDUCE_FINISH_MEAN) {
            value = sum / static_cast<double>(p.reduced.count);
        } else if (p.finish == TARE_REDUCE_FINISH_ROOT) {
            value = sqrt(sum);
        } else if (p.finish == TARE_REDUCE_FINISH_LOG) {
            value = log(sum) + static_cast<double>(shift);
        }
        put_real(p, place, value);
    }
};

struct products {
    typedef double state;
    typedef float element;

    __device__ static state start(const tare_reduction &) {
        return 1.0;
    }

    __device__ static state take(const tare_reduction &, state product, float x, uint32_t, float) {
        return product * static_cast<double>(x);
    }

    __device__ static state join(const tare_reduction &, state a, state b) {
        return a * b;
    }

    __device__ static void put(const tare_reduction &p, uint64_t place, state product, float) {
        put_real(p, place, product);
    }
};

struct extremes {
    typedef float state;
    typedef float element;

    __device__ static state start(const tare_reduction &p) {
        return __uint_as_float(p.kind == TARE_REDUCE_MAX ? TARE_INFINITE | 0x80000000U
                                                         : TARE_INFINITE);
    }

    __device__ static state join(const tare_reduction &p, state a, state b) {
        const bool first = p.kind == TARE_REDUCE_MAX ? a > b : a < b;
        return a != a || first ? a : b;
    }

    __device__ static state take(const tare_reduction &p, state best, float x, uint32_t, float) {
        return join(p, best, x);
    }

    __device__ static void put(const tare_reduction &p, uint64_t place, state best, float) {
        put_real(p, place, static_cast<double>(best));
    }
};

struct place_of_extreme {
    float value;
    uint32_t index; // UINT32_MAX: there is none yet
};

struct arguments {
    typedef place_of_extreme state;
    typedef float element;

    __device__ static state start(const tare_reduction &) {
        return {0.0F, UINT32_MAX};
    }

    // Whether a beats b; of equals and of two NaN the place decides.
    __device__ static bool wins(const tare_reduction &p, state a, state b) {
        const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
        if (a.index == UINT32_MAX || b.index == UINT32_MAX) {
            return b.index == UINT32_MAX;
        }
        if (a_nan != b_nan) {
            return a_nan;
        }
        if (a_nan || a.value == b.value) {
            return p.last ? a.index > b.index : a.index < b.index;
        }
        return p.kind == TARE_REDUCE_ARG_MAX ? a.value > b.value : a.value < b.value;
    }

    __device__ static state join(const tare_reduction &p, state a, state b) {
        const bool first = wins(p, a, b);
        return {first ? a.value : b.value, first ? a.index : b.index};
    }

    __device__ static state take(const tare_reduction &p, state best, float x, uint32_t index,
                                 float) {
        return join(p, best, {x, index});
    }

    __device__ static void put(const tare_reduction &p, uint64_t place, state best, float) {
        static_cast<int64_t *>(p.out)[place] = static_cast<int64_t>(best.index);
    }
};

struct wholes {
    typedef int64_t state;
    typedef int64_t element;

    __device__ static state start(const tare_reduction &p) {
        return p.kind == TARE_REDUCE_PRODUCT ? 1
               : p.kind == TARE_REDUCE_MAX   ? INT64_MIN
               : p.kind == TARE_REDUCE_MIN   ? INT64_MAX
                                             : 0;
    }

    // Unsigned arithmetic wraps.
    __device__ static state join(const tare_reduction &p, state a, state b) {
        const uint64_t x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
        switch (p.kind) {
        case TARE_REDUCE_PRODUCT:
            return static_cast<state>(x * y);
        case TARE_REDUCE_MAX:
            return a > b ? a : b;
        case TARE_REDUCE_MIN:
            return a < b ? a : b;
        default:
            return static_cast<state>(x + y);
        }
    }

    __device__ static state take(const tare_reduction &p, state sum, int64_t x, uint32_t, float) {
        const uint64_t bits = static_cast<uint64_t>(x);
        if (p.kind == TARE_REDUCE_ABSOLUTE && x < 0) {
            return join(p, sum, static_cast<state>(0U - bits));
        }
        return join(p, sum, p.kind == TARE_REDUCE_SQUARES ? static_cast<state>(bits * bits) : x);
    }

    __device__ static void put(const tare_reduction &p, uint64_t place, state sum, float) {
        const bool divide = p.finish == TARE_REDUCE_FINISH_MEAN && p.reduced.count > 0;
        const int64_t value = divide ? sum / static_cast<int64_t>(p.reduced.count) : sum;
        switch (p.out_dtype) {
        case TARE_DTYPE_INT64:
            return tare_stored<int64_t>::store(p.out, place, value);
        case TARE_DTYPE_INT32:
            return tare_stored<int32_t>::store(p.out, place, value);
        default:
            return tare_stored<uint8_t>::store(p.out, place, value);
        }
    }
};

// Whole numbers of any type; one kernel for all, since they are rare.
struct stored_whole {
    __device__ static int64_t load(const tare_reduction &p, int64_t place) {
        const uint64_t at = static_cast<uint64_t>(place);
        switch (p.in_dtype) {
        case TARE_DTYPE_INT64:
            return tare_stored<int64_t>::load<int64_t>(p.in, at);
        case TARE_DTYPE_INT32:
            return tare_stored<int32_t>::load<int64_t>(p.in, at);
        case TARE_DTYPE_INT8:
            return tare_stored<int8_t>::load<int64_t>(p.in, at);
        default:
            return tare_stored<uint8_t>::load<int64_t>(p.in, at);
        }
    }
};

template <typename S> struct stored_real {
    __device__ static float load(const tare_reduction &p, int64_t place) {
        return S::template load<float>(p.in, static_cast<uint64_t>(place));
    }
};

__device__ static inline uint64_t out_place(const tare_reduction &p, uint32_t output) {
    return p.dense ? output : static_cast<uint64_t>(place_of(p.kept, p.kept.out, output));
}

// What one lane makes of its elements [first, end) of an output.
template <typename F, typename L>
__device__ static inline typename F::state walk_lane(const tare_reduction &p, uint32_t output,
                                                     uint32_t first, uint32_t end) {
    const uint32_t lanes = 1U << p.lanes_log2;
    const int64_t base = place_of(p.kept, p.kept.in, output);
    const float shift = shift_of(p, output);
    typename F::state state = F::start(p);
    for (uint32_t r = first; r < end; r += AHEAD * lanes) {
        typename F::element x[AHEAD];
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            const uint32_t at = r + i * lanes;
            x[i] = at < end ? L::load(p, base + place_of(p.reduced, p.reduced.in, at)) : 0;
        }
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            const uint32_t at = r + i * lanes;
            state = at < end ? F::take(p, state, x[i], at, shift) : state;
        }
    }
    return state;
}

template <typename F, typename L>
__global__ static void __launch_bounds__(THREADS, RESIDENT)
    reduce_slices(const __grid_constant__ tare_reduction p) {
    typedef typename F::state state;
    TARE_SHARED(state, states, THREADS);
    const uint32_t lanes = 1U << p.lanes_log2, width = THREADS >> p.lanes_log2;
    const uint32_t lane = p.rows ? threadIdx.x & (lanes - 1) : threadIdx.x / width;
    const uint32_t column = p.rows ? threadIdx.x >> p.lanes_log2 : threadIdx.x & (width - 1);
    const uint32_t items = ((p.kept.count - 1) / width + 1) * p.slices;

    for (uint32_t item = blockIdx.x; item < items; item += gridDim.x) {
        const uint32_t slice = item % p.slices;
        const uint32_t output = item / p.slices * width + column;
        const uint32_t begin = slice * p.slice_elements;
        const uint32_t left = p.reduced.count - begin;
        state mine = F::start(p);
        if (output < p.kept.count) {
            mine = walk_lane<F, L>(p, output, begin + lane,
                                   begin + (left < p.slice_elements ? left : p.slice_elements));
        }
        for (uint32_t half = lanes / 2; half > 0; half /= 2) {
            if (lane >= half && lane < 2 * half) {
                states[lane * width + column] = mine;
            }
            __syncthreads();
            if (lane < half) {
                mine = F::join(p, mine, states[(lane + half) * width + column]);
            }
        }
        if (lane == 0 && output < p.kept.count) {
            if (p.slices > 1) {
                static_cast<state *>(
                    p.partials)[static_cast<uint64_t>(slice) * p.kept.count + output] = mine;
            } else {
                F::put(p, out_place(p, output), mine, shift_of(p, output));
            }
        }
        // The next item writes where this one is still read.
        __syncthreads();
    }
}

template <typename F>
__global__ static void __launch_bounds__(THREADS, RESIDENT)
    join_slices(const __grid_constant__ tare_reduction p) {
    typedef typename F::state state;
    const state *partials = static_cast<const state *>(p.partials);
    const uint32_t stride = gridDim.x * THREADS;
    for (uint32_t output = blockIdx.x * THREADS + threadIdx.x; output < p.kept.count;
         output += stride) {
        state sum = partials[output];
        for (uint32_t slice = 1; slice < p.slices; slice++) {
            sum = F::join(p, sum, partials[static_cast<uint64_t>(slice) * p.kept.count + output]);
        }
        F::put(p, out_place(p, output), sum, shift_of(p, output));
    }
}

template <typename F, typename L>
static tare_status launch(const tare_reduction &p, tare_stream stream, tare_error *err) {
    const uint32_t width = THREADS >> p.lanes_log2;
    unsigned blocks = 0;

    static_assert(sizeof(typename F::state) <= TARE_REDUCE_STATE_BYTES, "partials have no room");
    TARE_TRY(
        tare_grid(&blocks, ((p.kept.count - 1) / width + 1) * p.slices, 0, PER_PROCESSOR, err));
    TARE_LAUNCH((reduce_slices<F, L>), blocks, THREADS, 0, stream, p);
    TARE_TRY(tare_launched("a reduction", err));
    if (p.slices == 1) {
        return TARE_OK;
    }
    TARE_TRY(tare_grid(&blocks, (p.kept.count - 1) / THREADS + 1, 0, PER_PROCESSOR, err));
    TARE_LAUNCH(join_slices<F>, blocks, THREADS, 0, stream, p);
    return tare_launched("the end of a reduction", err);
}

template <typename F>
static tare_status launch_reals(const tare_reduction &p, tare_stream stream, tare_error *err) {
    return p.in_dtype == TARE_DTYPE_FLOAT16
               ? launch<F, stored_real<tare_stored_half>>(p, stream, err)
               : launch<F, stored_real<tare_stored_float>>(p, stream, err);
}

extern "C" tare_status tare_reduce(const tare_reduction *reduction, tare_stream stream,
                                   tare_error *err) {
    const tare_reduction p = *reduction;
    if (p.in_dtype != TARE_DTYPE_FLOAT && p.in_dtype != TARE_DTYPE_FLOAT16) {
        return launch<wholes, stored_whole>(p, stream, err);
    }
    switch (p.kind) {
    case TARE_REDUCE_PRODUCT:
        return launch_reals<products>(p, stream, err);
    case TARE_REDUCE_MAX:
    case TARE_REDUCE_MIN:
        return launch_reals<extremes>(p, stream, err);
    case TARE_REDUCE_ARG_MAX:
    case TARE_REDUCE_ARG_MIN:
        return launch_reals<arguments>(p, stream, err);
    default:
        return launch_reals<sums>(p, stream, err);
    }
}
