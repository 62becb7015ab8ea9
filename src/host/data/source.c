/* SPDX-License-Identifier: Apache-2.0 */
/** Opened data: picks the kind and passes calls through, with the checks that all kinds need. */
#include "data/source.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct tare_samples {
    const tare_source *source;
    void *state;
    tare_source_info info;
};

static tare_status fail_unknown(const tare_source_list *kinds, const char *path, tare_error *err) {
    tare_text names = {0};

    for (size_t i = 0; i < kinds->count; i++) {
        tare_text_add(&names, "%s%s", i == 0 ? "" : ", ", kinds->sources[i]->name);
    }
    (void)tare_fail(err, TARE_UNSUPPORTED, "data '%s' is none of the known kinds (%s)", path,
                    names.data == NULL ? "" : names.data);
    tare_text_release(&names);
    return TARE_UNSUPPORTED;
}

static tare_status find_source(const tare_source **out, const tare_source_list *kinds,
                               const char *path, tare_error *err) {
    struct stat about;

    if (path == NULL) {
        *out = kinds->sources[0];
        return TARE_OK;
    }
    if (stat(path, &about) != 0) {
        return tare_fail(err, TARE_NOT_FOUND, "data '%s': there is no such file or folder", path);
    }
    for (size_t i = 0; i < kinds->count; i++) {
        if (kinds->sources[i]->probe(path)) {
            *out = kinds->sources[i];
            return TARE_OK;
        }
    }
    return fail_unknown(kinds, path, err);
}

tare_status tare_samples_open(tare_samples **out, const tare_source_list *kinds,
                              const tare_source_options *options, tare_error *err) {
    tare_samples *dataset = NULL;
    const tare_source *source = NULL;
    tare_status status;

    *out = NULL;
    TARE_TRY(find_source(&source, kinds, options->path, err));
    dataset = calloc(1, sizeof *dataset);
    if (dataset == NULL) {
        return tare_fail_memory(err, sizeof *dataset, "a dataset");
    }
    dataset->source = source;
    dataset->state = calloc(1, source->private_size);
    if (dataset->state == NULL) {
        status = tare_fail_memory(err, source->private_size, "a dataset");
        goto done;
    }
    TARE_TRY_DONE(status, source->open(dataset->state, &dataset->info, options, err));
    if (dataset->info.count == 0) {
        status = tare_fail(err, TARE_NOT_FOUND, "data '%s' (%s) holds no samples", options->path,
                           source->name);
        goto done;
    }
    *out = dataset;
    return TARE_OK;
done:
    tare_samples_close(dataset);
    return status;
}

void tare_samples_close(tare_samples *dataset) {
    if (dataset != NULL) {
        if (dataset->state != NULL) {
            dataset->source->close(dataset->state);
        }
        free(dataset->state);
        free(dataset);
    }
}

const tare_source_info *tare_samples_info(const tare_samples *dataset) {
    return &dataset->info;
}

size_t tare_samples_count(const tare_samples *dataset) {
    return dataset->info.count;
}

const char *tare_samples_kind(const tare_samples *dataset) {
    return dataset->source->name;
}

const char *tare_samples_sample_name(const tare_samples *dataset, size_t index) {
    return dataset->source->sample_name(dataset->state, index);
}

static tare_status check_index(const tare_samples *dataset, size_t index, tare_error *err) {
    if (index >= dataset->info.count) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "sample %zu, there are %zu", index,
                         dataset->info.count);
    }
    return TARE_OK;
}

tare_status tare_samples_measure(size_t *scratch_bytes, const tare_samples *dataset, size_t index,
                                 tare_error *err) {
    TARE_TRY(check_index(dataset, index, err));
    return dataset->source->measure(scratch_bytes, dataset->state, index, err);
}

tare_status tare_samples_load(tare_sample *sample, const tare_samples *dataset, size_t index,
                              tare_source_scratch *scratch, tare_error *err) {
    TARE_TRY(check_index(dataset, index, err));
    sample->name = tare_samples_sample_name(dataset, index);
    sample->id = 0;
    sample->input_count = dataset->info.input_count;
    for (size_t i = 0; i < sample->input_count; i++) {
        sample->inputs[i].name = dataset->info.inputs[i].name;
    }
    return dataset->source->load(sample, dataset->state, index, scratch, err);
}

tare_status tare_samples_identify(uint64_t *id, const tare_samples *dataset, size_t index,
                                  tare_sample *spare, tare_source_scratch *scratch,
                                  tare_error *err) {
    TARE_TRY(check_index(dataset, index, err));
    if (dataset->source->identify != NULL) {
        return dataset->source->identify(id, dataset->state, index, err);
    }
    TARE_TRY(tare_samples_load(spare, dataset, index, scratch, err));
    *id = spare->id;
    return TARE_OK;
}
