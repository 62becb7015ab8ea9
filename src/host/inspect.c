/* SPDX-License-Identifier: Apache-2.0 */
/** Public API: describing a model without running it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/op.h"
#include "quantize.h"

/* One operator of the model and whether it can run. */
typedef struct operator_count {
    const char *domain, *op_type;
    size_t count;
    bool known, has_kernel;
} operator_count;

static int compare_operators(const void *a, const void *b) {
    const operator_count *x = a, *y = b;
    const int domain = strcmp(x->domain, y->domain);
    return domain != 0 ? domain : strcmp(x->op_type, y->op_type);
}

/* Operators that inference itself answers need no kernel. */
static bool folded_by_inference(const char *op_type) {
    return strcmp(op_type, "Constant") == 0 || strcmp(op_type, "Shape") == 0 ||
           strcmp(op_type, "Size") == 0;
}

static void classify(operator_count *op, const tare_graph *graph, const tare_backend *backend) {
    const tare_op *row = tare_op_find(op->domain, op->op_type, tare_graph_opset(graph, op->domain));
    op->known = row != NULL;
    op->has_kernel = row != NULL && (folded_by_inference(op->op_type) ||
                                     tare_backend_kernel(backend, tare_op_kernel(row), 0) != NULL);
}

static size_t count_operators(operator_count *ops, const tare_graph *graph,
                              const tare_backend *backend) {
    size_t count = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        const tare_node *node = graph->nodes[i];
        size_t k = 0;
        while (k < count && (strcmp(ops[k].op_type, node->op_type) != 0 ||
                             strcmp(ops[k].domain, node->domain) != 0)) {
            k++;
        }
        if (k == count) {
            ops[count] = (operator_count){.domain = node->domain, .op_type = node->op_type};
            classify(&ops[count++], graph, backend);
        }
        ops[k].count++;
    }
    qsort(ops, count, sizeof *ops, compare_operators);
    return count;
}

static tare_status describe_operators(tare_report *report, const tare_graph *graph,
                                      const tare_backend *backend, tare_error *err) {
    operator_count *ops = calloc(graph->node_count + 1, sizeof *ops);
    json_t *list = json_array();
    size_t count, covered = 0;

    if (ops == NULL || list == NULL || json_object_set_new(report->json, "operators", list) != 0) {
        free(ops);
        return tare_fail_memory(err, graph->node_count * sizeof *ops, "a report");
    }
    count = count_operators(ops, graph, backend);
    for (size_t i = 0; i < count; i++) {
        covered += ops[i].has_kernel ? ops[i].count : 0U;
        (void)json_array_append_new(
            list, json_pack("{s:o, s:o, s:I, s:b}", "domain", tare_json_text(ops[i].domain),
                            "operator", tare_json_text(ops[i].op_type), "count",
                            (json_int_t)ops[i].count, backend->name, ops[i].has_kernel));
    }
    tare_text_add(&report->text, "operators: %zu nodes, %zu of them run on %s\n", graph->node_count,
                  covered, backend->name);
    for (size_t i = 0; i < count; i++) {
        tare_text_add(&report->text, "  %5zu  %s%s%s%s\n", ops[i].count, ops[i].domain,
                      ops[i].domain[0] == '\0' ? "" : ".", ops[i].op_type,
                      ops[i].has_kernel ? ""
                                        : (ops[i].known ? "  (no kernel)" : "  (not supported)"));
    }
    free(ops);
    return TARE_OK;
}

static void describe_value(tare_text *text, json_t *list, const tare_value *value) {
    char dims[TARE_DIMS_TEXT_BYTES];
    json_t *shape = json_array();
    for (int i = 0; i < value->rank; i++) {
        (void)json_array_append_new(
            shape, value->dims[i] >= 0           ? json_integer((json_int_t)value->dims[i])
                   : value->dim_names[i] != NULL ? tare_json_text(value->dim_names[i])
                                                 : json_null());
    }
    (void)json_array_append_new(list, json_pack("{s:o, s:s, s:o}", "name",
                                                tare_json_text(value->name), "element",
                                                tare_dtype_text(value->dtype), "shape", shape));
    tare_text_add(text, " %s %s %s", value->name, tare_dtype_text(value->dtype),
                  tare_dims_text(dims, sizeof dims, value->rank, value->dims));
}

static tare_status describe_interface(tare_report *report, const tare_model *model,
                                      tare_error *err) {
    const tare_graph *graph = &model->graph;
    json_t *inputs = json_array(), *outputs = json_array();

    if (inputs == NULL || outputs == NULL ||
        json_object_set_new(report->json, "inputs", inputs) != 0 ||
        json_object_set_new(report->json, "outputs", outputs) != 0 ||
        json_object_set_new(report->json, "model", tare_json_text(model->path)) != 0 ||
        json_object_set_new(report->json, "opset",
                            json_integer((json_int_t)tare_graph_opset(graph, ""))) != 0) {
        return tare_fail_memory(err, 0, "a report");
    }
    tare_text_add(&report->text, "model: %s, opset %lld\ninputs:", model->path,
                  (long long)tare_graph_opset(graph, ""));
    for (size_t i = 0; i < graph->input_count; i++) {
        if (!graph->inputs[i]->is_initializer) {
            describe_value(&report->text, inputs, graph->inputs[i]);
        }
    }
    tare_text_add(&report->text, "\noutputs:");
    for (size_t i = 0; i < graph->output_count; i++) {
        describe_value(&report->text, outputs, graph->outputs[i]);
    }
    tare_text_add(&report->text, "\n");
    return TARE_OK;
}

/* One line per quantizer: what, where, how. */
static void list_quantizers(tare_text *text, const tare_quantizer_setup *setup) {
    for (size_t i = 0; i < setup->point_count; i++) {
        const tare_quantizer_point *point = &setup->points[i];
        tare_text_add(text, "  %-10s %s: %s, ",
                      point->kind == TARE_POINT_WEIGHT ? "weight" : "activation",
                      point->value->name, point->config.symmetric ? "symmetric" : "asymmetric");
        if (point->axis >= 0) {
            tare_text_add(text, "%lld scales on axis %d", (long long)point->channels, point->axis);
        } else {
            tare_text_add(text, "one scale");
        }
        for (size_t k = 0; k < point->consumer_count; k++) {
            char name[TARE_NODE_TEXT_BYTES];
            tare_text_add(text, "%s %s", k == 0 ? ", read by" : ",",
                          tare_node_text(name, sizeof name, point->consumers[k].node));
        }
        tare_text_add(text, "\n");
    }
}

/* The shapes that are assumed for the inputs. */
typedef struct assumed_shapes {
    size_t count;
    tare_input_shape shapes[TARE_SAMPLE_INPUT_LIMIT];
} assumed_shapes;

static tare_status plan_and_describe(tare_report *report, tare_quantization *q,
                                     const tare_model *model, const assumed_shapes *inputs,
                                     const tare_quantize_options *options, tare_error *err) {
    tare_session_limits limits = {.threads = options->run.threads,
                                  .memory_bytes = options->run.memory_bytes};
    TARE_TRY(tare_quantization_place(q, model, inputs->shapes, inputs->count, options, err));
    limits.watched = q->watched;
    TARE_TRY(tare_model_blame(model, tare_session_plan(&q->session, &limits, err), err));
    TARE_TRY(tare_quantization_describe(report, q, err));
    list_quantizers(&report->text, &q->setup);
    return tare_session_describe(report, &q->session, err);
}

static tare_status describe_plan(tare_report *report, const tare_model *model,
                                 const tare_quantize_options *options, tare_error *err) {
    assumed_shapes inputs = {.count = 0};
    tare_text reason = {0};
    tare_error why = {TARE_OK, ""};
    tare_quantization q;
    bool known = true;
    tare_status status;

    TARE_TRY_DONE(status, tare_quantization_init(&q, options, err));
    TARE_TRY_DONE(status, tare_session_open(&q.session, &options->run, err));
    for (size_t i = 0; i < model->graph.input_count && known; i++) {
        const tare_value *input = model->graph.inputs[i];
        if (!input->is_initializer) {
            known = inputs.count < TARE_SAMPLE_INPUT_LIMIT &&
                    tare_session_assume_shape(&inputs.shapes[inputs.count++], &reason, input,
                                              &options->run);
        }
    }
    if (known) {
        /* A model that cannot run is an answer here, not a failure. */
        status = plan_and_describe(report, &q, model, &inputs, options, &why);
        if (status == TARE_OUT_OF_MEMORY || status == TARE_INTERNAL) {
            if (err != NULL) {
                *err = why;
            }
            goto done;
        }
        if (status != TARE_OK) {
            tare_text_add(&reason, "%s", why.text);
        }
        status = TARE_OK;
    }
    if (reason.length > 0) {
        tare_text_add(&report->text, "no plan: %s\n", reason.data);
        status = json_object_set_new(report->json, "no_plan", tare_json_text(reason.data)) == 0
                     ? TARE_OK
                     : tare_fail_memory(err, 0, "a report");
    }
done:
    tare_quantization_release(&q);
    tare_text_release(&reason);
    return status;
}

static tare_status fill_report(tare_report *report, const tare_model *model,
                               const tare_quantize_options *options, tare_error *err) {
    tare_device_choice choice;
    TARE_TRY(tare_registry_device(&choice, options->run.device, options->run.precision, err));
    TARE_TRY(describe_interface(report, model, err));
    TARE_TRY(describe_operators(report, &model->graph, choice.backend, err));
    TARE_TRY(describe_plan(report, model, options, err));
    return tare_report_finish(report, err);
}

TARE_API tare_status tare_inspect(tare_report **report, const tare_model *model,
                                  const tare_quantize_options *options, tare_error *err) {
    tare_status status;
    TARE_TRY(tare_report_new(report, err));
    status = fill_report(*report, model, options, err);
    if (status != TARE_OK) {
        tare_report_free(*report);
        *report = NULL;
    }
    return status;
}
