/* SPDX-License-Identifier: Apache-2.0 */
/** What a session says of itself: the memory plan, and what the host computes for a device. */
#include <string.h>

#include "session.h"

/* "3 nodes: NonZero 2, Loop 1" of what the host computes, into a text and a list. */
static void list_host_nodes(tare_text *text, json_t *list, const tare_session *session) {
    const size_t steps = tare_plan_step_count(session->plan);
    for (size_t i = 0; i < steps; i++) {
        const tare_plan_step_info step = tare_plan_step(session->plan, i);
        size_t count = 0;
        bool seen = false;
        if (!step.on_host || step.node == NULL) {
            continue;
        }
        for (size_t k = 0; k < steps; k++) {
            const tare_plan_step_info other = tare_plan_step(session->plan, k);
            if (other.on_host && other.node != NULL &&
                strcmp(other.node->op_type, step.node->op_type) == 0) {
                seen = seen || k < i;
                count++;
            }
        }
        if (!seen) {
            tare_text_add(text, "%s%s %zu", text->length == 0 ? "" : ", ", step.node->op_type,
                          count);
        }
        if (list != NULL) {
            (void)json_array_append_new(list, json_pack("[o, o]", tare_json_text(step.node->name),
                                                        tare_json_text(step.node->op_type)));
        }
    }
}

static void add_device(tare_text *text, const tare_session *session) {
    const tare_session_memory *m = &session->memory;
    char total[TARE_BYTES_TEXT], weights[TARE_BYTES_TEXT], work[TARE_BYTES_TEXT],
        staging[TARE_BYTES_TEXT], statistics[TARE_BYTES_TEXT];
    tare_text_add(text, "on %s: %s = weights %s + workspace %s + staging %s + statistics %s\n",
                  session->facts.name,
                  tare_bytes_text(total, sizeof total, tare_session_device_bytes(session)),
                  tare_bytes_text(weights, sizeof weights, m->device_weights),
                  tare_bytes_text(work, sizeof work, m->device_workspace),
                  tare_bytes_text(staging, sizeof staging, m->device_staging),
                  tare_bytes_text(statistics, sizeof statistics, m->device_statistics));
}

static void add_text(tare_text *text, const tare_session *session) {
    const tare_session_memory *m = &session->memory;
    char total[TARE_BYTES_TEXT], work[TARE_BYTES_TEXT], packed[TARE_BYTES_TEXT],
        constants[TARE_BYTES_TEXT], data[TARE_BYTES_TEXT], pinned[TARE_BYTES_TEXT];
    const bool device = session->device != NULL;

    tare_text_add(text, "memory plan: %s = weights %s + packed weights %s + ",
                  tare_bytes_text(total, sizeof total, tare_session_bytes(session)),
                  tare_bytes_text(constants, sizeof constants, m->constants),
                  tare_bytes_text(packed, sizeof packed, m->packed));
    if (device) {
        tare_text_add(text, "pinned %s", tare_bytes_text(pinned, sizeof pinned, m->pinned));
    } else {
        tare_text_add(text, "%d x workspace %s", session->threads,
                      tare_bytes_text(work, sizeof work, m->workspace));
    }
    tare_text_add(text, " + data and statistics %s\n", tare_bytes_text(data, sizeof data, m->data));
    if (device) {
        add_device(text, session);
    }
}

static json_t *pack_device(const tare_session *session) {
    const tare_session_memory *m = &session->memory;
    return json_pack(
        "{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name",
        tare_json_text(session->facts.name), "precision", tare_session_precision(session), "batch",
        (json_int_t)session->samples_per_run, "weight_bytes", (json_int_t)m->device_weights,
        "workspace_bytes", (json_int_t)m->device_workspace, "staging_bytes",
        (json_int_t)m->device_staging, "statistics_bytes", (json_int_t)m->device_statistics,
        "total_bytes", (json_int_t)tare_session_device_bytes(session), "pinned_host_bytes",
        (json_int_t)m->pinned);
}

static tare_status add_json(json_t *plan, tare_text *text, const tare_session *session,
                            tare_error *err) {
    json_t *list = json_array(), *device = pack_device(session);
    tare_text hosted = {0};

    list_host_nodes(&hosted, list, session);
    if (hosted.length > 0) {
        tare_text_add(text, "on the CPU for lack of kernels: %s\n", hosted.data);
    }
    tare_text_release(&hosted);
    if (list == NULL || device == NULL || json_object_set_new(device, "host_nodes", list) != 0) {
        json_decref(device);
        return tare_fail_memory(err, 0, "a report");
    }
    return json_object_set_new(plan, "memory_on_device", device) == 0
               ? TARE_OK
               : tare_fail_memory(err, 0, "a report");
}

tare_status tare_session_describe(tare_report *report, const tare_session *session,
                                  tare_error *err) {
    const tare_session_memory *m = &session->memory;
    json_t *plan = json_pack(
        "{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "device", session->backend->name, "threads",
        session->threads, "steps", (json_int_t)tare_plan_step_count(session->plan), "weight_bytes",
        (json_int_t)m->constants, "packed_weight_bytes", (json_int_t)m->packed,
        "workspace_bytes_per_thread", (json_int_t)m->workspace, "data_and_statistics_bytes",
        (json_int_t)m->data, "total_bytes", (json_int_t)tare_session_bytes(session));

    if (plan == NULL || json_object_set_new(report->json, "memory_plan", plan) != 0) {
        return tare_fail_memory(err, 0, "a report");
    }
    add_text(&report->text, session);
    return session->device == NULL ? TARE_OK : add_json(plan, &report->text, session, err);
}

void tare_session_note(const tare_session *session, const tare_run_options *run) {
    char total[TARE_BYTES_TEXT], device[TARE_BYTES_TEXT];
    tare_text hosted = {0};

    (void)tare_bytes_text(total, sizeof total, tare_session_bytes(session));
    if (session->device == NULL) {
        tare_note(run, "memory plan: %s with %d threads", total, session->threads);
        return;
    }
    tare_note(run, "memory plan: %s on the device, %s on the host, with batches of %lld",
              tare_bytes_text(device, sizeof device, tare_session_device_bytes(session)), total,
              (long long)session->samples_per_run);
    list_host_nodes(&hosted, NULL, session);
    if (hosted.length > 0) {
        tare_note(run, "on the CPU for lack of kernels: %s", hosted.data);
    }
    tare_text_release(&hosted);
}
