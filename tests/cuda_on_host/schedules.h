/* SPDX-License-Identifier: Apache-2.0 */
/** The schedules under which every kernel is tested. */
#ifndef TARE_TESTS_CUDA_SCHEDULES_H
#define TARE_TESTS_CUDA_SCHEDULES_H

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

#endif
