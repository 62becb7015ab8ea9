/* SPDX-License-Identifier: Apache-2.0 */
/**
 * An amount of memory that several threads have in common. Who comes first by position is served
 * first, so that a large demand is not passed over for ever by small ones. The caller holds a lock
 * around every call, and lets those who wait try again whenever something was taken or given.
 */
#ifndef TARE_DATA_TURNS_H
#define TARE_DATA_TURNS_H

#include <stdbool.h>
#include <stddef.h>

#define TARE_TURNS_MAX 256

/** All zero is a valid start, with nothing to share. */
typedef struct tare_turns {
    size_t limit;                   /**< bytes */
    size_t held;                    /**< of them */
    size_t waiting[TARE_TURNS_MAX]; /**< positions, in any order */
    size_t waiting_count;
} tare_turns;

/**
 * Takes bytes for a position. False, and the position waits, when they are not there or an earlier
 * position waits. More than the limit is taken as the limit, so that everybody's turn comes.
 * At most TARE_TURNS_MAX positions may wait.
 */
bool tare_turns_take(tare_turns *turns, size_t position, size_t bytes);

/** Gives back what was taken: the same number of bytes. */
void tare_turns_give(tare_turns *turns, size_t bytes);

#endif
