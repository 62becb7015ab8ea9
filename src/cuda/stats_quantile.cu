// SPDX-License-Identifier: Apache-2.0
// Elements at given places in the sorted order of each sample, exactly. Patterns that are turned
// into numbers of the same order are found digit by digit: counting the digits of all elements that
// begin like the one sought tells its next digit.
#include "cuda/stats_chunks.cuh"

#define COUNT_THREADS  512U
#define CHOOSE_THREADS (32U * TARE_QUANTILE_RANKS)
#define RANKS          TARE_QUANTILE_RANKS
#define DIGITS         TARE_QUANTILE_DIGITS
// The key of +0, and -0 counts as such.
#define ZERO_KEY       0x80000000U
// The prefix of nothing: those of elements end in zeros.
#define NO_PREFIX      1U

// The bits of keys that a step finds, behind those under the mask.
struct tare_quantile_step {
    uint32_t mask;
    uint32_t shift, digits;
    bool last;
};

namespace {

// Numbers in the order of the values.
__device__ uint32_t key_of(uint32_t bits) {
    return bits ^ ((bits >> 31) != 0 ? 0xffffffffU : 0x80000000U);
}

__device__ uint32_t bits_of(uint32_t key) {
    return key ^ ((key >> 31) != 0 ? 0x80000000U : 0xffffffffU);
}

// The first of the elements sought that begins alike: it counts for all of them.
__device__ unsigned owner_of(const uint32_t *prefixes, unsigned rank) {
    unsigned owner = 0;
    while (prefixes[owner] != prefixes[rank]) {
        owner++;
    }
    return owner;
}

// The counters of a block in shared memory, [RANKS][DIGITS]. In the first step all elements count;
// there they are [DIGITS][RANKS], copies by lane in banks of their own, so that equal digits in a
// warp do not all wait for one: few digits have most elements.
template <bool FIRST> struct digits {
    static constexpr unsigned COPIES = FIRST ? RANKS : 1U, COUNTERS = RANKS * DIGITS / COPIES;
    uint32_t *counts;
    tare_quantile_step step;
    uint32_t prefixes[RANKS];
    uint32_t zeros;

    __device__ uint32_t digit(uint32_t key) const {
        return key >> step.shift & (step.digits - 1U);
    }

    __device__ void add_key(uint32_t key, uint32_t count) const {
        if constexpr (FIRST) {
            atomicAdd(&counts[digit(key) * RANKS + threadIdx.x % RANKS], count);
        } else {
#pragma unroll
            for (unsigned rank = 0; rank < RANKS; rank++) {
                if ((key & step.mask) == prefixes[rank]) {
                    atomicAdd(&counts[rank * DIGITS + digit(key)], count);
                }
            }
        }
    }

    // After a ReLU half of all elements are zero: they do not queue for one counter.
    __device__ void add(float x) {
        const uint32_t bits = __float_as_uint(x);
        if ((bits & TARE_MAGNITUDE) == 0) {
            zeros++;
        } else {
            add_key(key_of(bits), 1U);
        }
    }

    __device__ void begin(const tare_quantile_search *search) {
        zeros = 0;
        if constexpr (!FIRST) {
#pragma unroll
            for (unsigned rank = 0; rank < RANKS; rank++) {
                prefixes[rank] =
                    owner_of(search->prefixes, rank) == rank ? search->prefixes[rank] : NO_PREFIX;
            }
        }
        for (unsigned i = threadIdx.x; i < COUNTERS; i += COUNT_THREADS) {
#pragma unroll
            for (unsigned copy = 0; copy < COPIES; copy++) {
                counts[i * COPIES + copy] = 0;
            }
        }
        __syncthreads();
    }

    // A thread of begin() clears the same counters that it has written out here.
    __device__ void end(unsigned long long *totals) const {
        const uint32_t all_zeros = __reduce_add_sync(0xffffffffU, zeros);
        if (threadIdx.x % 32 == 0 && all_zeros > 0) {
            add_key(ZERO_KEY, all_zeros);
        }
        __syncthreads();
        for (unsigned i = threadIdx.x; i < COUNTERS; i += COUNT_THREADS) {
            unsigned long long sum = 0;
#pragma unroll
            for (unsigned copy = 0; copy < COPIES; copy++) {
                sum += counts[i * COPIES + copy];
            }
            if (sum > 0) {
                atomicAdd(&totals[i], sum);
            }
        }
    }
};

template <bool FIRST>
__device__ void count_samples(const tare_quantile_launch &launch, const tare_quantile_step &step,
                              uint32_t *counts) {
    const uint64_t bytes = launch.dtype == TARE_DTYPE_FLOAT ? 4 : 2;
    const uint64_t chunks = (launch.elements + TARE_STATS_CHUNK - 1) / TARE_STATS_CHUNK;
    tare_chunk_range own = tare_own_chunks(0, launch.samples * chunks);
    digits<FIRST> counter;

    counter.counts = counts;
    counter.step = step;
    while (own.next < own.end) {
        const uint64_t sample = own.next / chunks;
        const uint64_t next = (sample + 1) * chunks;
        uint64_t stop = next < own.end ? next : own.end;
        stop = stop - own.next > CHUNKS_PER_FLUSH ? own.next + CHUNKS_PER_FLUSH : stop;
        const tare_elements all = {static_cast<const unsigned char *>(launch.data) +
                                       sample * launch.elements * bytes,
                                   launch.elements, launch.dtype};
        counter.begin(launch.searches + sample);
        for (; own.next < stop; own.next++) {
            tare_add_chunk<COUNT_THREADS>(counter, all, own.next - sample * chunks);
        }
        counter.end(reinterpret_cast<unsigned long long *>(launch.counts) +
                    sample * TARE_QUANTILE_COUNTS);
    }
}

// Where an element lies by its digit.
struct choice {
    uint32_t digit;
    uint64_t rank; // among those with that digit
    bool mine;     // this lane has found it
};

// A warp finds the digit of the element with that rank. Each lane has neighbouring digits.
__device__ choice choose(const uint64_t *counts, uint64_t rank, uint32_t digits) {
    const unsigned lane = threadIdx.x % 32, each = digits / 32;
    const uint64_t *own = counts + lane * each;
    unsigned long long sum = 0;
#pragma unroll 8
    for (unsigned i = 0; i < each; i++) {
        sum += own[i];
    }
    unsigned long long end = sum; // of the lanes up to this one
#pragma unroll
    for (unsigned step = 1; step < 32; step *= 2) {
        const unsigned long long before =
            __shfl_sync(0xffffffffU, end, static_cast<int>(lane >= step ? lane - step : lane));
        end += lane >= step ? before : 0;
    }
    choice found = {0, rank - (end - sum), rank >= end - sum && rank < end};
    for (; found.mine && found.rank >= own[found.digit]; found.digit++) {
        found.rank -= own[found.digit];
    }
    found.digit += lane * each;
    return found;
}

} // namespace

extern "C" __global__ void __launch_bounds__(COUNT_THREADS, 2)
    tare_quantile_count_first(const tare_quantile_launch launch, const tare_quantile_step step) {
    TARE_SHARED(uint32_t, counts, RANKS * DIGITS);
    count_samples<true>(launch, step, counts);
}

extern "C" __global__ void __launch_bounds__(COUNT_THREADS, 2)
    tare_quantile_count(const tare_quantile_launch launch, const tare_quantile_step step) {
    TARE_SHARED(uint32_t, counts, RANKS * DIGITS);
    count_samples<false>(launch, step, counts);
}

// Each sample has a block, each rank a warp. Leaves the sample's counters at 0.
extern "C" __global__ void __launch_bounds__(CHOOSE_THREADS)
    tare_quantile_choose(const tare_quantile_launch launch, const tare_quantile_step step) {
    const unsigned rank = threadIdx.x / 32;
    for (uint64_t sample = blockIdx.x; sample < launch.samples; sample += gridDim.x) {
        tare_quantile_search &search = launch.searches[sample];
        uint64_t *counts = launch.counts + sample * TARE_QUANTILE_COUNTS;
        const bool first = step.mask == 0;
        const unsigned owner = first ? 0 : owner_of(search.prefixes, rank);
        const uint32_t prefix = first ? 0 : search.prefixes[rank];
        uint64_t place = first ? launch.ranks[0] : search.ranks[rank];
#pragma unroll
        for (unsigned i = 1; i < RANKS; i++) { // an index known late would cost local memory
            place = first && rank == i ? launch.ranks[i] : place;
        }
        const choice found = choose(counts + owner * DIGITS, place, step.digits);
        const uint32_t key = prefix | found.digit << step.shift;

        __syncthreads();
        if (found.mine) {
            search.ranks[rank] = found.rank;
            search.prefixes[rank] = key;
        }
        if (found.mine && step.last) {
            // Narrow types end in zeros, which the steps left out.
            const uint32_t bits = bits_of(key) >> step.shift << step.shift;
            float *out = rank < 2 ? launch.pairs[sample].low : launch.pairs[sample].high;
            out[rank % 2] = __uint_as_float(bits);
        }
        for (unsigned i = threadIdx.x % 32; i < DIGITS && rank == owner; i += 32) {
            counts[owner * DIGITS + i] = 0;
        }
    }
}

static tare_status run_step(const tare_quantile_launch *launch, const tare_quantile_step &step,
                            tare_stream stream, tare_error *err) {
    const uint64_t chunks = (launch->elements + TARE_STATS_CHUNK - 1) / TARE_STATS_CHUNK;
    unsigned blocks = 0;

    TARE_TRY(tare_grid(&blocks, launch->samples * chunks, launch->max_blocks, 2, err));
    if (step.mask == 0) {
        TARE_LAUNCH(tare_quantile_count_first, blocks, COUNT_THREADS, 0, stream, *launch, step);
    } else {
        TARE_LAUNCH(tare_quantile_count, blocks, COUNT_THREADS, 0, stream, *launch, step);
    }
    TARE_TRY(tare_launched("tare_quantile_count", err));
    TARE_TRY(tare_grid(&blocks, launch->samples, launch->max_blocks, 8, err));
    TARE_LAUNCH(tare_quantile_choose, blocks, CHOOSE_THREADS, 0, stream, *launch, step);
    return tare_launched("tare_quantile_choose", err);
}

extern "C" tare_status tare_quantiles(const tare_quantile_launch *launch, tare_stream stream,
                                      tare_error *err) {
    // float16 and bfloat16 have at most 19 bits that tell them apart, counted from the sign.
    const bool narrow = launch->dtype != TARE_DTYPE_FLOAT;
    const tare_quantile_step steps[] = {
        {0, 21, 2048, false}, {0xffe00000U, 10, 2048, narrow}, {0xfffffc00U, 0, 1024, true}};

    if (launch->samples == 0 || launch->elements == 0) {
        return TARE_OK;
    }
    TARE_TRY(tare_check_data(launch->data, launch->dtype, err));
    for (int i = 0; i < (narrow ? 2 : 3); i++) {
        TARE_TRY(run_step(launch, steps[i], stream, err));
    }
    return TARE_OK;
}
