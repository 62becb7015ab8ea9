/* SPDX-License-Identifier: Apache-2.0 */
/** Whether calibration states are of the same thing, and if not, what differs. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "stats/state_file.h"

static tare_status fail_different(tare_error *err, const char *what, const char *actual,
                                  const char *expected) {
    return tare_fail(err, TARE_INVALID_ARGUMENT, "it was made with %s %s, expected %s", what,
                     actual, expected);
}

/* Names the first field in which two descriptions differ. */
static tare_status compare_preprocess(const char *actual, const char *expected, tare_error *err) {
    json_t *left = json_loads(actual, 0, NULL), *right = json_loads(expected, 0, NULL);
    tare_status status = TARE_OK;
    const char *key;
    json_t *value;

    json_object_foreach(left, key, value) {
        const json_t *other = json_object_get(right, key);
        if (status == TARE_OK && right != NULL && !json_equal(value, other)) {
            char *ours = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
            char *theirs = other == NULL ? NULL : json_dumps(other, JSON_COMPACT | JSON_ENCODE_ANY);
            status = tare_fail(err, TARE_INVALID_ARGUMENT,
                               "it was made with the preprocessing \"%s\": %s, expected %s", key,
                               ours == NULL ? "" : ours, theirs == NULL ? "nothing" : theirs);
            free(ours);
            free(theirs);
        }
    }
    json_decref(left);
    json_decref(right);
    return status == TARE_OK ? fail_different(err, "the preprocessing", actual, expected) : status;
}

static const tare_state_input *input_of(const tare_state_identity *identity, const char *name) {
    for (size_t i = 0; i < identity->input_count; i++) {
        if (strcmp(identity->inputs[i].name, name) == 0) {
            return &identity->inputs[i];
        }
    }
    return NULL;
}

static tare_status compare_inputs(const tare_state_identity *actual,
                                  const tare_state_identity *expected, tare_error *err) {
    char ours[TARE_DIMS_TEXT_BYTES], theirs[TARE_DIMS_TEXT_BYTES];
    if (actual->input_count != expected->input_count) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "it was made with %zu inputs, expected %zu",
                         actual->input_count, expected->input_count);
    }
    for (size_t i = 0; i < actual->input_count; i++) {
        const tare_state_input *own = &actual->inputs[i];
        const tare_state_input *other = input_of(expected, own->name);
        if (other == NULL) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "it was made with an input '%s', which is not expected", own->name);
        }
        if (own->element != other->element || own->rank != other->rank ||
            memcmp(own->dims, other->dims, (size_t)own->rank * sizeof own->dims[0]) != 0) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "it was made with input '%s' as %s %s, expected %s %s", own->name,
                             tare_dtype_text((tare_dtype)own->element),
                             tare_dims_text(ours, sizeof ours, own->rank, own->dims),
                             tare_dtype_text((tare_dtype)other->element),
                             tare_dims_text(theirs, sizeof theirs, other->rank, other->dims));
        }
    }
    return TARE_OK;
}

tare_status tare_state_identity_check(const tare_state_identity *actual,
                                      const tare_state_identity *expected, tare_error *err) {
    if (strcmp(actual->model, expected->model) != 0) {
        return fail_different(err, "the model", actual->model, expected->model);
    }
    if (strcmp(actual->precision, expected->precision) != 0) {
        return fail_different(err, "the precision", actual->precision, expected->precision);
    }
    if (strcmp(actual->preprocess, expected->preprocess) != 0) {
        return compare_preprocess(actual->preprocess, expected->preprocess, err);
    }
    return compare_inputs(actual, expected, err);
}
