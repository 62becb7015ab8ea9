/* SPDX-License-Identifier: Apache-2.0 */
/** Public API: what can be used to run models. */
#include "model.h"
#include "registry.h"
#include "session.h"

static tare_status describe_backends(tare_report *report, tare_error *err) {
    json_t *devices = json_array();
    if (devices == NULL || json_object_set_new(report->json, "devices", devices) != 0) {
        return tare_fail_memory(err, 0, "a report");
    }
    for (size_t i = 0; tare_backends[i] != NULL; i++) {
        const tare_backend *backend = tare_backends[i];
        const char *detail = backend->describe == NULL ? "" : backend->describe();
        json_t *entry = json_pack("{s:s, s:b, s:i, s:s}", "name", backend->name, "usable", 1,
                                  "processors", tare_processor_count(), "detail", detail);
        if (entry == NULL || json_array_append_new(devices, entry) != 0) {
            return tare_fail_memory(err, 0, "a report");
        }
        tare_text_add(&report->text, "%-5s usable: %d processors, %s\n", backend->name,
                      tare_processor_count(), detail);
    }
    tare_text_add(&report->text, "cuda  not usable: this version has no CUDA backend\n");
    return json_array_append_new(devices,
                                 json_pack("{s:s, s:b, s:s}", "name", "cuda", "usable", 0, "reason",
                                           "this version has no CUDA backend")) == 0
               ? TARE_OK
               : tare_fail_memory(err, 0, "a report");
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
