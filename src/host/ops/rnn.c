/* SPDX-License-Identifier: Apache-2.0 */
/** LSTM, GRU, RNN. */
#include <string.h>

#include "ops/rows.h"

static const char *const directions[] = {"forward", "reverse", "bidirectional", NULL};

#define RNN_ATTRS                                                                                  \
    {TARE_OP_ATTR("activation_alpha", FLOATS, tare_rnn_attrs, activation_alpha)},                  \
        {TARE_OP_ATTR("activation_beta", FLOATS, tare_rnn_attrs, activation_beta)},                \
        {TARE_OP_ATTR("activations", TEXTS, tare_rnn_attrs, activations)},                         \
        {TARE_OP_ATTR("clip", FLOAT, tare_rnn_attrs, clip)},                                       \
        {TARE_OP_ATTR("direction", CHOICE, tare_rnn_attrs, direction), .choices = directions},     \
        {TARE_OP_ATTR("hidden_size", INT, tare_rnn_attrs, hidden_size)}, {                         \
        TARE_OP_ATTR("layout", INT, tare_rnn_attrs, layout), .since = 14                           \
    }

static const tare_attr_spec lstm_attrs[] = {
    RNN_ATTRS, {TARE_OP_ATTR("input_forget", INT, tare_rnn_attrs, input_forget)}, {0}};
static const tare_attr_spec gru_attrs[] = {
    RNN_ATTRS,
    {TARE_OP_ATTR("linear_before_reset", INT, tare_rnn_attrs, linear_before_reset)},
    {0}};
static const tare_attr_spec rnn_attrs[] = {RNN_ATTRS, {0}};

/* What distinguishes the three: gates, default activations, inputs that hold a state. */
typedef struct rnn_kind {
    int gates, activation_count;
    const char *activations[3];
    bool has_cell;
} rnn_kind;

static const rnn_kind lstm = {4, 3, {"Sigmoid", "Tanh", "Tanh"}, true};
static const rnn_kind gru = {3, 2, {"Sigmoid", "Tanh", NULL}, false};
static const rnn_kind rnn = {1, 1, {"Tanh", NULL, NULL}, false};

static bool same_text(const char *a, const char *b) {
    /* Exporters differ in the case of activation names. */
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        if ((*a | 0x20) != (*b | 0x20)) {
            return false;
        }
    }
    return *a == *b;
}

static tare_status check_activations(const tare_rnn_attrs *attrs, const rnn_kind *kind,
                                     tare_error *err) {
    for (size_t i = 0; i < attrs->activations.count; i++) {
        const char *expected = kind->activations[i % (size_t)kind->activation_count];
        if (!same_text(attrs->activations.values[i], expected)) {
            return tare_fail(err, TARE_UNSUPPORTED, "activation %zu is %s; supported is %s", i,
                             attrs->activations.values[i], expected);
        }
    }
    return TARE_OK;
}

static tare_status check_shape(const tare_infer *infer, size_t port, const tare_shape *expected,
                               tare_error *err) {
    const tare_value *value = tare_infer_input(infer, port);
    char found[TARE_DIMS_TEXT_BYTES], wanted[TARE_DIMS_TEXT_BYTES];

    if (value == NULL ||
        (value->rank == expected->rank &&
         memcmp(value->dims, expected->dims, (size_t)expected->rank * sizeof *value->dims) == 0)) {
        return TARE_OK;
    }
    return tare_fail(err, TARE_INVALID_MODEL, "input '%s' has the shape %s, expected %s",
                     value->name, tare_dims_text(found, sizeof found, value->rank, value->dims),
                     tare_dims_text(wanted, sizeof wanted, expected->rank, expected->dims));
}

/* The sizes that all shapes of a recurrent node are made of. */
typedef struct rnn_sizes {
    int64_t steps, batch, features, directions, hidden;
    bool batch_first;
} rnn_sizes;

static tare_status check_operands(const tare_infer *infer, const rnn_kind *kind,
                                  const rnn_sizes *sizes, tare_error *err) {
    const int64_t d = sizes->directions, h = sizes->hidden, rows = kind->gates * h;
    const tare_shape state = {
        3, {sizes->batch_first ? sizes->batch : d, sizes->batch_first ? d : sizes->batch, h}};
    const struct {
        size_t port;
        tare_shape shape;
    } rules[] = {{1, {3, {d, rows, sizes->features}}},
                 {2, {3, {d, rows, h}}},
                 {3, {2, {d, 2 * rows}}},
                 {4, {1, {sizes->batch}}},
                 {5, state},
                 {6, state},
                 {7, {2, {d, 3 * h}}}};

    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        TARE_TRY(check_shape(infer, rules[i].port, &rules[i].shape, err));
        if (rules[i].port != 4) {
            TARE_TRY(tare_infer_float32(infer, rules[i].port, err));
        }
    }
    return TARE_OK;
}

static tare_status set_outputs(tare_infer *infer, const rnn_sizes *sizes, bool has_cell,
                               tare_error *err) {
    const int64_t d = sizes->directions, h = sizes->hidden;
    const int64_t all[] = {sizes->steps, d, sizes->batch, h};
    const int64_t all_batch_first[] = {sizes->batch, sizes->steps, d, h};
    const int64_t last[] = {d, sizes->batch, h}, last_batch_first[] = {sizes->batch, d, h};

    TARE_TRY(tare_infer_output(infer, 0, TARE_DTYPE_FLOAT, 4,
                               sizes->batch_first ? all_batch_first : all, err));
    for (size_t port = 1; port < (has_cell ? 3U : 2U); port++) {
        TARE_TRY(tare_infer_output(infer, port, TARE_DTYPE_FLOAT, 3,
                                   sizes->batch_first ? last_batch_first : last, err));
    }
    return TARE_OK;
}

static tare_status infer_recurrent(tare_infer *infer, const rnn_kind *kind, tare_error *err) {
    tare_rnn_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0), *recurrence = tare_infer_input(infer, 2);
    rnn_sizes sizes;

    TARE_TRY(tare_infer_float32(infer, 0, err));
    TARE_TRY(tare_infer_rank(infer, 0, 3, 3, err));
    TARE_TRY(tare_infer_rank(infer, 2, 3, 3, err));
    TARE_TRY(check_activations(attrs, kind, err));
    if (attrs->hidden_size == 0) {
        attrs->hidden_size = recurrence->dims[2];
    }
    if (attrs->hidden_size < 1 || attrs->hidden_size != recurrence->dims[2] ||
        attrs->hidden_size > INT32_MAX || attrs->layout < 0 || attrs->layout > 1) {
        return tare_fail(err, TARE_INVALID_MODEL,
                         "hidden_size is %lld, layout %lld; recurrence weights '%s' say %lld",
                         (long long)attrs->hidden_size, (long long)attrs->layout, recurrence->name,
                         (long long)recurrence->dims[2]);
    }
    sizes = (rnn_sizes){.steps = x->dims[attrs->layout],
                        .batch = x->dims[1 - attrs->layout],
                        .features = x->dims[2],
                        .directions = attrs->direction == TARE_RNN_BIDIRECTIONAL ? 2 : 1,
                        .hidden = attrs->hidden_size,
                        .batch_first = attrs->layout == 1};
    TARE_TRY(check_operands(infer, kind, &sizes, err));
    return set_outputs(infer, &sizes, kind->has_cell, err);
}

static tare_status infer_lstm(tare_infer *infer, tare_error *err) {
    return infer_recurrent(infer, &lstm, err);
}

static tare_status infer_gru(tare_infer *infer, tare_error *err) {
    return infer_recurrent(infer, &gru, err);
}

static tare_status infer_rnn(tare_infer *infer, tare_error *err) {
    return infer_recurrent(infer, &rnn, err);
}

const tare_op tare_ops_rnn[] = {
    {TARE_OP_ROW("LSTM", 7, 3, 8, 0, 3, infer_lstm), TARE_OP_ATTRS(tare_rnn_attrs, lstm_attrs)},
    {TARE_OP_ROW("GRU", 7, 3, 6, 0, 2, infer_gru), TARE_OP_ATTRS(tare_rnn_attrs, gru_attrs)},
    {TARE_OP_ROW("RNN", 7, 3, 6, 0, 2, infer_rnn), TARE_OP_ATTRS(tare_rnn_attrs, rnn_attrs)},
    {0}};
