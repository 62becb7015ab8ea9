/* SPDX-License-Identifier: Apache-2.0 */
/** Comparing and merging calibration states. */
#include <string.h>

#include "stats/state_file.h"
#include "stats/state_parts.h"

static bool has_tensor(const tare_state_spec *spec, const char *tensor) {
    for (size_t i = 0; i < spec->point_count; i++) {
        if (strcmp(spec->points[i].tensor, tensor) == 0) {
            return true;
        }
    }
    return false;
}

/* Says of the first tensor at which two lists part which of them has it. */
static tare_status fail_tensors(const tare_state_spec *own, const tare_state_spec *spec, size_t at,
                                tare_error *err) {
    const bool extra = at >= spec->point_count ||
                       (at < own->point_count && !has_tensor(spec, own->points[at].tensor));
    return tare_fail(
        err, TARE_INVALID_ARGUMENT,
        "it has statistics of %zu tensors, expected %zu; the first difference: %s '%s'",
        own->point_count, spec->point_count, extra ? "only it has" : "it lacks",
        extra ? own->points[at].tensor : spec->points[at].tensor);
}

static tare_status check_point(const tare_stat_point *own, const tare_stat_point *point,
                               unsigned collect, tare_error *err) {
    if (own->channels != point->channels || (point->channels > 0 && own->axis != point->axis)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "tensor '%s' has %lld channels on axis %d, expected %lld on axis %d",
                         own->tensor, (long long)own->channels, own->axis,
                         (long long)point->channels, point->axis);
    }
    if ((collect & TARE_COLLECT_WINDOWS) != 0 &&
        (own->window_count != point->window_count ||
         (own->window_count > 0 &&
          memcmp(own->windows, point->windows, own->window_count * sizeof *own->windows) != 0))) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "tensor '%s' has sums of %zu windows, expected %zu and the same ones",
                         own->tensor, own->window_count, point->window_count);
    }
    return TARE_OK;
}

tare_status tare_state_check_spec(const tare_state *state, const tare_state_spec *spec,
                                  tare_error *err) {
    const tare_state_spec own = tare_state_spec_of(state);
    char texts[2][TARE_COLLECT_TEXT_BYTES];
    size_t i = 0;

    if (own.collect != spec->collect) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "it has the fields '%s', expected '%s'",
                         tare_collect_text(texts[0], own.collect),
                         tare_collect_text(texts[1], spec->collect));
    }
    if (tare_sample_uses_quantile(own.collect) && own.quantile != spec->quantile) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "it has the quantiles %g of samples, expected %g", own.quantile,
                         spec->quantile);
    }
    while (i < own.point_count && i < spec->point_count &&
           strcmp(own.points[i].tensor, spec->points[i].tensor) == 0) {
        TARE_TRY(check_point(&own.points[i], &spec->points[i], spec->collect, err));
        i++;
    }
    return i == own.point_count && i == spec->point_count ? TARE_OK
                                                          : fail_tensors(&own, spec, i, err);
}

static tare_status check_duplicates(const tare_state *into, const tare_state *from,
                                    tare_error *err) {
    const char *first = NULL;
    uint64_t count = 0;

    for (uint64_t i = 0; i < from->settled; i++) {
        const tare_state_sample sample = tare_state_sample_at(from, i);
        if (tare_state_find_sample(into, sample.id) != UINT64_MAX) {
            first = first == NULL ? sample.name : first;
            count++;
        }
    }
    if (count > 1) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "sample '%s' and %llu more are in an earlier state, too", first,
                         (unsigned long long)(count - 1));
    }
    return count == 0 ? TARE_OK
                      : tare_fail(err, TARE_INVALID_ARGUMENT,
                                  "sample '%s' is in an earlier state, too", first);
}

/* No counter of a histogram holds more than all values. */
static tare_status check_counts(const tare_state *into, const tare_state *from, tare_error *err) {
    for (size_t i = 0; i < into->point_count; i++) {
        const uint64_t own = tare_state_counts_of(into, i).elements;
        const uint64_t other = tare_state_counts_of(from, i).elements;
        if (own >= TARE_CODE_COUNT_END || other >= TARE_CODE_COUNT_END - own) {
            return tare_fail(err, TARE_UNSUPPORTED,
                             "tensor '%s' has %llu and %llu values, together more than the %llu "
                             "that can be counted",
                             into->points[i].tensor, (unsigned long long)own,
                             (unsigned long long)other,
                             (unsigned long long)TARE_CODE_COUNT_END - 1);
        }
    }
    return TARE_OK;
}

tare_status tare_state_absorb(tare_state *into, const tare_state *from, bool allow_duplicates,
                              tare_error *err) {
    const tare_state_spec spec = tare_state_spec_of(into);
    const uint64_t base = into->capacity;

    TARE_TRY(tare_state_check_spec(from, &spec, err));
    tare_state_settle(into);
    if (!allow_duplicates) {
        TARE_TRY(check_duplicates(into, from, err));
    }
    TARE_TRY(check_counts(into, from, err));
    TARE_TRY(tare_state_reserve(into, from->settled, err));
    for (uint64_t i = 0; i < from->settled; i++) {
        const tare_state_sample sample = tare_state_sample_at(from, i);
        TARE_TRY(tare_state_complete(into, base + i, &sample, err));
        memcpy(tare_state_slot_numbers(into, base + i, 0),
               tare_state_slot_numbers(from, from->order[i].slot, 0),
               into->row * sizeof *into->numbers);
    }
    tare_field_set_merge(&into->fields, &from->fields);
    for (size_t i = 0; i < into->point_count && into->histograms != NULL; i++) {
        tare_code_histogram_merge(&into->histograms[i], &from->histograms[i]);
    }
    tare_state_settle(into);
    return TARE_OK;
}

size_t tare_state_find(const tare_state *state, const char *tensor) {
    for (size_t i = 0; i < state->point_count; i++) {
        if (strcmp(state->points[i].tensor, tensor) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}
