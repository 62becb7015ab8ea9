/* SPDX-License-Identifier: Apache-2.0 */
/** What a measurement says. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* Of a few numbers: the one in the middle, and the half width of the middle half around it. */
typedef struct middle {
    double median, spread;
} middle;

static int compare(const void *a, const void *b) {
    const double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double quantile(const double *sorted, size_t count, double part) {
    const double at = part * (double)(count - 1);
    const size_t low = (size_t)at;
    const size_t high = low + 1 < count ? low + 1 : low;
    return sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
}

static middle middle_of(const double *values, size_t count) {
    double sorted[TARE_BENCH_REPETITIONS];
    if (count == 0) {
        return (middle){0.0, 0.0};
    }
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, compare);
    return (middle){quantile(sorted, count, 0.5),
                    0.5 * (quantile(sorted, count, 0.75) - quantile(sorted, count, 0.25))};
}

static double percent(middle m) {
    return m.median > 0.0 ? 100.0 * m.spread / m.median : 0.0;
}

/* ---- sides ---- */

static json_t *pack_side(const tare_bench_side *side, middle rate) {
    const double batch = (double)side->session->samples_per_run;
    json_t *rates = json_array();
    for (size_t i = 0; i < side->rate_count; i++) {
        (void)json_array_append_new(rates, json_real(side->rates[i]));
    }
    return json_pack(
        "{s:f, s:f, s:f, s:o, s:f, s:f, s:f, s:I, s:I}", "images_per_second", rate.median,
        "spread_percent", percent(rate), "batch_seconds",
        rate.median > 0.0
            ? batch * (side->session->device == NULL ? side->session->threads : 1) / rate.median
            : 0.0,
        "rates", rates, "open_seconds", side->open_seconds, "plan_seconds", side->plan_seconds,
        "first_batch_seconds", side->first_seconds, "planned_host_bytes",
        (json_int_t)tare_session_bytes(side->session), "planned_device_bytes",
        (json_int_t)(side->session->device == NULL ? 0 : tare_session_device_bytes(side->session)));
}

static tare_status add_side(tare_report *report, const tare_bench_side *side, const char *what,
                            tare_error *err) {
    const middle rate = middle_of(side->rates, side->rate_count);
    tare_text_add(&report->text, "%-11s %10.1f images/s  +- %.1f %% over %zu repetitions%s\n",
                  side->name, rate.median, percent(rate), side->rate_count, what);
    return json_object_set_new(report->json, side->name, pack_side(side, rate)) == 0
               ? TARE_OK
               : tare_fail_memory(err, 0, "a report");
}

/* Of neighbours in time, so that a machine that becomes slower does not count. */
static tare_status add_ratio(tare_report *report, const tare_bench_facts *facts, tare_error *err) {
    double ratios[TARE_BENCH_REPETITIONS];
    const size_t count = facts->calibration->rate_count;
    middle ratio;

    for (size_t i = 0; i < count; i++) {
        const double bare = facts->inference->rates[i];
        ratios[i] = bare > 0.0 ? facts->calibration->rates[i] / bare : 0.0;
    }
    ratio = middle_of(ratios, count);
    tare_text_add(&report->text, "ratio       %10.3f           +- %.1f %%\n", ratio.median,
                  percent(ratio));
    return json_object_set_new(report->json, "ratio", json_real(ratio.median)) == 0 &&
                   json_object_set_new(report->json, "ratio_spread_percent",
                                       json_real(percent(ratio))) == 0
               ? TARE_OK
               : tare_fail_memory(err, 0, "a report");
}

static void add_start(tare_text *text, const tare_bench_side *side) {
    tare_text_add(text, "start of %s: device %.3f s, plan %.3f s, first batch %.3f s\n", side->name,
                  side->open_seconds, side->plan_seconds, side->first_seconds);
}

/* ---- layers ---- */

static const char *place_of(const tare_session *session, tare_plan_step_info step) {
    if (step.copy) {
        return "copy";
    }
    return step.on_host ? session->host->name : session->backend->name;
}

static json_t *pack_layer(const tare_session *session, tare_plan_step_info step,
                          const double *places, double total) {
    const double seconds = places[0], statistics = places[1];
    return json_pack("{s:o, s:o, s:s, s:I, s:s, s:b, s:I, s:f, s:f, s:f}", "node",
                     step.node == NULL ? json_null() : tare_json_text(step.node->name), "operator",
                     step.node == NULL ? json_null() : tare_json_text(step.node->op_type), "kernel",
                     step.kernel, "fused", (json_int_t)step.fused, "runs_on",
                     place_of(session, step), "view", step.view, "output_bytes",
                     (json_int_t)step.output_bytes, "milliseconds", 1e3 * seconds,
                     "statistics_milliseconds", 1e3 * statistics, "share",
                     total > 0.0 ? (seconds + statistics) / total : 0.0);
}

static void write_layer(tare_text *text, const tare_session *session, tare_plan_step_info step,
                        const double *places, double total) {
    tare_text_add(text, "%10.4f %10.4f %6.2f  %-5s %-18s %s", 1e3 * places[0], 1e3 * places[1],
                  total > 0.0 ? 100.0 * (places[0] + places[1]) / total : 0.0,
                  place_of(session, step), step.kernel, step.node == NULL ? "-" : step.node->name);
    if (step.fused > 0) {
        tare_text_add(text, " (+%zu)", step.fused);
    }
    tare_text_add(text, "\n");
}

/* Views cost nothing, but a value that is looked at may be complete with one. */
static tare_status add_layers(tare_report *report, json_t *all, const tare_bench_side *side,
                              tare_error *err) {
    const size_t steps = tare_plan_step_count(side->session->plan);
    json_t *list = json_array();
    json_t *entry = json_object();
    double total = 0.0;

    if (list == NULL || entry == NULL || json_object_set_new(all, side->name, entry) != 0 ||
        json_object_set_new(entry, "steps", list) != 0) {
        return tare_fail_memory(err, 0, "a report");
    }
    for (size_t i = 1; i < tare_bench_place_count(side->session); i++) {
        total += side->places[i];
    }
    tare_text_add(&report->text,
                  "steps of %s, for a batch of %lld: %.4f ms, of which %.4f ms statistics of "
                  "inputs\n        ms statistics      %%  on    kernel             node\n",
                  side->name, (long long)side->session->samples_per_run, 1e3 * total,
                  1e3 * side->places[1]);
    for (size_t i = 0; i < steps; i++) {
        const tare_plan_step_info step = tare_plan_step(side->session->plan, i);
        const double *places = &side->places[2 * i + 2];
        if (!step.view || places[1] > places[0]) {
            write_layer(&report->text, side->session, step, places, total);
        }
        if (json_array_append_new(list, pack_layer(side->session, step, places, total)) != 0) {
            return tare_fail_memory(err, 0, "a report");
        }
    }
    return json_object_set_new(entry, "milliseconds", json_real(1e3 * total)) == 0 &&
                   json_object_set_new(entry, "input_statistics_milliseconds",
                                       json_real(1e3 * side->places[1])) == 0
               ? TARE_OK
               : tare_fail_memory(err, 0, "a report");
}

static tare_status describe_layers(tare_report *report, const tare_bench_facts *facts,
                                   tare_error *err) {
    json_t *all;
    if (facts->inference->places == NULL || facts->calibration->places == NULL) {
        return TARE_OK;
    }
    all = json_object();
    if (all == NULL || json_object_set_new(report->json, "layers", all) != 0) {
        return tare_fail_memory(err, 0, "a report");
    }
    TARE_TRY(add_layers(report, all, facts->inference, err));
    return add_layers(report, all, facts->calibration, err);
}

/* ---- all ---- */

static tare_status add_run(tare_report *report, const tare_bench_facts *facts, tare_error *err) {
    const tare_session *session = facts->calibration->session;
    const bool device = session->device != NULL;
    const size_t samples = facts->calibration->inputs->count;
    json_t *run =
        json_pack("{s:o, s:s, s:o, s:s, s:i, s:I, s:I, s:b, s:s, s:I}", "model",
                  tare_json_text(facts->q->model->path), "device", session->backend->name,
                  "device_name", device ? tare_json_text(session->facts.name) : json_null(),
                  "precision", tare_session_precision(session), "threads", session->threads,
                  "batch", (json_int_t)session->samples_per_run, "samples", (json_int_t)samples,
                  "synthetic", facts->synthetic, "statistics", facts->statistics, "tensors",
                  (json_int_t)facts->q->point_count);

    tare_text_add(&report->text, "%s on %s, %s, ", facts->q->model->path,
                  device ? session->facts.name : session->backend->name,
                  tare_session_precision(session));
    if (device) {
        tare_text_add(&report->text, "batches of %lld", (long long)session->samples_per_run);
    } else {
        tare_text_add(&report->text, "%d threads", session->threads);
    }
    tare_text_add(&report->text, "; %zu %s samples in rotation\n", samples,
                  facts->synthetic ? "made-up" : "loaded");
    if (run == NULL || json_object_update(report->json, run) != 0) {
        json_decref(run);
        return tare_fail_memory(err, 0, "a report");
    }
    json_decref(run);
    return TARE_OK;
}

static tare_status add_memory(tare_report *report, const tare_bench_facts *facts, tare_error *err) {
    const bool device = facts->calibration->session->device != NULL;
    char host[TARE_BYTES_TEXT], used[TARE_BYTES_TEXT];

    TARE_TRY(tare_session_describe(report, facts->calibration->session, err));
    tare_text_add(&report->text, "peak memory of the process, both sides together: %s",
                  tare_bytes_text(host, sizeof host, facts->host_peak_bytes));
    if (device) {
        tare_text_add(&report->text, "; of the device %s",
                      tare_bytes_text(used, sizeof used, facts->device_used_bytes));
    }
    tare_text_add(&report->text, "\n");
    return json_object_set_new(report->json, "host_peak_bytes",
                               json_integer((json_int_t)facts->host_peak_bytes)) == 0 &&
                   json_object_set_new(report->json, "device_used_bytes",
                                       json_integer((json_int_t)facts->device_used_bytes)) == 0
               ? TARE_OK
               : tare_fail_memory(err, 0, "a report");
}

tare_status tare_bench_describe(tare_report *report, const tare_bench_facts *facts,
                                tare_error *err) {
    tare_text what = {0};
    tare_status status;

    TARE_TRY(add_run(report, facts, err));
    TARE_TRY(add_side(report, facts->inference, "", err));
    tare_text_add(&what, ", statistics (%s) of %zu tensors", facts->statistics,
                  facts->q->point_count);
    status = add_side(report, facts->calibration, what.data == NULL ? "" : what.data, err);
    tare_text_release(&what);
    TARE_TRY(status);
    TARE_TRY(add_ratio(report, facts, err));
    add_start(&report->text, facts->calibration);
    add_start(&report->text, facts->inference);
    TARE_TRY(add_memory(report, facts, err));
    TARE_TRY(describe_layers(report, facts, err));
    return tare_report_finish(report, err);
}
