/* SPDX-License-Identifier: Apache-2.0 */
/** From a calibration state to the ranges of a quantizer setup. */
#include "ranges.h"

#include <math.h>
#include <string.h>

#include "lanes.h"

tare_status tare_range_method_find(tare_range_method *out, const char *text, tare_error *err) {
    tare_status status;

    *out = (tare_range_method){.text = text == NULL ? tare_methods[0]->name : text};
    for (size_t i = 0; tare_methods[i] != NULL; i++) {
        if (strcmp(tare_methods[i]->name, out->text) == 0) {
            out->method = tare_methods[i];
            return TARE_OK;
        }
    }
    status = tare_estimator_find(&out->estimator, &out->options, tare_estimators, text, err);
    if (status == TARE_NOT_FOUND) {
        tare_error_prepend(err, "besides '%s' ", tare_methods[0]->name);
    }
    TARE_TRY(status);
    out->collect = tare_estimator_needs(out->estimator, &out->options);
    return TARE_OK;
}

/* The estimate of one quantizer, which threads make on their own. */
typedef struct estimation {
    const tare_quantizer_point *quantizer;
    size_t point; /* of the state */
    tare_range range;
    tare_range_choice *choice;
    tare_estimate found;
    float min, max; /* of the values */
} estimation;

/* What all quantizers of a setup have in common. */
typedef struct choosing {
    tare_arena *arena; /* not for the threads */
    const tare_state *state;
    const tare_range_method *method;
    estimation *estimations; /* those that have been asked for */
    size_t count;
} choosing;

/* What the state knows of a tensor, in the estimators' form. */
static tare_status gather_statistics(tare_tensor_statistics *out, tare_arena *arena,
                                     const tare_state *state, size_t point, tare_error *err) {
    const unsigned collect = tare_state_spec_of(state).collect;
    const size_t samples = (size_t)tare_state_sample_count(state);
    float *columns[TARE_SAMPLE_COLUMN_COUNT] = {NULL};

    *out = (tare_tensor_statistics){.tensor = tare_state_point(state, point)->tensor,
                                    .histogram = tare_state_codes(state, point),
                                    .min = INFINITY,
                                    .max = -INFINITY};
    for (size_t c = 0; c < TARE_SAMPLE_COLUMN_COUNT; c++) {
        if (tare_sample_keeps(c, collect)) {
            columns[c] = tare_arena_array(arena, samples, sizeof *columns[c]);
            if (columns[c] == NULL) {
                return tare_fail_memory(err, samples * sizeof *columns[c], "numbers of samples");
            }
            out->samples[c] = columns[c];
        }
    }
    for (size_t i = 0; i < samples; i++) {
        tare_sample_numbers numbers;
        if (tare_state_sample_numbers(&numbers, state, point, i)) {
            out->min = fminf(out->min, numbers.of[TARE_SAMPLE_MIN]);
            out->max = fmaxf(out->max, numbers.of[TARE_SAMPLE_MAX]);
            for (size_t c = 0; c < TARE_SAMPLE_COLUMN_COUNT; c++) {
                if (columns[c] != NULL) {
                    columns[c][out->sample_count] = numbers.of[c];
                }
            }
            out->sample_count++;
        }
    }
    return TARE_OK;
}

static tare_status estimate(void *user, size_t lane, size_t index, tare_error *err) {
    const choosing *c = user;
    estimation *out = &c->estimations[index];
    tare_estimate_options options = c->method->options;
    tare_tensor_statistics statistics;
    tare_arena scratch;
    tare_status status;

    TARE_UNUSED(lane);
    options.magnitude = out->quantizer->uses_abs_max;
    options.narrow = out->quantizer->config.narrow;
    tare_arena_init(&scratch);
    TARE_TRY_DONE(status, gather_statistics(&statistics, &scratch, c->state, out->point, err));
    out->min = statistics.min;
    out->max = statistics.max;
    status = tare_estimate_range(&out->found, c->method->estimator, &statistics, &options, err);
done:
    tare_arena_release(&scratch);
    return status;
}

static tare_status estimate_all(choosing *c, int threads, tare_error *err) {
    tare_lanes *lanes = NULL;
    tare_status status;

    if (c->count == 0) {
        return TARE_OK;
    }
    TARE_TRY(tare_lanes_new(&lanes, (size_t)threads < c->count ? (size_t)threads : c->count, err));
    status = tare_lanes_run(lanes, c->count, estimate, c, err);
    tare_lanes_free(lanes);
    return status;
}

static tare_status find_point(size_t *out, const tare_state *state,
                              const tare_quantizer_point *quantizer, tare_error *err) {
    const char *name = quantizer->value->name;
    const int64_t channels = quantizer->axis >= 0 ? quantizer->channels : 0;

    *out = tare_state_find(state, name);
    if (*out == SIZE_MAX) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "it has no statistics of tensor '%s', which is to be quantized; calibrate "
                         "with the same --ignore options",
                         name);
    }
    if (channels > 0 && tare_state_point(state, *out)->channels != channels) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "it has statistics of %lld channels of tensor '%s', expected %lld",
                         (long long)tare_state_point(state, *out)->channels, name,
                         (long long)channels);
    }
    return TARE_OK;
}

/* Room for a range. It is filled in at once, or its estimate is asked for. */
static tare_status prepare(tare_activation_range *out, tare_range_choice *choice, choosing *c,
                           const tare_quantizer_point *quantizer, tare_error *err) {
    const bool per_channel = quantizer->axis >= 0;
    const size_t count = per_channel ? (size_t)quantizer->channels : 1;
    tare_range range = {.channels = per_channel ? quantizer->channels : 0};
    size_t point = 0;

    range.min = tare_arena_array(c->arena, count, sizeof *range.min);
    range.max = tare_arena_array(c->arena, count, sizeof *range.max);
    if (range.min == NULL || range.max == NULL) {
        return tare_fail_memory(err, count * sizeof *range.min, "a range");
    }
    *out = (tare_activation_range){.min = range.min, .max = range.max, .channels = (int64_t)count};
    TARE_TRY(find_point(&point, c->state, quantizer, err));
    if (per_channel || c->method->estimator == NULL) {
        const tare_method *chosen =
            c->method->method != NULL ? c->method->method : &tare_method_minmax;
        choice->method = chosen->name;
        choice->reason = "";
        return chosen->range(&range, c->state, point, quantizer->uses_abs_max, err);
    }
    c->estimations[c->count++] =
        (estimation){.quantizer = quantizer, .point = point, .range = range, .choice = choice};
    return TARE_OK;
}

static tare_status take_over(const estimation *one, const choosing *c, tare_error *err) {
    const tare_estimate *found = &one->found;
    tare_range_choice *choice = one->choice;

    one->range.min[0] = found->min;
    one->range.max[0] = found->max;
    choice->leaves_nothing =
        found->min == 0.0F && found->max == 0.0F && (one->min != 0.0F || one->max != 0.0F);
    choice->min = one->min;
    choice->max = one->max;
    choice->method = found->method != NULL ? found->method : c->method->estimator->name;
    choice->reason = tare_arena_strdup(c->arena, found->reason);
    return choice->reason == NULL ? tare_fail_memory(err, 0, "a reason") : TARE_OK;
}

static tare_status check_fields(const tare_state *state, const tare_range_method *method,
                                tare_error *err) {
    const tare_state_spec spec = tare_state_spec_of(state);
    char own[TARE_COLLECT_TEXT_BYTES], needed[TARE_COLLECT_TEXT_BYTES];

    if ((method->collect & ~spec.collect) != 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "it has the fields '%s', method '%s' needs '%s'",
                         tare_collect_text(own, spec.collect), method->text,
                         tare_collect_text(needed, method->collect));
    }
    if (tare_sample_uses_quantile(method->collect) && spec.quantile != method->options.number) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "its samples' quantiles are those of p = %g, method '%s' needs p = %g; "
                         "calibrate with this one, or choose the other",
                         spec.quantile, method->text, method->options.number);
    }
    return TARE_OK;
}

tare_status tare_ranges_choose(tare_range_set *out, tare_quantization *q, const tare_state *state,
                               const tare_range_method *method, int threads, tare_error *err) {
    const size_t count = q->setup.point_count;
    choosing c = {.arena = &q->arena, .state = state, .method = method};

    out->ranges = tare_arena_array(&q->arena, count, sizeof *out->ranges);
    out->choices = tare_arena_array(&q->arena, count, sizeof *out->choices);
    c.estimations = tare_arena_array(&q->arena, count, sizeof *c.estimations);
    if (out->ranges == NULL || out->choices == NULL || c.estimations == NULL) {
        return tare_fail_memory(err, count * sizeof *out->ranges, "the ranges");
    }
    TARE_TRY(check_fields(state, method, err));
    for (size_t i = 0; i < count; i++) {
        if (q->setup.points[i].kind == TARE_POINT_ACTIVATION) {
            TARE_TRY(prepare(&out->ranges[i], &out->choices[i], &c, &q->setup.points[i], err));
        }
    }
    TARE_TRY(estimate_all(&c, threads, err));
    for (size_t i = 0; i < c.count; i++) {
        TARE_TRY(take_over(&c.estimations[i], &c, err));
    }
    return TARE_OK;
}
