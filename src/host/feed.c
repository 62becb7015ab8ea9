/* SPDX-License-Identifier: Apache-2.0 */
/** A dataset fitted to a model. */
#include "feed.h"

#include <string.h>

#include "dataset.h"

static size_t fed_inputs(const tare_graph *graph) {
    size_t count = 0;
    for (size_t i = 0; i < graph->input_count; i++) {
        count += graph->inputs[i]->is_initializer ? 0U : 1U;
    }
    return count;
}

/* The dims of an input, with open ones filled from the caller's shapes. */
static void effective_dims(int64_t *dims, const tare_value *input,
                           const tare_run_options *options) {
    memcpy(dims, input->dims, sizeof input->dims);
    for (size_t i = 0; i < options->shape_count; i++) {
        const tare_array_view *shape = &options->shapes[i];
        if ((shape->name == NULL || strcmp(shape->name, input->name) == 0) &&
            shape->rank == input->rank) {
            for (int k = 0; k < input->rank; k++) {
                dims[k] = dims[k] < 0 ? shape->dims[k] : dims[k];
            }
        }
    }
}

/* A shape for an input that is not there is a slip that would otherwise pass unseen. */
static tare_status check_shape_names(const tare_graph *graph, const tare_run_options *options,
                                     tare_error *err) {
    for (size_t i = 0; i < options->shape_count; i++) {
        const char *name = options->shapes[i].name;
        const tare_value *value = name == NULL ? NULL : tare_graph_find_value(graph, name);
        if (name != NULL && (value == NULL || !value->is_input || value->is_initializer)) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "a shape is given for '%s', which is no input of the model", name);
        }
    }
    return TARE_OK;
}

static size_t known(int64_t dim) {
    return dim > 0 ? (size_t)dim : 0;
}

static bool is_color_count(int64_t dim) {
    return dim == 1 || dim == 3;
}

/* Completes the description from the model's only image input. */
static tare_status fit_preprocess(tare_feed *feed, const tare_graph *graph,
                                  const tare_run_options *options, tare_error *err) {
    tare_pixel_layout layout = feed->preprocess.layout;
    const tare_value *input = NULL;
    int64_t dims[TARE_MAX_RANK];
    bool last;

    for (size_t i = 0; i < graph->input_count; i++) {
        input = graph->inputs[i]->is_initializer ? input : graph->inputs[i];
    }
    if (input == NULL || fed_inputs(graph) != 1) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "images fit models with one input, this one has %zu; give an .npz with "
                         "one array per input",
                         fed_inputs(graph));
    }
    if (input->rank >= 0 && input->rank != 4) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "input '%s' has rank %d, images need 4 (a batch of them)", input->name,
                         input->rank);
    }
    if (input->dtype != TARE_DTYPE_FLOAT) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "input '%s' is %s, images become float32",
                         input->name, tare_dtype_text(input->dtype));
    }
    effective_dims(dims, input, options);
    if (input->rank < 0) {
        return tare_preprocess_complete(&feed->preprocess, 0, 0, 0, layout, err);
    }
    last =
        layout == TARE_PIXEL_LAYOUT_NHWC ||
        (layout == TARE_PIXEL_LAYOUT_UNSET && !is_color_count(dims[1]) && is_color_count(dims[3]));
    layout = last ? TARE_PIXEL_LAYOUT_NHWC : TARE_PIXEL_LAYOUT_NCHW;
    return tare_preprocess_complete(&feed->preprocess, known(dims[last ? 3 : 1]),
                                    known(dims[last ? 1 : 2]), known(dims[last ? 2 : 3]), layout,
                                    err);
}

const tare_array *tare_feed_input(const tare_sample *sample, const char *name,
                                  size_t graph_inputs) {
    for (size_t i = 0; i < sample->input_count; i++) {
        if (sample->inputs[i].name != NULL && strcmp(sample->inputs[i].name, name) == 0) {
            return &sample->inputs[i];
        }
    }
    return graph_inputs == 1 && sample->input_count == 1 && sample->inputs[0].name == NULL
               ? &sample->inputs[0]
               : NULL;
}

static const char *shape_text(char *text, const tare_array *array) {
    int64_t dims[TARE_MAX_RANK] = {0};
    for (size_t i = 0; i < array->rank; i++) {
        dims[i] = (int64_t)array->dims[i];
    }
    return tare_dims_text(text, TARE_DIMS_TEXT_BYTES, (int)array->rank, dims);
}

tare_status tare_feed_check(const tare_array *array, const tare_array *expected, const char *input,
                            tare_error *err) {
    char wanted[TARE_DIMS_TEXT_BYTES], found[TARE_DIMS_TEXT_BYTES];
    const bool same = array != NULL && array->element == expected->element &&
                      array->rank == expected->rank &&
                      memcmp(array->dims, expected->dims, array->rank * sizeof array->dims[0]) == 0;
    if (same) {
        return TARE_OK;
    }
    return tare_fail(err, TARE_INVALID_ARGUMENT,
                     "input '%s': the run was set up for %s %s, this sample has %s %s", input,
                     tare_element_name(expected->element), shape_text(wanted, expected),
                     array == NULL ? "no" : tare_element_name(array->element),
                     array == NULL ? "[unknown]" : shape_text(found, array));
}

static tare_status learn_shapes(tare_feed *feed, const tare_graph *graph, const tare_sample *sample,
                                tare_error *err) {
    const size_t inputs = fed_inputs(graph);
    if (sample->input_count != inputs) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "sample '%s' has %zu arrays, the model %zu inputs", sample->name,
                         sample->input_count, inputs);
    }
    for (size_t i = 0; i < graph->input_count; i++) {
        const tare_value *input = graph->inputs[i];
        tare_input_shape *shape = &feed->shapes[feed->shape_count];
        const tare_array *array;
        if (input->is_initializer) {
            continue;
        }
        array = tare_feed_input(sample, input->name, inputs);
        if (array == NULL) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "the data have no array for the model's input '%s'%s%s%s", input->name,
                             sample->inputs[0].name == NULL ? "" : "; they have '",
                             sample->inputs[0].name == NULL ? "" : sample->inputs[0].name,
                             sample->inputs[0].name == NULL ? "" : "'");
        }
        *shape = (tare_input_shape){.name = input->name,
                                    .element = array->element,
                                    .rank = (int)array->rank,
                                    .is_sample = true};
        for (size_t k = 0; k < array->rank; k++) {
            shape->dims[k] = (int64_t)array->dims[k];
        }
        feed->shape_count++;
    }
    return TARE_OK;
}

static tare_status load_first(tare_feed *feed, const tare_graph *graph,
                              const tare_run_options *options, tare_error *err) {
    tare_sample sample = {0};
    tare_source_scratch scratch = {0};
    tare_status status = TARE_OK;

    for (size_t i = 0; i < feed->count; i++) {
        status = tare_samples_load(&sample, feed->samples, i, &scratch, err);
        if (status == TARE_OK || !options->skip_bad) {
            break;
        }
    }
    if (status == TARE_OK) {
        status = learn_shapes(feed, graph, &sample, err);
    }
    tare_sample_release(&sample);
    tare_preprocess_scratch_release(&scratch);
    return status;
}

tare_status tare_feed_open(tare_feed *feed, const tare_dataset *dataset, const tare_graph *graph,
                           uint64_t limit, const tare_run_options *options, tare_error *err) {
    const tare_source_list kinds = tare_dataset_kinds(dataset);
    tare_source_options source = {.path = dataset->path, .function = &dataset->function};
    size_t count;

    *feed =
        (tare_feed){.has_preprocess = dataset->has_preprocess, .preprocess = dataset->preprocess};
    TARE_TRY(check_shape_names(graph, options, err));
    if (dataset->has_preprocess) {
        TARE_TRY(fit_preprocess(feed, graph, options, err));
        source.preprocess = &feed->preprocess;
    }
    TARE_TRY(tare_samples_open(&feed->samples, &kinds, &source, err));
    count = tare_samples_count(feed->samples);
    feed->count = limit < count ? (size_t)limit : count;
    if (feed->count == 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "no samples: %zu are there, %llu are asked for", count,
                         (unsigned long long)limit);
    }
    return load_first(feed, graph, options, err);
}

tare_prefetch_options tare_feed_prefetch(const tare_feed *feed, const tare_run_options *options) {
    tare_prefetch_options prefetch = tare_prefetch_defaults(feed->samples);
    prefetch.order = feed->order;
    prefetch.count = feed->count;
    prefetch.skip_bad = options->skip_bad;
    prefetch.room = feed->room;
    return prefetch;
}

tare_status tare_feed_measure(size_t *bytes, size_t *sample_bytes, tare_feed *feed,
                              tare_prefetch_options *prefetch, tare_error *err) {
    size_t sample = 0;

    TARE_TRY(tare_prefetch_measure(bytes, prefetch, feed->samples, err));
    feed->room = prefetch->room;
    for (size_t i = 0; i < feed->shape_count; i++) {
        const tare_input_shape *shape = &feed->shapes[i];
        size_t input = 0;
        if (tare_dims_bytes(&input, (tare_dtype)shape->element, shape->rank, shape->dims)) {
            sample += prefetch->keep_pixels ? input / sizeof(float) : input;
        }
    }
    /* A function does not say beforehand what it makes; its first sample does. */
    *bytes = *bytes < sample * prefetch->slots ? sample * prefetch->slots : *bytes;
    *sample_bytes = sample;
    return TARE_OK;
}

void tare_feed_close(tare_feed *feed) {
    if (feed != NULL) {
        tare_samples_close(feed->samples);
        feed->samples = NULL;
    }
}

tare_status tare_feed_describe(tare_report *report, const tare_feed *feed,
                               const tare_dataset *dataset, tare_error *err) {
    const size_t all = tare_samples_count(feed->samples);
    json_t *data =
        json_pack("{s:s, s:o, s:I, s:I}", "kind", tare_samples_kind(feed->samples), "path",
                  dataset->path == NULL ? json_null() : tare_json_text(dataset->path), "available",
                  (json_int_t)all, "used", (json_int_t)feed->count);
    tare_text text = {0};
    tare_status status = TARE_OK;

    if (feed->has_preprocess) {
        json_t *preprocess;
        TARE_TRY_DONE(status, tare_preprocess_write(&text, &feed->preprocess, err));
        preprocess = json_loads(text.data, 0, NULL);
        if (preprocess == NULL || data == NULL ||
            json_object_set_new(data, "preprocess", preprocess) != 0) {
            status = tare_fail_memory(err, text.length, "a report");
            goto done;
        }
    }
    if (data == NULL || json_object_set_new(report->json, "data", json_incref(data)) != 0) {
        status = tare_fail_memory(err, 0, "a report");
        goto done;
    }
    tare_text_add(&report->text, "data: %zu of %zu samples%s%s\n", feed->count, all,
                  dataset->path == NULL ? "" : " of ", dataset->path == NULL ? "" : dataset->path);
done:
    json_decref(data);
    tare_text_release(&text);
    return status;
}
