/* SPDX-License-Identifier: Apache-2.0 */
/** A hash map from text to pointer: open addressing, linear probing, tombstones. */
#include "base/map.h"

#include <string.h>

typedef struct tare_map_slot {
    const char *key; /* NULL: never used */
    void *value;     /* NULL with a key: removed */
    uint64_t hash;
} tare_map_slot;

/* FNV-1a, finished with a mix so that the low bits are good enough for a power-of-two table. */
static uint64_t hash_text(const char *text) {
    uint64_t h = UINT64_C(14695981039346656037);
    for (; *text != '\0'; text++) {
        h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
    }
    return h ^ (h >> 29);
}

void tare_map_init(tare_map *map, tare_arena *arena) {
    *map = (tare_map){.arena = arena};
}

static tare_map_slot *find(const tare_map *map, const char *key, uint64_t hash) {
    size_t i;
    if (map->capacity == 0) {
        return NULL;
    }
    for (i = (size_t)hash & (map->capacity - 1);; i = (i + 1) & (map->capacity - 1)) {
        tare_map_slot *slot = &map->slots[i];
        if (slot->key == NULL || (slot->hash == hash && strcmp(slot->key, key) == 0)) {
            return slot;
        }
    }
}

void *tare_map_get(const tare_map *map, const char *key) {
    const tare_map_slot *slot = find(map, key, hash_text(key));
    return slot == NULL || slot->key == NULL ? NULL : slot->value;
}

static bool grow(tare_map *map) {
    tare_map next = {.arena = map->arena, .capacity = map->capacity == 0 ? 64 : map->capacity * 2};
    next.slots = tare_arena_array(map->arena, next.capacity, sizeof *next.slots);
    if (next.slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        const tare_map_slot *slot = &map->slots[i];
        if (slot->key != NULL && slot->value != NULL) {
            *find(&next, slot->key, slot->hash) = *slot;
            next.count++;
        }
    }
    *map = next;
    return true;
}

bool tare_map_set(tare_map *map, const char *key, void *value) {
    const uint64_t hash = hash_text(key);
    tare_map_slot *slot;
    if ((map->count + 1) * 2 > map->capacity && !grow(map)) {
        return false;
    }
    slot = find(map, key, hash);
    if (slot->key == NULL) {
        map->count++;
    }
    *slot = (tare_map_slot){.key = key, .value = value, .hash = hash};
    return true;
}

void tare_map_remove(tare_map *map, const char *key) {
    tare_map_slot *slot = find(map, key, hash_text(key));
    if (slot != NULL && slot->key != NULL) {
        slot->value = NULL;
    }
}
