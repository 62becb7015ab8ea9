/* SPDX-License-Identifier: Apache-2.0 */
/** Public API: calibrating into a state. tare_calibrate() reads in the order of the work. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "calibration.h"
#include "stats/nncf_set.h"

#define CHECKPOINT_SECONDS 30.0

TARE_API void tare_calibrate_options_init(tare_calibrate_options *options) {
    *options = (tare_calibrate_options){.shard = 1,
                                        .shards = 1,
                                        .checkpoint_seconds = CHECKPOINT_SECONDS,
                                        .collect = "all",
                                        .quantile = TARE_NNCF_PROBABILITY,
                                        .target = "openvino"};
    tare_run_options_init(&options->run);
}

/* Everything one calibration owns or refers to. */
typedef struct calibrating {
    const tare_calibrate_options *options;
    const char *path, *partial; /* of the state and of its checkpoint */
    tare_quantization q;
    tare_feed feed;
    tare_state_identity identity;
    tare_state_file earlier; /* what is resumed */
    const char *earlier_path;
    tare_calibration c;
    uint64_t kept; /* samples of earlier runs */
    tare_report *report;
} calibrating;

static tare_quantize_options placement_options(const tare_calibrate_options *options) {
    return (tare_quantize_options){.run = options->run,
                                   .target = options->target,
                                   .ignored_names = options->ignored_names,
                                   .ignored_name_count = options->ignored_name_count,
                                   .ignored_types = options->ignored_types,
                                   .ignored_type_count = options->ignored_type_count,
                                   .ignored_patterns = options->ignored_patterns,
                                   .ignored_pattern_count = options->ignored_pattern_count};
}

static bool exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

static tare_status check_options(calibrating *k, tare_error *err) {
    const tare_calibrate_options *options = k->options;
    if (options->shard < 1 || options->shard > options->shards) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "there is no shard %llu of %llu",
                         (unsigned long long)options->shard, (unsigned long long)options->shards);
    }
    if (!options->resume && exists(k->partial)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "'%s' is the checkpoint of an unfinished run; resume it or remove it",
                         k->partial);
    }
    const tare_status status = tare_collect_parse(&k->q.collect, options->collect, ',', err);
    if (status != TARE_OK) {
        tare_error_prepend(err, "collect: ");
        return status;
    }
    k->q.quantile = options->quantile;
    if (!(options->quantile >= 0.0 && options->quantile <= 0.5)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "the quantile %g is not from 0 to 0.5",
                         options->quantile);
    }
    return tare_output_check(k->path, err);
}

/* ---- which samples ---- */

static tare_status choose_shard(calibrating *k, tare_error *err) {
    const uint64_t shards = k->options->shards;
    const size_t all = k->feed.count;
    size_t *order;
    size_t count = 0;

    if (shards > all) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "%llu shards of %zu samples",
                         (unsigned long long)shards, all);
    }
    order = tare_arena_array(&k->q.arena, all, sizeof *order);
    if (order == NULL) {
        return tare_fail_memory(err, all * sizeof *order, "the order of samples");
    }
    for (size_t i = (size_t)(k->options->shard - 1); i < all; i += (size_t)shards) {
        order[count++] = i;
    }
    k->feed.order = order;
    k->feed.count = count;
    return TARE_OK;
}

/* Reads the checkpoint or, without one, the finished state, unless neither is there. */
static tare_status read_earlier(calibrating *k, const tare_state_spec *spec, tare_error *err) {
    const char *path = exists(k->partial) ? k->partial : k->path;
    tare_status status;

    if (!k->options->resume || !exists(path)) {
        return TARE_OK;
    }
    k->earlier_path = path;
    TARE_TRY(tare_state_read(&k->earlier, path, err));
    status = tare_state_identity_check(&k->earlier.identity, &k->identity, err);
    if (status == TARE_OK) {
        status = tare_state_check_spec(k->earlier.state, spec, err);
    }
    if (status != TARE_OK) {
        tare_error_prepend(err, "'%s': ", path);
        return status;
    }
    k->kept = tare_state_sample_count(k->earlier.state);
    tare_note(&k->options->run, "'%s' holds %llu samples already", path,
              (unsigned long long)k->kept);
    return TARE_OK;
}

/* Whether every sample of the earlier state is among those that were seen. */
static tare_status check_all_seen(const calibrating *k, const bool *seen, tare_error *err) {
    const tare_state *state = k->earlier.state;
    for (uint64_t i = 0; i < tare_state_sample_count(state); i++) {
        if (!seen[i]) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "'%s' has sample '%s', which is not among the %zu that this run is "
                             "to take, has changed since, or is there twice",
                             k->earlier_path, tare_state_sample_at(state, i).name, k->feed.count);
        }
    }
    return TARE_OK;
}

/* Leaves only the samples that the earlier state lacks. Samples are recognised by their content:
 * files that changed in between must not slip through. */
static tare_status leave_out_kept(calibrating *k, tare_error *err) {
    const tare_state *state = k->earlier.state;
    size_t *order = tare_arena_array(&k->q.arena, k->feed.count, sizeof *order);
    bool *seen = tare_arena_array(&k->q.arena, (size_t)k->kept, sizeof *seen);
    tare_sample spare = {0};
    tare_source_scratch scratch = {0};
    size_t count = 0;
    tare_status status = TARE_OK;

    if (order == NULL || seen == NULL) {
        return tare_fail_memory(err, k->feed.count * sizeof *order, "the order of samples");
    }
    for (size_t i = 0; i < k->feed.count; i++) {
        const size_t index = k->feed.order[i];
        uint64_t id = 0, known = UINT64_MAX;
        status = tare_samples_identify(&id, k->feed.samples, index, &spare, &scratch, err);
        if (status == TARE_OK) {
            known = tare_state_find_sample(state, id);
        } else if (!k->options->run.skip_bad) {
            goto done;
        }
        if (known != UINT64_MAX) {
            seen[known] = true;
        } else {
            order[count++] = index;
        }
    }
    status = check_all_seen(k, seen, err);
    k->feed.order = order;
    k->feed.count = count;
done:
    tare_sample_release(&spare);
    tare_preprocess_scratch_release(&scratch);
    return status;
}

/* ---- running ---- */

/* A full disk may have room again later: only the final state must be written. */
static void save_checkpoint(void *user, const tare_state *state) {
    calibrating *k = user;
    tare_error error = {TARE_OK, ""};
    k->identity.precision = tare_session_precision(&k->q.session);
    if (tare_state_write(k->partial, state, &k->identity, &error) != TARE_OK) {
        tare_warn(&k->options->run, "no checkpoint: %s", error.text);
    }
}

static tare_status prepare_state(calibrating *k, const tare_state_spec *spec, tare_error *err) {
    k->c = (tare_calibration){.q = &k->q, .first_slot = k->kept};
    if (k->options->checkpoint_seconds > 0.0) {
        k->c.checkpoint = save_checkpoint;
        k->c.checkpoint_seconds = k->options->checkpoint_seconds;
        k->c.user = k;
    }
    if (k->earlier.state == NULL) {
        return tare_state_new(&k->c.state, spec, k->feed.count, err);
    }
    k->c.state = k->earlier.state;
    k->earlier.state = NULL;
    return tare_state_reserve(k->c.state, k->feed.count, err);
}

static tare_status describe(calibrating *k, const tare_run_summary *summary, tare_error *err) {
    const double rate = summary->seconds > 0.0 ? (double)summary->samples / summary->seconds : 0.0;
    const uint64_t total = tare_state_sample_count(k->c.state);
    json_t *run =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "samples", (json_int_t)total, "earlier",
                  (json_int_t)k->kept, "skipped", (json_int_t)summary->skipped, "shard",
                  (json_int_t)k->options->shard, "shards", (json_int_t)k->options->shards,
                  "seconds", summary->seconds, "images_per_second", rate);
    tare_text *text = &k->report->text;

    if (run == NULL || json_object_set_new(k->report->json, "calibration", run) != 0 ||
        json_object_set_new(k->report->json, "tensors",
                            json_integer((json_int_t)k->q.point_count)) != 0 ||
        json_object_set_new(k->report->json, "output", tare_json_text(k->path)) != 0) {
        return tare_fail_memory(err, 0, "a report");
    }
    tare_text_add(text, "watched %zu tensors for %s\n", k->q.point_count, k->q.target->name);
    if (k->options->shards > 1) {
        tare_text_add(text, "shard %llu of %llu\n", (unsigned long long)k->options->shard,
                      (unsigned long long)k->options->shards);
    }
    tare_text_add(text, "calibrated on %zu samples in %.2f s (%.1f images/s)", summary->samples,
                  summary->seconds, rate);
    if (summary->skipped > 0) {
        tare_text_add(text, ", %zu skipped", summary->skipped);
    }
    if (k->kept > 0) {
        tare_text_add(text, ", %llu from before", (unsigned long long)k->kept);
    }
    tare_text_add(text, "\nwrote %s: %llu samples\n", k->path, (unsigned long long)total);
    return tare_report_finish(k->report, err);
}

static tare_status run_samples(calibrating *k, tare_run_summary *summary, tare_error *err) {
    const tare_run_options *run = &k->options->run;
    tare_status status;

    if (k->feed.count == 0) {
        tare_state_settle(k->c.state);
        return TARE_OK;
    }
    status = tare_calibration_run(summary, &k->c, &k->feed, run, err);
    if (status == TARE_CANCELLED && exists(k->partial)) {
        tare_note(run, "'%s' holds what was done; resume to go on from there", k->partial);
    }
    return status;
}

/* Everything after the data are open: place, resume, plan, run, write. */
static tare_status calibrate(calibrating *k, const tare_model *model, tare_error *err) {
    const tare_quantize_options placement = placement_options(k->options);
    tare_run_summary summary = {0};
    tare_calibration_size size;

    TARE_TRY(choose_shard(k, err));
    TARE_TRY(tare_quantization_watch(&k->q, model, k->feed.shapes, k->feed.shape_count, &placement,
                                     err));
    TARE_TRY(tare_calibration_identify(&k->identity, &k->q.arena, model, &k->feed, err));
    k->identity.precision = tare_session_precision(&k->q.session);
    size.spec = tare_calibration_spec(&k->q);
    TARE_TRY(read_earlier(k, &size.spec, err));
    if (k->earlier.state != NULL) {
        TARE_TRY(leave_out_kept(k, err));
    }
    size.samples = k->kept + k->feed.count;
    TARE_TRY(tare_calibration_plan(&k->q, &k->feed, &size, &k->options->run, err));
    TARE_TRY(prepare_state(k, &size.spec, err));
    TARE_TRY(run_samples(k, &summary, err));
    TARE_TRY(tare_session_describe(k->report, &k->q.session, err));
    k->identity.precision = tare_session_precision(&k->q.session);
    TARE_TRY(tare_state_write(k->path, k->c.state, &k->identity, err));
    (void)unlink(k->partial);
    return describe(k, &summary, err);
}

TARE_API tare_status tare_calibrate(const tare_model *model, const tare_dataset *dataset,
                                    const char *path, const tare_calibrate_options *options,
                                    tare_report **report, tare_error *err) {
    const tare_quantize_options placement = placement_options(options);
    const uint64_t limit = options->samples == 0 ? UINT64_MAX : options->samples;
    calibrating k = {.options = options, .path = path};
    tare_status status;

    TARE_TRY_DONE(status, tare_quantization_init(&k.q, &placement, err));
    k.partial = tare_arena_printf(&k.q.arena, "%s.partial", path);
    if (k.partial == NULL) {
        status = tare_fail_memory(err, strlen(path), "a path");
        goto done;
    }
    TARE_TRY_DONE(status, check_options(&k, err));
    TARE_TRY_DONE(status, tare_report_new(&k.report, err));
    TARE_TRY_DONE(status, tare_session_open(&k.q.session, &options->run, err));
    TARE_TRY_DONE(status,
                  tare_feed_open(&k.feed, dataset, &model->graph, limit, &options->run, err));
    TARE_TRY_DONE(status, tare_feed_describe(k.report, &k.feed, dataset, err));
    status = calibrate(&k, model, err);
done:
    if (report != NULL) {
        *report = status == TARE_OK ? k.report : NULL;
    }
    if (report == NULL || status != TARE_OK) {
        tare_report_free(k.report);
    }
    tare_calibration_release(&k.c);
    tare_state_file_release(&k.earlier);
    tare_feed_close(&k.feed);
    tare_quantization_release(&k.q);
    return status;
}
