/* SPDX-License-Identifier: Apache-2.0 */
/** A hash map from text to pointer. Keys are borrowed and must outlive the map; memory comes from
 * an arena. */
#ifndef TARE_BASE_MAP_H
#define TARE_BASE_MAP_H

#include "base/arena.h"

struct tare_map_slot;

typedef struct tare_map {
    tare_arena *arena;
    struct tare_map_slot *slots;
    size_t count, capacity; /**< capacity is zero or a power of two */
} tare_map;

/** Makes an empty map whose table grows in `arena` (old tables stay there until the arena is
 * released). */
void tare_map_init(tare_map *map, tare_arena *arena);

/** The value of `key`, or NULL. */
void *tare_map_get(const tare_map *map, const char *key);

/** Sets `key` to `value` (not NULL), replacing an earlier value. False when memory runs out. */
TARE_MUST_CHECK bool tare_map_set(tare_map *map, const char *key, void *value);

/** Removes `key` if it is there. */
void tare_map_remove(tare_map *map, const char *key);

#endif
