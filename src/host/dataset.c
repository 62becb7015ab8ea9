/* SPDX-License-Identifier: Apache-2.0 */
/** Public API: datasets and array files. */
#include "dataset.h"

#include <stdlib.h>
#include <string.h>

#include "data/npy.h"

static const tare_source *const path_sources[] = {&tare_source_npy, &tare_source_npz,
                                                  &tare_source_folder};
static const tare_source *const function_sources[] = {&tare_source_function};

tare_source_list tare_dataset_kinds(const tare_dataset *dataset) {
    if (dataset->path == NULL) {
        return (tare_source_list){function_sources,
                                  sizeof function_sources / sizeof function_sources[0]};
    }
    return (tare_source_list){path_sources, sizeof path_sources / sizeof path_sources[0]};
}

/* Opens the data once without a model, so that what is wrong with them is said right away. */
static tare_status count_samples(tare_dataset *dataset, tare_error *err) {
    tare_preprocess complete = dataset->preprocess;
    const tare_source_list kinds = tare_dataset_kinds(dataset);
    tare_source_options options = {.path = dataset->path, .function = &dataset->function};
    tare_samples *samples = NULL;

    if (dataset->has_preprocess) {
        TARE_TRY(tare_preprocess_complete(&complete, 0, 0, 0, TARE_PIXEL_LAYOUT_UNSET, err));
        options.preprocess = &complete;
    }
    TARE_TRY(tare_samples_open(&samples, &kinds, &options, err));
    dataset->count = tare_samples_count(samples);
    tare_samples_close(samples);
    return TARE_OK;
}

TARE_API tare_status tare_dataset_open(tare_dataset **out, const char *path, const char *preprocess,
                                       tare_error *err) {
    tare_dataset *dataset = calloc(1, sizeof *dataset);
    tare_status status = TARE_OK;

    *out = NULL;
    if (dataset == NULL || (dataset->path = malloc(strlen(path) + 1)) == NULL) {
        free(dataset);
        return tare_fail_memory(err, strlen(path), "a dataset");
    }
    memcpy(dataset->path, path, strlen(path) + 1);
    /* Pixels have to become numbers somehow; arrays are numbers already. */
    if (preprocess == NULL && tare_source_folder.probe(path)) {
        preprocess = "unit";
    }
    if (preprocess != NULL) {
        dataset->has_preprocess = true;
        TARE_TRY_DONE(status, tare_preprocess_load(&dataset->preprocess, preprocess, err));
    }
    TARE_TRY_DONE(status, count_samples(dataset, err));
    *out = dataset;
done:
    if (status != TARE_OK) {
        tare_dataset_free(dataset);
    }
    return status;
}

TARE_API tare_status tare_dataset_from_function(tare_dataset **out, uint64_t count,
                                                tare_sample_function function, void *user,
                                                tare_error *err) {
    tare_dataset *dataset;

    *out = NULL;
    if (function == NULL || count == 0 || count > SIZE_MAX) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "a dataset needs a function and at least one sample");
    }
    dataset = calloc(1, sizeof *dataset);
    if (dataset == NULL) {
        return tare_fail_memory(err, sizeof *dataset, "a dataset");
    }
    dataset->function =
        (tare_function_data){.count = (size_t)count, .function = function, .user = user};
    dataset->count = count;
    *out = dataset;
    return TARE_OK;
}

TARE_API uint64_t tare_dataset_count(const tare_dataset *dataset) {
    return dataset->count;
}

TARE_API void tare_dataset_free(tare_dataset *dataset) {
    if (dataset != NULL) {
        free(dataset->path);
        free(dataset);
    }
}

/* ---- array files ---- */

struct tare_arrays {
    bool single; /* an .npy: one array without a name */
    tare_array array;
    tare_memory storage;
    tare_npz npz;
};

TARE_API tare_status tare_arrays_read(tare_arrays **out, const char *path, tare_error *err) {
    tare_arrays *arrays = calloc(1, sizeof *arrays);
    tare_status status;

    *out = NULL;
    if (arrays == NULL) {
        return tare_fail_memory(err, sizeof *arrays, "arrays");
    }
    /* A missing file is neither kind; reading it as .npy reports that. */
    arrays->single = !tare_source_npz.probe(path);
    status = arrays->single ? tare_npy_read(&arrays->array, &arrays->storage, path, err)
                            : tare_npz_read(&arrays->npz, path, err);
    if (status != TARE_OK) {
        tare_arrays_free(arrays);
        return status;
    }
    *out = arrays;
    return TARE_OK;
}

TARE_API size_t tare_arrays_count(const tare_arrays *arrays) {
    return arrays->single ? 1 : arrays->npz.count;
}

TARE_API tare_array_view tare_arrays_get(const tare_arrays *arrays, size_t index) {
    const tare_array *array = arrays->single ? &arrays->array : &arrays->npz.arrays[index];
    tare_array_view view = {.name = array->name,
                            .element = array->element,
                            .rank = (int)array->rank,
                            .data = array->data};
    for (size_t i = 0; i < array->rank; i++) {
        view.dims[i] = (int64_t)array->dims[i];
    }
    return view;
}

TARE_API void tare_arrays_free(tare_arrays *arrays) {
    if (arrays != NULL) {
        tare_memory_release(&arrays->storage);
        tare_npz_release(&arrays->npz);
        free(arrays);
    }
}

static tare_status from_view(tare_array *out, const tare_array_view *view, tare_error *err) {
    *out = (tare_array){.name = view->name,
                        .element = view->element,
                        .rank = (size_t)view->rank,
                        .data = (void *)(uintptr_t)view->data};
    if (view->rank < 0 || view->rank > TARE_ARRAY_MAX_RANK) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "an array of rank %d cannot be written",
                         view->rank);
    }
    for (int i = 0; i < view->rank; i++) {
        if (view->dims[i] < 0) {
            return tare_fail(err, TARE_INVALID_ARGUMENT, "dim %d of an array is %lld", i,
                             (long long)view->dims[i]);
        }
        out->dims[i] = (size_t)view->dims[i];
    }
    return tare_array_measure(&out->bytes, out->element, out->rank, out->dims, err);
}

TARE_API tare_status tare_arrays_write(const char *path, const tare_array_view *views, size_t count,
                                       tare_error *err) {
    const size_t length = strlen(path);
    const bool single = length >= 4 && strcmp(path + length - 4, ".npy") == 0;
    tare_array *arrays;
    tare_status status = TARE_OK;

    if (single && count != 1) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "'%s': an .npy file holds one array, there are %zu; use .npz", path,
                         count);
    }
    arrays = calloc(count + 1, sizeof *arrays);
    if (arrays == NULL) {
        return tare_fail_memory(err, count * sizeof *arrays, "arrays");
    }
    for (size_t i = 0; i < count && status == TARE_OK; i++) {
        status = from_view(&arrays[i], &views[i], err);
    }
    if (status == TARE_OK) {
        status = single ? tare_npy_write(path, &arrays[0], err)
                        : tare_npz_write(path, arrays, count, err);
    }
    free(arrays);
    return status;
}
