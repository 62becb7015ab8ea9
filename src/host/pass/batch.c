/* SPDX-License-Identifier: Apache-2.0 */
/** Making a graph for one sample run several samples at once. */
#include "pass/batch.h"

#include <stdlib.h>
#include <string.h>

#include "pass/batch_rule.h"
#include "pass/dead.h"
#include "pass/fold.h"

/* A walk over both graphs, node by node. */
typedef struct walk {
    const tare_graph *one;
    tare_graph *many;
    const tare_backend *backend;
    int64_t samples;
    tare_batch_part *parts;  /* by value id of `many` */
    int *axes;               /* likewise: of PER_SAMPLE */
    tare_batch_part *inputs; /* room for the inputs of the widest node */
    size_t rewritten;
} walk;

void tare_batch_init(tare_batch *batch) {
    *batch = (tare_batch){.axis = NULL};
    tare_graph_init(&batch->graph);
}

void tare_batch_release(tare_batch *batch) {
    if (batch != NULL) {
        tare_graph_release(&batch->graph);
        *batch = (tare_batch){.axis = NULL};
    }
}

/* Whether `many` is `one` with an axis longer by `factor`. */
static bool has_grown(const tare_value *many, const tare_value *one, int64_t factor, int axis) {
    if (many->dtype != one->dtype || many->rank != one->rank || (factor > 1 && one->rank <= axis)) {
        return false;
    }
    for (int i = 0; i < one->rank; i++) {
        const bool same = many->dims[i] == one->dims[i];
        /* Both are concrete shapes, so the division undoes the product without overflow. */
        const bool grown = many->dims[i] % factor == 0 && many->dims[i] / factor == one->dims[i];
        if (i == axis ? !grown : !same) {
            return false;
        }
    }
    return true;
}

/* Whether `many` holds `one` `times` times. */
static bool holds_copies(const tare_tensor *many, const tare_tensor *one, int64_t times) {
    size_t bytes;
    if (!tare_dims_bytes(&bytes, one->dtype, one->rank, one->dims)) {
        return false;
    }
    for (int64_t i = 0; i < times && many->data != one->data; i++) {
        if (memcmp((const char *)many->data + (size_t)i * bytes, one->data, bytes) != 0) {
            return false;
        }
    }
    return many->data != one->data || times == 1;
}

/* What a constant of the new graph is, by comparing it with the one of the old graph. */
static tare_batch_part classify_constant(const tare_value *many, const tare_value *one,
                                         int64_t samples) {
    if (one->constant == NULL) {
        return TARE_BATCH_UNKNOWN;
    }
    if (has_grown(many, one, 1, 0) && holds_copies(many->constant, one->constant, 1)) {
        return TARE_BATCH_ABSENT;
    }
    if (has_grown(many, one, samples, 0) && holds_copies(many->constant, one->constant, samples)) {
        return TARE_BATCH_PER_SAMPLE;
    }
    return TARE_BATCH_UNKNOWN;
}

/* A new constant in the place of input `port` of a node. */
static tare_status replace_input(walk *w, tare_node *node, size_t port, const tare_tensor *tensor,
                                 tare_batch_part part, tare_error *err) {
    const char *name = NULL;
    tare_value *value;

    for (size_t n = w->rewritten;; n++) {
        name = tare_arena_printf(&w->many->arena, "%s/%lld samples/%zu", node->inputs[port]->name,
                                 (long long)w->samples, n);
        if (name == NULL) {
            return tare_fail_memory(err, 0, "a name");
        }
        if (tare_graph_find_value(w->many, name) == NULL) {
            break;
        }
    }
    TARE_TRY(tare_graph_add_initializer(&value, w->many, name, tensor, err));
    node->inputs[port] = value;
    w->parts[value->id] = part;
    w->rewritten++;
    return TARE_OK;
}

/* Repeats a constant along axis 0, once per sample. */
static tare_status tile(walk *w, tare_node *node, size_t port, tare_error *err) {
    const tare_tensor *from = node->inputs[port]->constant;
    const size_t bytes = (size_t)tare_tensor_count(from) * tare_dtype_bytes(from->dtype);
    int64_t dims[TARE_MAX_RANK];
    tare_tensor tensor;
    tare_status status;

    memcpy(dims, from->dims, sizeof dims);
    if (dims[0] > INT64_MAX / w->samples) {
        return tare_fail_memory(err, SIZE_MAX, "a constant");
    }
    dims[0] *= w->samples;
    TARE_TRY(tare_tensor_init(&tensor, from->dtype, from->rank, dims, err));
    for (int64_t i = 0; i < w->samples; i++) {
        memcpy((char *)tare_tensor_elements(&tensor) + (size_t)i * bytes, from->data, bytes);
    }
    status = replace_input(w, node, port, &tensor, TARE_BATCH_PER_SAMPLE, err);
    tare_tensor_release(&tensor);
    return status;
}

/* Whether a constant has to be repeated to meet samples on axis 0: one that spans the result's axis
 * 0, where that is not one that broadcasting repeats by itself. */
static bool needs_tile(const walk *w, const tare_batch_rule *rule, const tare_node *one,
                       const tare_node *many, size_t port) {
    const tare_value *value = many->inputs[port], *output = one->outputs[0];
    const bool exact =
        strcmp(rule->kernel, "Concat") == 0 || strcmp(rule->kernel, "GridSample") == 0;
    return value != NULL && value->constant != NULL && w->parts[value->id] == TARE_BATCH_ABSENT &&
           output != NULL && value->rank > 0 && value->rank == output->rank &&
           value->dims[0] == output->dims[0] && (exact || value->dims[0] > 1);
}

/* Whether there are samples in the inputs; *axis: where, or -1 when not all agree. */
static bool find_samples(int *axis, const walk *w, const tare_node *node) {
    bool found = false;
    *axis = -1;
    for (size_t i = 0; i < node->input_count; i++) {
        const tare_value *value = node->inputs[i];
        if (value != NULL && w->parts[value->id] == TARE_BATCH_PER_SAMPLE) {
            *axis = !found || *axis == w->axes[value->id] ? w->axes[value->id] : -1;
            found = true;
        }
    }
    return found;
}

static tare_status tile_constants(walk *w, const tare_batch_rule *rule, const tare_node *one,
                                  tare_node *many, tare_error *err) {
    for (size_t i = 0; i < many->input_count; i++) {
        if (needs_tile(w, rule, one, many, i)) {
            TARE_TRY(tile(w, many, i, err));
        }
    }
    return TARE_OK;
}

/* The first axis of the output of a node that keeps elements in order on which samples from `axis`
 * can be, or -1. */
static int first_place(const tare_node *one, int axis) {
    const tare_value *input = one->inputs[0], *output = one->outputs[0];
    const int64_t before = tare_dims_count(axis, input->dims);
    for (int i = 0; i < output->rank; i++) {
        if (tare_dims_count(i, output->dims) == before) {
            return i;
        }
    }
    return -1;
}

/* Makes the shape that input `port` asks for the one of all samples. */
static tare_status rewrite_shape(walk *w, const tare_node *one, tare_node *many, size_t port,
                                 int axis, tare_error *err) {
    const tare_value *output = one->outputs[0];
    const int64_t rank = output->rank;
    int64_t dims[TARE_MAX_RANK] = {0};
    tare_tensor tensor;
    tare_status status;

    memcpy(dims, output->dims, sizeof dims);
    if (dims[axis] > INT64_MAX / w->samples) {
        return tare_fail_memory(err, SIZE_MAX, "a batch");
    }
    dims[axis] *= w->samples;
    TARE_TRY(tare_tensor_init(&tensor, TARE_DTYPE_INT64, 1, &rank, err));
    memcpy(tare_tensor_elements(&tensor), dims, (size_t)rank * sizeof dims[0]);
    status = replace_input(w, many, port, &tensor, TARE_BATCH_UNKNOWN, err);
    tare_tensor_release(&tensor);
    return status;
}

/* The input that says the shape of the output, or SIZE_MAX. */
static size_t shape_port(const tare_batch_rule *rule, const tare_node *one) {
    const tare_value *output = one->outputs[0];
    const bool own_name = strcmp(one->op_type, rule->kernel) == 0;
    const tare_value *sizes = tare_node_input(one, 3);
    if (!own_name || output == NULL || output->rank < 1) {
        return SIZE_MAX;
    }
    if ((rule->rewrites & TARE_BATCH_SHAPE_PORT) != 0 && one->input_count > 1) {
        return 1;
    }
    /* A list of axes may leave axis 0 out, and then nothing is to be rewritten. */
    if ((rule->rewrites & TARE_BATCH_SIZES_PORT) != 0 && sizes != NULL &&
        sizes->dtype == TARE_DTYPE_INT64 &&
        tare_dims_count(sizes->rank, sizes->dims) == output->rank &&
        tare_node_attribute(one, "axes") == NULL) {
        return 3;
    }
    return SIZE_MAX;
}

static bool outputs_have_grown(const walk *w, const tare_node *many, const tare_node *one,
                               int axis) {
    for (size_t i = 0; i < one->output_count; i++) {
        if (one->outputs[i] != NULL &&
            !has_grown(many->outputs[i], one->outputs[i], w->samples, axis)) {
            return false;
        }
    }
    return true;
}

/* The axis that has grown in all outputs, or -1. */
static int grown_axis(const walk *w, const tare_node *many, const tare_node *one) {
    for (int i = 0; i < TARE_MAX_RANK; i++) {
        if (outputs_have_grown(w, many, one, i)) {
            return i;
        }
    }
    return -1;
}

static tare_status refuse(const tare_node *node, tare_error *err, const char *reason) {
    char text[TARE_NODE_TEXT_BYTES];
    return tare_fail(err, TARE_UNSUPPORTED, "%s: %s", tare_node_text(text, sizeof text, node),
                     reason);
}

/* Infers the node for all samples, with its shape operand rewritten where that is what it takes.
 * node->grown becomes the axis that has grown, or -1. */
static tare_status infer_grown(tare_batch_node *node, walk *w, const tare_batch_rule *rule,
                               tare_node *many, tare_error *err) {
    const size_t port = shape_port(rule, node->one);
    const int place = port == SIZE_MAX ? -1 : first_place(node->one, node->axis);
    tare_status status = tare_op_infer(w->many, many, err);

    node->grown = status == TARE_OK ? grown_axis(w, many, node->one) : -1;
    /* Of axes of length 1 the first one is what the next layers expect. */
    if (node->grown != place && place >= 0) {
        TARE_TRY(rewrite_shape(w, node->one, many, port, place, err));
        status = tare_op_infer(w->many, many, err);
        node->grown = status == TARE_OK ? grown_axis(w, many, node->one) : -1;
    }
    return status;
}

/* A node that works on samples, which are on `axis` of its inputs. */
static tare_status walk_samples(walk *w, const tare_node *one, tare_node *many, int axis,
                                tare_error *err) {
    const tare_batch_rule *rule = tare_batch_rule_find(tare_op_kernel(one->op));
    tare_batch_node node = {.one = one, .many = many, .inputs = w->inputs, .axis = axis};

    if (rule == NULL) {
        return refuse(one, err, "the operator is not known to keep samples apart");
    }
    if (axis < 0) {
        return refuse(one, err, "its inputs have their samples on different axes");
    }
    if ((rule->rewrites & TARE_BATCH_TILE) != 0 && axis == 0) {
        TARE_TRY(tile_constants(w, rule, one, many, err));
    }
    TARE_TRY(infer_grown(&node, w, rule, many, err));
    for (size_t i = 0; i < many->input_count; i++) {
        w->inputs[i] = many->inputs[i] == NULL ? TARE_BATCH_ABSENT : w->parts[many->inputs[i]->id];
    }
    if (node.grown < 0 || !tare_batch_rule_holds(rule, &node)) {
        return refuse(one, err, "its samples are not known to be parts of an axis afterwards");
    }
    for (size_t i = 0; i < many->output_count; i++) {
        if (many->outputs[i] != NULL) {
            w->parts[many->outputs[i]->id] = TARE_BATCH_PER_SAMPLE;
            w->axes[many->outputs[i]->id] = node.grown;
        }
    }
    return TARE_OK;
}

/* Shapes of samples are constants although the samples are not. */
static bool is_answered_by_inference(const tare_node *one) {
    for (size_t i = 0; i < one->output_count; i++) {
        if (one->outputs[i] != NULL && one->outputs[i]->constant == NULL) {
            return false;
        }
    }
    return true;
}

/* Whether an input is not the same for any number of samples. */
static bool depends_on_samples(const walk *w, const tare_node *node) {
    for (size_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] != NULL && w->parts[node->inputs[i]->id] != TARE_BATCH_ABSENT) {
            return true;
        }
    }
    return false;
}

/* Constants that the samples have no part in stay what they are: passes may have changed them since
 * their nodes were evaluated. */
static tare_status take_constants(walk *w, const tare_node *one, tare_node *many, tare_error *err) {
    for (size_t i = 0; i < many->output_count; i++) {
        tare_tensor *tensor;
        if (many->outputs[i] == NULL) {
            continue;
        }
        tensor = tare_graph_new_tensor(w->many);
        if (tensor == NULL) {
            return tare_fail_memory(err, sizeof *tensor, "a tensor");
        }
        tare_tensor_share(tensor, one->outputs[i]->constant);
        many->outputs[i]->constant = tensor;
        w->parts[many->outputs[i]->id] = TARE_BATCH_ABSENT;
    }
    return TARE_OK;
}

/* A node that does not see the inputs' contents: a constant, or one too large to be folded. */
static tare_status walk_constant(walk *w, const tare_node *one, tare_node *many, tare_error *err) {
    if (!depends_on_samples(w, many) && is_answered_by_inference(one)) {
        return take_constants(w, one, many, err);
    }
    TARE_TRY(tare_op_infer(w->many, many, err));
    if (tare_pass_is_foldable(many)) {
        TARE_TRY(tare_pass_fold(w->many, many, w->backend, err));
    }
    for (size_t i = 0; i < many->output_count; i++) {
        const tare_value *value = many->outputs[i];
        if (value == NULL) {
            continue;
        }
        if (value->constant != NULL) {
            w->parts[value->id] = classify_constant(value, one->outputs[i], w->samples);
        } else if (has_grown(value, one->outputs[i], 1, 0)) {
            w->parts[value->id] = TARE_BATCH_ABSENT;
        } else {
            return refuse(one, err, "its size depends on the number of samples, not its contents");
        }
    }
    return TARE_OK;
}

/* That a node is wrong with more samples is no fault of the model. */
static tare_status walk_node(walk *w, const tare_node *one, tare_node *many, tare_error *err) {
    int axis;
    const bool constant = !find_samples(&axis, w, many) || is_answered_by_inference(one);
    tare_status status =
        constant ? walk_constant(w, one, many, err) : walk_samples(w, one, many, axis, err);

    if (status == TARE_INVALID_MODEL || status == TARE_INVALID_ARGUMENT) {
        tare_error_prepend(err, "with %lld samples: ", (long long)w->samples);
        status = TARE_UNSUPPORTED;
        if (err != NULL) {
            err->code = status;
        }
    }
    return status;
}

static tare_status start_values(walk *w, tare_error *err) {
    const tare_graph *one = w->one;
    for (size_t i = 0; i < one->value_count; i++) {
        tare_value *value = w->many->values[i];
        if (value->producer != NULL) {
            value->constant = NULL;
        }
        w->parts[i] = TARE_BATCH_ABSENT;
    }
    for (size_t i = 0; i < one->input_count; i++) {
        tare_value *input = w->many->inputs[i];
        if (input->constant != NULL) {
            continue;
        }
        if (input->rank < 1 || input->dims[0] > INT64_MAX / w->samples) {
            return tare_fail(err, TARE_UNSUPPORTED, "input '%s' has no axis for samples",
                             input->name);
        }
        input->dims[0] *= w->samples;
        if (tare_dims_count(input->rank, input->dims) < 0) {
            return tare_fail_memory(err, SIZE_MAX, "a batch");
        }
        w->parts[input->id] = TARE_BATCH_PER_SAMPLE;
    }
    return TARE_OK;
}

/* Room for statuses of all values, those that rewriting adds included, and of one node's inputs. */
static tare_status allocate(walk *w, tare_error *err) {
    size_t values = w->one->value_count + 1, width = 1;
    for (size_t i = 0; i < w->one->node_count; i++) {
        const size_t inputs = w->one->nodes[i]->input_count;
        values += inputs;
        width = inputs > width ? inputs : width;
    }
    w->parts = calloc(values, sizeof *w->parts);
    w->axes = calloc(values, sizeof *w->axes);
    w->inputs = calloc(width, sizeof *w->inputs);
    return w->parts != NULL && w->axes != NULL && w->inputs != NULL
               ? TARE_OK
               : tare_fail_memory(err, values * sizeof *w->parts, "a batch");
}

static tare_status walk_nodes(walk *w, tare_error *err) {
    bool *live = calloc(w->one->node_count + 1, sizeof *live);
    tare_status status = TARE_OK;

    if (live == NULL) {
        return tare_fail_memory(err, w->one->node_count, "marking nodes");
    }
    /* From the graph that was inferred: it knows what is constant. */
    TARE_TRY_DONE(status, tare_pass_live(live, w->many, err));
    if (w->backend->thread_begin != NULL) {
        w->backend->thread_begin(1);
    }
    for (size_t i = 0; i < w->many->node_count; i++) {
        if (live[i]) {
            TARE_TRY_DONE(status, walk_node(w, w->one->nodes[i], w->many->nodes[i], err));
        }
    }
done:
    free(live);
    return status;
}

static tare_status store_parts(tare_batch *out, const walk *w, tare_error *err) {
    const size_t values = out->graph.value_count;
    out->axis = tare_arena_array(&out->graph.arena, values, sizeof *out->axis);
    if (out->axis == NULL) {
        return tare_fail_memory(err, values * sizeof *out->axis, "a batch");
    }
    for (size_t i = 0; i < values; i++) {
        out->axis[i] = w->parts[i] == TARE_BATCH_PER_SAMPLE ? w->axes[i] : -1;
    }
    out->rewritten = w->rewritten;
    return TARE_OK;
}

tare_status tare_pass_batch(tare_batch *out, const tare_graph *graph, const tare_backend *backend,
                            int64_t samples, tare_error *err) {
    walk w = {.one = graph, .many = &out->graph, .backend = backend, .samples = samples};
    tare_status status;

    TARE_TRY_DONE(status, tare_graph_clone(&out->graph, graph, err));
    TARE_TRY_DONE(status, allocate(&w, err));
    TARE_TRY_DONE(status, start_values(&w, err));
    TARE_TRY_DONE(status, tare_ops_resolve(&out->graph, err));
    TARE_TRY_DONE(status, walk_nodes(&w, err));
    status = store_parts(out, &w, err);
done:
    free(w.parts);
    free(w.axes);
    free(w.inputs);
    if (status != TARE_OK) {
        tare_batch_release(out);
    }
    return status;
}
