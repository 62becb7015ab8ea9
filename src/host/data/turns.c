/* SPDX-License-Identifier: Apache-2.0 */
/** Memory in common, by turns. */
#include "data/turns.h"

static size_t at_most(size_t bytes, size_t limit) {
    return bytes < limit ? bytes : limit;
}

/* The place of a position in the list; waiting_count when it is not there. */
static size_t place_of(const tare_turns *turns, size_t position) {
    size_t place = 0;
    while (place < turns->waiting_count && turns->waiting[place] != position) {
        place++;
    }
    return place;
}

static bool is_first(const tare_turns *turns, size_t position) {
    for (size_t i = 0; i < turns->waiting_count; i++) {
        if (turns->waiting[i] < position) {
            return false;
        }
    }
    return true;
}

bool tare_turns_take(tare_turns *turns, size_t position, size_t bytes) {
    const size_t place = place_of(turns, position), wanted = at_most(bytes, turns->limit);
    const bool waits = place < turns->waiting_count;

    if (wanted > turns->limit - turns->held || !is_first(turns, position)) {
        if (!waits) {
            turns->waiting[turns->waiting_count++] = position;
        }
        return false;
    }
    if (waits) {
        turns->waiting[place] = turns->waiting[--turns->waiting_count];
    }
    turns->held += wanted;
    return true;
}

void tare_turns_give(tare_turns *turns, size_t bytes) {
    turns->held -= at_most(bytes, turns->limit);
}
