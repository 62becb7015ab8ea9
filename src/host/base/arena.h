/* SPDX-License-Identifier: Apache-2.0 */
/** An arena: many small allocations that are released together. Not thread-safe. */
#ifndef TARE_BASE_ARENA_H
#define TARE_BASE_ARENA_H

#include "base/error.h"

struct tare_arena_block;

typedef struct tare_arena {
    struct tare_arena_block *blocks; /**< newest first */
    size_t used_bytes;               /**< sum of what was asked for */
} tare_arena;

/** Makes an empty arena; allocates nothing. An arena of zero bytes (static, = {0}) is also valid.
 */
void tare_arena_init(tare_arena *arena);

/** Releases everything and leaves an empty arena. NULL allowed. */
void tare_arena_release(tare_arena *arena);

/** `bytes` zeroed bytes aligned for any type and to 64 bytes when bytes >= 64, or NULL when memory
 * runs out. bytes == 0 gives a valid pointer. */
void *tare_arena_alloc(tare_arena *arena, size_t bytes);

/** Zeroed array of `count` elements of `size` bytes; NULL also when the product overflows. */
void *tare_arena_array(tare_arena *arena, size_t count, size_t size);

/** Copy of the first `length` bytes of text plus a NUL, or NULL. */
char *tare_arena_strndup(tare_arena *arena, const char *text, size_t length);

/** Copy of a NUL-terminated text, or NULL. */
char *tare_arena_strdup(tare_arena *arena, const char *text);

/** printf into the arena, or NULL. */
TARE_PRINTF(2, 3) char *tare_arena_printf(tare_arena *arena, const char *fmt, ...);

#endif
