/* SPDX-License-Identifier: Apache-2.0 */
/** Strided copies. */
#include "cpu/copy.h"

#include <string.h>

#include "cpu/vector.h"

/* Contiguous rows shorter than this cost more to visit than to copy: their loop is the inner one.
 */
#define SHORT_ROW 48

void tare_copy_finish(tare_copy *copy) {
    const tare_movement *m = &copy->movement;
    const int last = m->rank - 1;

    copy->across = -1;
    for (int i = 0; i < last; i++) {
        if (m->src[i] == 1 && m->src[last] != 1 && m->dst[last] == 1) {
            copy->across = i;
        }
    }
    copy->by_rows =
        m->rank > 1 && m->dst[last] == 1 && m->src[last] == 1 && m->dims[last] < SHORT_ROW;
}

void tare_copy_between(tare_copy *copy, const tare_desc *dst, const tare_desc *src) {
    copy->element_bytes = tare_dtype_bytes(dst->dtype);
    tare_movement_reorder(&copy->movement, dst, src);
    tare_copy_finish(copy);
}

/* Rows of single elements with any strides. */
#define ROW(type)                                                                                  \
    static void row_##type(type *dst, const type *src, int64_t count, int64_t dst_stride,          \
                           int64_t src_stride) {                                                   \
        for (int64_t i = 0; i < count; i++) {                                                      \
            dst[i * dst_stride] = src[i * src_stride];                                             \
        }                                                                                          \
    }                                                                                              \
    static void fill_##type(type *dst, type value, int64_t count) {                                \
        for (int64_t i = 0; i < count; i++) {                                                      \
            dst[i] = value;                                                                        \
        }                                                                                          \
    }                                                                                              \
    static void across_##type(type *dst, const type *src, const int64_t dims[2],                   \
                              const int64_t strides[2]) {                                          \
        for (int64_t i0 = 0; i0 < dims[0]; i0 += 16) {                                             \
            const int64_t i1 = i0 + 16 < dims[0] ? i0 + 16 : dims[0];                              \
            for (int64_t j0 = 0; j0 < dims[1]; j0 += 16) {                                         \
                const int64_t j1 = j0 + 16 < dims[1] ? j0 + 16 : dims[1];                          \
                for (int64_t i = i0; i < i1; i++) {                                                \
                    for (int64_t j = j0; j < j1; j++) {                                            \
                        dst[i * strides[0] + j] = src[j * strides[1] + i];                         \
                    }                                                                              \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void rows_##type(const tare_copy *copy, type *dst, const type *src) {                   \
        const int last = copy->movement.rank - 1;                                                  \
        const int64_t n = copy->movement.dims[last];                                               \
        for (int64_t r = 0; r < copy->movement.dims[last - 1]; r++) {                              \
            const type *from = src + r * copy->movement.src[last - 1];                             \
            type *to = dst + r * copy->movement.dst[last - 1];                                     \
            for (int64_t i = 0; i < n; i++) {                                                      \
                to[i] = from[i];                                                                   \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void inner_##type(const tare_copy *copy, type *dst, const type *src) {                  \
        const int last = copy->movement.rank - 1;                                                  \
        const int64_t n = copy->movement.dims[last], ds = copy->movement.dst[last],                \
                      ss = copy->movement.src[last];                                               \
        if (copy->across >= 0) {                                                                   \
            const int64_t dims[2] = {copy->movement.dims[copy->across], n};                        \
            const int64_t strides[2] = {copy->movement.dst[copy->across], ss};                     \
            across_##type(dst, src, dims, strides);                                                \
        } else if (copy->by_rows) {                                                                \
            rows_##type(copy, dst, src);                                                           \
        } else if (ds == 1 && ss == 1) {                                                           \
            memcpy(dst, src, (size_t)n * sizeof *dst);                                             \
        } else if (ds == 1 && ss == 0) {                                                           \
            fill_##type(dst, src[0], n);                                                           \
        } else {                                                                                   \
            row_##type(dst, src, n, ds, ss);                                                       \
        }                                                                                          \
    }

ROW(uint8_t)
ROW(uint16_t)
ROW(uint32_t)
ROW(uint64_t)

static void inner(const tare_copy *copy, unsigned char *dst, const unsigned char *src) {
    switch (copy->element_bytes) {
    case 1:
        inner_uint8_t(copy, dst, src);
        break;
    case 2:
        inner_uint16_t(copy, (uint16_t *)(void *)dst, (const uint16_t *)(const void *)src);
        break;
    case 4:
        if (copy->across >= 0) {
            const int last = copy->movement.rank - 1;
            const int64_t dims[2] = {copy->movement.dims[last], copy->movement.dims[copy->across]};
            const int64_t strides[2] = {copy->movement.dst[copy->across], copy->movement.src[last]};
            tare_vector_best()->transpose((uint32_t *)(void *)dst,
                                          (const uint32_t *)(const void *)src, dims, strides);
        } else {
            inner_uint32_t(copy, (uint32_t *)(void *)dst, (const uint32_t *)(const void *)src);
        }
        break;
    default:
        inner_uint64_t(copy, (uint64_t *)(void *)dst, (const uint64_t *)(const void *)src);
        break;
    }
}

void tare_copy_run(const tare_copy *copy, void *dst, const void *src) {
    const int64_t bytes = (int64_t)copy->element_bytes;
    unsigned char *to = (unsigned char *)dst + copy->movement.dst_offset * bytes;
    const unsigned char *from = (const unsigned char *)src + copy->movement.src_offset * bytes;
    int64_t index[TARE_MOVEMENT_RANK] = {0};
    int axis = 0;

    if (copy->movement.empty) {
        return;
    }
    while (axis >= 0) {
        inner(copy, to, from);
        for (axis = copy->movement.rank - (copy->by_rows ? 3 : 2); axis >= 0; axis--) {
            if (axis == copy->across) {
                continue;
            }
            to += copy->movement.dst[axis] * bytes;
            from += copy->movement.src[axis] * bytes;
            if (++index[axis] < copy->movement.dims[axis]) {
                break;
            }
            to -= copy->movement.dst[axis] * copy->movement.dims[axis] * bytes;
            from -= copy->movement.src[axis] * copy->movement.dims[axis] * bytes;
            index[axis] = 0;
        }
    }
}
