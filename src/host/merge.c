/* SPDX-License-Identifier: Apache-2.0 */
/** Public API: merging calibration states. */
#include "base/file.h"
#include "model.h"
#include "stats/state_file.h"

/* Adds the state at `path` to the first one. */
static tare_status add_state(tare_state_file *first, const char *path, bool allow_duplicates,
                             tare_error *err) {
    tare_state_file next = {0};
    tare_status status = tare_state_read(&next, path, err);

    if (status != TARE_OK) {
        goto done;
    }
    status = tare_state_identity_check(&next.identity, &first->identity, err);
    if (status == TARE_OK) {
        status = tare_state_absorb(first->state, next.state, allow_duplicates, err);
    }
    if (status != TARE_OK) {
        tare_error_prepend(err, "'%s': ", path);
    }
done:
    tare_state_file_release(&next);
    return status;
}

static tare_status describe(tare_report **out, const tare_state *state, size_t count,
                            const char *path, tare_error *err) {
    const json_int_t samples = (json_int_t)tare_state_sample_count(state);
    tare_status status;

    TARE_TRY(tare_report_new(out, err));
    if (json_object_set_new((*out)->json, "states", json_integer((json_int_t)count)) != 0 ||
        json_object_set_new((*out)->json, "samples", json_integer(samples)) != 0 ||
        json_object_set_new((*out)->json, "output", tare_json_text(path)) != 0) {
        status = tare_fail_memory(err, 0, "a report");
    } else {
        tare_text_add(&(*out)->text, "merged %zu states into %s: %lld samples\n", count, path,
                      (long long)samples);
        status = tare_report_finish(*out, err);
    }
    if (status != TARE_OK) {
        tare_report_free(*out);
        *out = NULL;
    }
    return status;
}

TARE_API tare_status tare_merge(const char *const *paths, size_t count, const char *path,
                                bool allow_duplicates, tare_report **report, tare_error *err) {
    tare_state_file first = {0};
    tare_status status;

    if (report != NULL) {
        *report = NULL;
    }
    if (count == 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "there are no states to merge");
    }
    TARE_TRY_DONE(status, tare_output_check(path, err));
    TARE_TRY_DONE(status, tare_state_read(&first, paths[0], err));
    for (size_t i = 1; i < count; i++) {
        TARE_TRY_DONE(status, add_state(&first, paths[i], allow_duplicates, err));
    }
    TARE_TRY_DONE(status, tare_state_write(path, first.state, &first.identity, err));
    status = report == NULL ? TARE_OK : describe(report, first.state, count, path, err);
done:
    tare_state_file_release(&first);
    return status;
}
