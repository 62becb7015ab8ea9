/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Quantiles of one sample: order statistics near both ends, exactly.
 *
 * A few elements tell about where they must lie; one pass over all of them then keeps what lies
 * beyond and counts what lies exactly there, which settles samples of which half is zero. Only when
 * that guess was wrong, or too many elements lie beyond, patterns are counted in three passes.
 */
#include <string.h>

#include "cpu/statistics.h"

#define SIGN      0x80000000U
/* A guess is made from one in so many elements, within bounds; so many of them at least are to lie
 * beyond. */
#define GUESS_OF  256
#define GUESS_MIN 1024
#define GUESS_MAX 4096
#define MARGIN    6
/* Samples up to here are kept whole. */
#define SMALL     4096
/* Digits of a pattern, upper ones first. */
#define DIGIT_MAX 2048

_Static_assert(SMALL <= TARE_QUANTILE_SCRATCH && GUESS_MAX <= SMALL, "they are kept whole");

/* One sample, its signs taken off or not. */
typedef struct sample {
    const float *data;
    size_t count;
    uint32_t mask;
    float *scratch;
} sample;

/* Puts the element of this index in sorted order there, those before it not above it and those
 * behind it not below it (Hoare's selection, with the middle one of three as pivot). */
static float select_index(float *values, size_t count, size_t index) {
    size_t low = 0, high = count - 1;
    while (low < high) {
        const float a = values[low], b = values[low + (high - low) / 2], c = values[high];
        const float pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
        size_t i = low, k = high;
        for (;;) {
            while (values[i] < pivot) {
                i++;
            }
            while (values[k] > pivot) {
                k--;
            }
            if (i >= k) {
                break;
            }
            const float moved = values[i];
            values[i++] = values[k];
            values[k--] = moved;
        }
        /* values[low..k] <= pivot <= values[k+1..high], or with k one less when both met. */
        if (index <= k) {
            high = k;
        } else {
            low = k + 1;
        }
    }
    return values[index];
}

static void select_pair(float pair[2], float *values, size_t count,
                        const tare_quantile_place *place) {
    pair[0] = pair[1] = select_index(values, count, (size_t)place->index);
    for (size_t i = (size_t)place->next; i < count && place->next > place->index; i++) {
        pair[1] = i == place->next || values[i] < pair[1] ? values[i] : pair[1];
    }
}

static uint32_t masked(const sample *s, size_t index) {
    uint32_t bits;
    memcpy(&bits, &s->data[index], sizeof bits);
    bits &= s->mask;
    return bits == SIGN ? 0 : bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- by counting patterns ---- */

/* Patterns as numbers in the order of their values. */
static uint32_t key_of(uint32_t bits) {
    return (bits & SIGN) != 0 ? ~bits : bits | SIGN;
}

static float value_of(uint32_t key) {
    return float_of((key & SIGN) != 0 ? key & ~SIGN : ~key);
}

/* The key of the element of this index in sorted order, and how many are no larger. */
static uint32_t count_index(size_t *through, const sample *s, size_t index) {
    static const unsigned shifts[3] = {21, 10, 0}, digits[3] = {11, 11, 10};
    uint32_t found = 0, known = 0;
    size_t before = 0;
    for (size_t pass = 0; pass < 3; pass++) {
        const uint32_t last = (1U << digits[pass]) - 1;
        size_t counts[DIGIT_MAX] = {0};
        uint32_t digit = 0;
        for (size_t i = 0; i < s->count; i++) {
            const uint32_t key = key_of(masked(s, i));
            if ((key & known) == found) {
                counts[key >> shifts[pass] & last]++;
            }
        }
        while (digit < last && before + counts[digit] <= index) {
            before += counts[digit++];
        }
        found |= digit << shifts[pass];
        known |= last << shifts[pass];
        *through = before + counts[digit];
    }
    return found;
}

static void count_pair(float pair[2], const sample *s, const tare_quantile_place *place) {
    size_t through = 0;
    const uint32_t key = count_index(&through, s, (size_t)place->index);
    uint32_t next = UINT32_MAX;
    pair[0] = pair[1] = value_of(key);
    if (place->next >= through) {
        for (size_t i = 0; i < s->count; i++) {
            const uint32_t other = key_of(masked(s, i));
            next = other > key && other < next ? other : next;
        }
        pair[1] = value_of(next);
    }
}

/* ---- by a guess ---- */

/* Bounds that about twice as many elements lie beyond as are needed. */
static void guess_bounds(tare_tails *out, const sample *s, const tare_quantile_place places[2]) {
    const size_t wanted = s->count / GUESS_OF;
    const size_t most = wanted < GUESS_MAX ? wanted : GUESS_MAX;
    const size_t guess = most > GUESS_MIN ? most : GUESS_MIN;
    const double low = (double)places[0].next / (double)s->count;
    const double high = (double)(s->count - 1 - places[1].index) / (double)s->count;
    const size_t first = (size_t)(2.0 * low * (double)guess) + MARGIN;
    const size_t last = (size_t)(2.0 * high * (double)guess) + MARGIN;
    for (size_t i = 0; i < guess; i++) {
        /* Multiples of the golden ratio: even steps would meet the same few channels. */
        const uint64_t place = (uint32_t)(i * 2654435769U);
        s->scratch[i] = float_of(masked(s, (size_t)(place * s->count >> 32)));
    }
    out->low = select_index(s->scratch, guess, first < guess / 2 ? first : guess / 2);
    out->high = select_index(s->scratch, guess, last < guess / 2 ? guess - 1 - last : guess / 2);
}

/* The element `at` positions from the lower end, if that is known: `below` of the kept ones are
 * below the bound. */
static bool find_low(float *out, const tare_tails *tails, size_t below, size_t at) {
    if (at < below) {
        *out = select_index(tails->kept, below, at);
        return true;
    }
    *out = tails->low;
    return at < below + (size_t)tails->at_low;
}

/* The same from the upper end: those above the bound stand behind the others. */
static bool find_high(float *out, const tare_tails *tails, size_t below, size_t at) {
    const size_t above = (size_t)tails->count - below;
    if (at < above) {
        *out = select_index(tails->kept + below, above, above - 1 - at);
        return true;
    }
    *out = tails->high;
    return at < above + (size_t)tails->at_high;
}

static bool find_by_guess(tare_quantile_pairs *out, const sample *s,
                          const tare_quantile_place places[2]) {
    tare_tails tails = {.mask = s->mask, .kept = s->scratch, .room = TARE_QUANTILE_SCRATCH};
    const size_t last = s->count - 1;
    size_t below = 0;

    guess_bounds(&tails, s, places);
    tare_vector_best()->gather_tails(&tails, s->data, (int64_t)s->count);
    if (tails.count > tails.room) {
        return false;
    }
    for (size_t i = 0; i < (size_t)tails.count; i++) {
        if (tails.kept[i] < tails.low) {
            const float moved = tails.kept[below];
            tails.kept[below++] = tails.kept[i];
            tails.kept[i] = moved;
        }
    }
    return find_low(&out->low[0], &tails, below, (size_t)places[0].index) &&
           find_low(&out->low[1], &tails, below, (size_t)places[0].next) &&
           find_high(&out->high[0], &tails, below, last - (size_t)places[1].index) &&
           find_high(&out->high[1], &tails, below, last - (size_t)places[1].next);
}

static void find_pairs(tare_quantile_pairs *out, const sample *s, double p) {
    const tare_quantile_place places[2] = {tare_quantile_find(p, s->count),
                                           tare_quantile_find(1.0 - p, s->count)};
    if (s->count <= SMALL) {
        for (size_t i = 0; i < s->count; i++) {
            s->scratch[i] = float_of(masked(s, i));
        }
        select_pair(out->low, s->scratch, s->count, &places[0]);
        select_pair(out->high, s->scratch, s->count, &places[1]);
    } else if (!find_by_guess(out, s, places)) {
        count_pair(out->low, s, &places[0]);
        count_pair(out->high, s, &places[1]);
    }
    for (size_t i = 0; i < 2; i++) {
        out->low[i] += 0.0F;
        out->high[i] += 0.0F;
    }
}

void tare_cpu_sample_numbers(const tare_reduce_request *request, size_t count) {
    sample s = {.data = request->data, .count = count, .scratch = request->quantile_scratch};
    if (request->quantiles != NULL) {
        s.mask = UINT32_MAX;
        find_pairs(request->quantiles, &s, request->quantile);
    }
    if (request->magnitudes != NULL) {
        s.mask = ~SIGN;
        find_pairs(request->magnitudes, &s, request->quantile);
    }
    if (request->mean != NULL) {
        const double sum = tare_vector_best()->sum(request->data, (int64_t)count);
        *request->mean = (float)(sum / (double)count) + 0.0F;
    }
}
