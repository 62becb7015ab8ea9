/* SPDX-License-Identifier: Apache-2.0 */
/** What kernel tests ask of the emulator and of the fake libraries, where there are neither. */
#include "emulator.h"
#include "fake_cudnn.h"
#include "ir/half.h"

emulator_settings emulator_defaults(void) {
    return (emulator_settings){.schedule = EMULATOR_SCHEDULE_ASCENDING};
}

void emulator_set(emulator_settings settings) {
    (void)settings;
}

const char *emulator_failure(void) {
    return NULL;
}

const char *emulator_barrier(size_t index) {
    (void)index;
    return NULL;
}

float tare_half_to_float(uint16_t bits) {
    return (float)tare_half_to_double(bits);
}

uint16_t tare_float_to_half(float value) {
    return tare_half_from_double((double)value);
}

void fake_cudnn_set(fake_cudnn_settings settings) {
    (void)settings;
}

fake_cudnn_counts fake_cudnn_count(void) {
    return (fake_cudnn_counts){0};
}
