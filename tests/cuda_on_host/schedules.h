/* SPDX-License-Identifier: Apache-2.0 */
/** The schedules under which every kernel is tested. */
#ifndef TARE_TESTS_CUDA_SCHEDULES_H
#define TARE_TESTS_CUDA_SCHEDULES_H

#include <stdbool.h>
#include <stdio.h>

#include "emulator.h"

#define SCHEDULE_COUNT 5

/** Schedule number `index`, below SCHEDULE_COUNT. */
static inline emulator_settings schedule_at(unsigned index) {
    static const emulator_schedule schedules[SCHEDULE_COUNT] = {
        EMULATOR_SCHEDULE_ASCENDING, EMULATOR_SCHEDULE_DESCENDING, EMULATOR_SCHEDULE_ROUND,
        EMULATOR_SCHEDULE_RANDOM, EMULATOR_SCHEDULE_RANDOM};
    emulator_settings settings = emulator_defaults();
    settings.schedule = schedules[index];
    settings.seed = index;
    return settings;
}

/** Whether kernels that are right stop being so under some schedule when threads do not wait at a
 * barrier. */
static inline bool barrier_is_needed(const char *name,
                                     bool (*are_right)(emulator_settings settings)) {
    char site[64]; /* names are the emulator's, until the next run */
    bool right = true;
    snprintf(site, sizeof site, "%s", name);
    for (unsigned schedule = 0; schedule < SCHEDULE_COUNT && right; schedule++) {
        emulator_settings settings = schedule_at(schedule);
        settings.ignored_barrier = site;
        right = are_right(settings);
    }
    return !right;
}

#endif
