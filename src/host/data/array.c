/* SPDX-License-Identifier: Apache-2.0 */
/** Element types, growing buffers, samples and the hash behind sample ids. */
#include "data/array.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* From here on memory is the system's own, not the allocator's: that one keeps what is freed, for
 * each thread apart, so that the peak would grow with the number of images that happened to be
 * decoded at a time. */
#define LARGE ((size_t)1 << 17)

typedef struct element_row {
    const char *name;
    size_t bytes;
} element_row;

static const element_row elements[] = {
    [0] = {"undefined", 0},          [TARE_FLOAT32] = {"float32", 4}, [TARE_UINT8] = {"uint8", 1},
    [TARE_INT8] = {"int8", 1},       [TARE_UINT16] = {"uint16", 2},   [TARE_INT16] = {"int16", 2},
    [TARE_INT32] = {"int32", 4},     [TARE_INT64] = {"int64", 8},     [TARE_BOOL] = {"bool", 1},
    [TARE_FLOAT16] = {"float16", 2}, [TARE_FLOAT64] = {"float64", 8}, [TARE_UINT32] = {"uint32", 4},
    [TARE_UINT64] = {"uint64", 8},
};

static const element_row *element_find(tare_element element) {
    const size_t number = (size_t)element;

    if (number >= sizeof elements / sizeof elements[0] || elements[number].name == NULL) {
        return &elements[0];
    }
    return &elements[number];
}

size_t tare_element_bytes(tare_element element) {
    return element_find(element)->bytes;
}

const char *tare_element_name(tare_element element) {
    return element_find(element)->name;
}

tare_status tare_memory_reserve(tare_memory *buffer, size_t bytes, const char *what,
                                tare_error *err) {
    void *data;

    if (bytes <= buffer->capacity && buffer->data != NULL) {
        return TARE_OK;
    }
    /* The old content is not wanted, so freeing first halves the peak that realloc() could reach.
     */
    tare_memory_release(buffer);
    if (bytes >= LARGE) {
        data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        data = data == MAP_FAILED ? NULL : data;
    } else {
        data = malloc(bytes == 0 ? 1 : bytes);
    }
    if (data == NULL) {
        return tare_fail_memory(err, bytes, what);
    }
    buffer->data = data;
    buffer->capacity = bytes;
    return TARE_OK;
}

void tare_memory_release(tare_memory *buffer) {
    if (buffer != NULL && buffer->capacity >= LARGE) {
        (void)munmap(buffer->data, buffer->capacity);
    } else if (buffer != NULL) {
        free(buffer->data);
    }
    if (buffer != NULL) {
        *buffer = (tare_memory){0};
    }
}

tare_status tare_array_measure(size_t *bytes, tare_element element, size_t rank, const size_t *dims,
                               tare_error *err) {
    size_t total = tare_element_bytes(element);

    if (total == 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "element type %d is not known", (int)element);
    }
    if (rank > TARE_ARRAY_MAX_RANK) {
        return tare_fail(err, TARE_UNSUPPORTED, "an array of rank %zu, at most %d is supported",
                         rank, TARE_ARRAY_MAX_RANK);
    }
    for (size_t i = 0; i < rank; i++) {
        if (dims[i] != 0 && total > SIZE_MAX / dims[i]) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "the shape does not fit into memory: dimension %zu is %zu", i,
                             dims[i]);
        }
        total *= dims[i];
    }
    *bytes = total;
    return TARE_OK;
}

tare_status tare_sample_shape(tare_sample *sample, size_t index, const tare_array *shape,
                              tare_error *err) {
    tare_array *input;

    if (index >= TARE_SAMPLE_MAX_INPUTS) {
        return tare_fail(err, TARE_UNSUPPORTED, "input number %zu, at most %d are supported",
                         index + 1, TARE_SAMPLE_MAX_INPUTS);
    }
    input = &sample->inputs[index];
    *input = *shape;
    input->data = NULL;
    TARE_TRY(tare_array_measure(&input->bytes, shape->element, shape->rank, shape->dims, err));
    TARE_TRY(tare_memory_reserve(&sample->storage[index], input->bytes, "a sample", err));
    input->data = sample->storage[index].data;
    return TARE_OK;
}

void tare_sample_release(tare_sample *sample) {
    if (sample != NULL) {
        for (size_t i = 0; i < TARE_SAMPLE_MAX_INPUTS; i++) {
            tare_memory_release(&sample->storage[i]);
        }
        *sample = (tare_sample){0};
    }
}
