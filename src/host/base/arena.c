/* SPDX-License-Identifier: Apache-2.0 */
/** An arena: many small allocations that are released together. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BLOCK_BYTES   ((size_t)16 * 1024)
#define LARGEST_BLOCK_BYTES ((size_t)1024 * 1024)
#define BLOCK_ALIGNMENT     ((size_t)64)

typedef struct tare_arena_block {
    struct tare_arena_block *next;
    size_t capacity, used; /* counted from the start of the block, header included */
} tare_arena_block;

void tare_arena_init(tare_arena *arena) {
    arena->blocks = NULL;
    arena->used_bytes = 0;
}

void tare_arena_release(tare_arena *arena) {
    if (arena == NULL) {
        return;
    }
    while (arena->blocks != NULL) {
        tare_arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    arena->used_bytes = 0;
}

static tare_arena_block *add_block(tare_arena *arena, size_t payload) {
    const size_t header = (sizeof(tare_arena_block) + BLOCK_ALIGNMENT - 1) & ~(BLOCK_ALIGNMENT - 1);
    size_t capacity = arena->blocks == NULL ? FIRST_BLOCK_BYTES : arena->blocks->capacity * 2;
    tare_arena_block *block;

    if (capacity > LARGEST_BLOCK_BYTES) {
        capacity = LARGEST_BLOCK_BYTES;
    }
    if (payload > SIZE_MAX - header - BLOCK_ALIGNMENT) {
        return NULL;
    }
    if (capacity < payload + header) {
        capacity = payload + header;
    }
    capacity = (capacity + BLOCK_ALIGNMENT - 1) & ~(BLOCK_ALIGNMENT - 1);
    block = aligned_alloc(BLOCK_ALIGNMENT, capacity);
    if (block == NULL) {
        return NULL;
    }
    block->capacity = capacity;
    block->used = header;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *tare_arena_alloc(tare_arena *arena, size_t bytes) {
    const size_t alignment = bytes >= BLOCK_ALIGNMENT ? BLOCK_ALIGNMENT : 16;
    tare_arena_block *block = arena->blocks;
    size_t at = 0;

    if (block != NULL) {
        at = (block->used + alignment - 1) & ~(alignment - 1);
    }
    if (block == NULL || at > block->capacity || bytes > block->capacity - at) {
        block = add_block(arena, bytes);
        if (block == NULL) {
            return NULL;
        }
        at = block->used;
    }
    block->used = at + bytes;
    arena->used_bytes += bytes;
    return memset((char *)block + at, 0, bytes);
}

void *tare_arena_array(tare_arena *arena, size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    return tare_arena_alloc(arena, count * size);
}

char *tare_arena_strndup(tare_arena *arena, const char *text, size_t length) {
    char *copy = length == SIZE_MAX ? NULL : tare_arena_alloc(arena, length + 1);
    if (copy != NULL && length > 0) {
        memcpy(copy, text, length);
    }
    return copy;
}

char *tare_arena_strdup(tare_arena *arena, const char *text) {
    return tare_arena_strndup(arena, text, strlen(text));
}

char *tare_arena_printf(tare_arena *arena, const char *fmt, ...) {
    va_list args;
    int length;
    char *text;

    va_start(args, fmt);
    length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (length < 0) {
        return NULL;
    }
    text = tare_arena_alloc(arena, (size_t)length + 1);
    if (text != NULL) {
        va_start(args, fmt);
        (void)vsnprintf(text, (size_t)length + 1, fmt, args);
        va_end(args);
    }
    return text;
}
