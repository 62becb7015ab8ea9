/* SPDX-License-Identifier: Apache-2.0 */
/** Public API: what can be used to run models. */
#include <stdio.h>

#include "model.h"
#include "registry.h"
#include "session.h"

/* Takes `entry` (NULL: it could not be made) into the report's list. */
static tare_status add_entry(json_t *list, json_t *entry, tare_error *err) {
    return json_array_append_new(list, entry) == 0 ? TARE_OK : tare_fail_memory(err, 0, "a report");
}

static tare_status describe_built_in(tare_report *report, json_t *list, const tare_backend *backend,
                                     tare_error *err) {
    const char *detail = backend->describe == NULL ? "" : backend->describe();
    tare_text_add(&report->text, "%-5s usable: %d processors, %s\n", backend->name,
                  tare_processor_count(), detail);
    return add_entry(list,
                     json_pack("{s:s, s:b, s:i, s:s}", "name", backend->name, "usable", 1,
                               "processors", tare_processor_count(), "detail", detail),
                     err);
}

static tare_status describe_missing(tare_report *report, json_t *list,
                                    const tare_plugin_source *source, const char *reason,
                                    tare_error *err) {
    tare_text_add(&report->text, "%-5s not usable: %s\n", source->backend, reason);
    return add_entry(list,
                     json_pack("{s:s, s:b, s:s, s:[]}", "name", source->backend, "usable", 0,
                               "reason", reason, "parts"),
                     err);
}

/* "driver: what is wrong with it" of the first part that cannot be used. */
static void find_reason(char *out, size_t capacity, const tare_device_survey *survey) {
    size_t i = 0;
    while (i < survey->part_count && survey->parts[i].usable) {
        i++;
    }
    (void)snprintf(out, capacity, "%s: %s",
                   i < survey->part_count ? survey->parts[i].name : "device",
                   i < survey->part_count ? survey->parts[i].detail : "none was found");
}

static tare_status describe_parts(tare_report *report, json_t *list,
                                  const tare_device_survey *survey, tare_error *err) {
    for (size_t i = 0; i < survey->part_count; i++) {
        const tare_device_part *part = &survey->parts[i];
        tare_text_add(&report->text, "      %-9s %-10s  %s%s%s\n", part->name,
                      part->usable ? "usable" : "not usable", part->version,
                      part->version[0] == '\0' ? "" : "  ", part->detail);
        TARE_TRY(
            add_entry(list,
                      json_pack("{s:s, s:b, s:s, s:s}", "name", part->name, "usable", part->usable,
                                "version", part->version, "detail", part->detail),
                      err));
    }
    return TARE_OK;
}

static tare_status describe_plugin(tare_report *report, json_t *list,
                                   const tare_plugin_source *source, tare_error *err) {
    const tare_backend *backend;
    tare_device_survey survey;
    tare_error why = {0};
    char reason[TARE_ERROR_TEXT_BYTES] = "";
    if (tare_plugin_load(&backend, source, &why) != TARE_OK) {
        return describe_missing(report, list, source, why.text, err);
    }
    backend->device->survey(&survey, true);
    if (survey.usable) {
        tare_text_add(&report->text, "%-5s usable: %d device%s\n", backend->name,
                      survey.device_count, survey.device_count == 1 ? "" : "s");
    } else {
        find_reason(reason, sizeof reason, &survey);
        tare_text_add(&report->text, "%-5s not usable: %s\n", backend->name, reason);
    }
    json_t *parts = json_array();
    json_t *entry = json_pack("{s:s, s:b, s:i, s:s, s:s, s:o}", "name", backend->name, "usable",
                              survey.usable, "devices", survey.device_count, "reason", reason,
                              "plugin", tare_plugin_file(source), "parts", parts);
    TARE_TRY(add_entry(list, entry, err));
    return describe_parts(report, parts, &survey, err);
}

static tare_status describe_backends(tare_report *report, tare_error *err) {
    json_t *list = json_array();
    if (list == NULL || json_object_set_new(report->json, "devices", list) != 0) {
        return tare_fail_memory(err, 0, "a report");
    }
    for (size_t i = 0; tare_backends[i] != NULL; i++) {
        TARE_TRY(describe_built_in(report, list, tare_backends[i], err));
    }
    for (const tare_plugin_source *source = tare_plugins; source->backend != NULL; source++) {
        TARE_TRY(describe_plugin(report, list, source, err));
    }
    return TARE_OK;
}

TARE_API tare_status tare_devices(tare_report **report, tare_error *err) {
    tare_status status;
    TARE_TRY(tare_report_new(report, err));
    status = describe_backends(*report, err);
    if (status == TARE_OK) {
        status = tare_report_finish(*report, err);
    }
    if (status != TARE_OK) {
        tare_report_free(*report);
        *report = NULL;
    }
    return status;
}
