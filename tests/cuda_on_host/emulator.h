/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Runs kernels on the CPU: how a test chooses the order in which threads run, pretends to be
 * another device, breaks things on purpose, and learns what went wrong.
 *
 * A block's threads are fibers that run until they wait (barrier, warp collective) or end; blocks
 * run one after the other. Memory is the host's, so AddressSanitizer sees every wrong access;
 * shared memory is allocated per block and filled with 0xff. What the emulator itself refuses:
 * threads that wait at different barriers or end while others wait, collectives that not the whole
 * warp reaches, loads that are not aligned, and launches that the device could not take. What it
 * cannot show: time, and races between blocks.
 */
#ifndef TARE_TESTS_EMULATOR_H
#define TARE_TESTS_EMULATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Which of the threads that could run runs next. */
typedef enum emulator_schedule {
    EMULATOR_SCHEDULE_ASCENDING,  /**< the lowest, so that it runs ahead as far as it can */
    EMULATOR_SCHEDULE_DESCENDING, /**< the highest; blocks in descending order too */
    EMULATOR_SCHEDULE_ROUND,      /**< the next after the last one */
    EMULATOR_SCHEDULE_RANDOM      /**< drawn from the seed; blocks in random order too */
} emulator_schedule;

typedef struct emulator_settings {
    emulator_schedule schedule;
    uint32_t seed;
    int processors;              /**< what cudaDeviceGetAttribute() says */
    size_t shared_bytes;         /**< shared memory of a multiprocessor; a block gets 1 KB less */
    int refused_launch;          /**< the launch of this number (from 1) is refused; 0: none */
    const char *ignored_barrier; /**< "file:line" of a barrier that does nothing; NULL: none */
} emulator_settings;

/** Ascending order on a device with 2 multiprocessors of 228 KB. */
emulator_settings emulator_defaults(void);

/** Holds for the launches to come; counts launches from 1 again and forgets failures. */
void emulator_set(emulator_settings settings);

/** What the emulator found wrong since emulator_set(), or NULL. The launch itself was reported as
 * failed to the caller. */
const char *emulator_failure(void);

/** The barriers ("file:line") met since the program began; the name of number `index` or NULL. */
const char *emulator_barrier(size_t index);

/** What the kernels use in place of the device's instructions. */
float tare_half_to_float(uint16_t bits);
uint16_t tare_float_to_half(float value);

#ifdef __cplusplus
}
#endif

#endif
