/* SPDX-License-Identifier: Apache-2.0 */
/** Kernels with one fault each, for the tests of the emulator. */
#ifndef TARE_TESTS_CUDA_BROKEN_H
#define TARE_TESTS_CUDA_BROKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum broken_fault {
    BROKEN_NOTHING,
    BROKEN_STORE_BEHIND,         /**< stores one element behind the output */
    BROKEN_SHARED_BEHIND,        /**< stores one element behind a shared array */
    BROKEN_DYNAMIC_BEHIND,       /**< the same with the launch's shared memory */
    BROKEN_BARRIER_MISSING,      /**< reads what another thread has perhaps not written yet */
    BROKEN_BARRIER_DIVERGENT,    /**< odd and even threads wait at different barriers */
    BROKEN_BARRIER_LEFT,         /**< some threads end while others wait */
    BROKEN_COLLECTIVE_DIVERGENT, /**< half a warp is at another collective */
    BROKEN_COLLECTIVE_LEFT,      /**< half a warp ends before a collective */
    BROKEN_MASK,                 /**< a collective of half a warp */
    BROKEN_MISALIGNED,           /**< loads 16 bytes from an odd place */
    BROKEN_TOO_MUCH_SHARED       /**< asks for more shared memory than was agreed */
} broken_fault;

/** Turns each block's 64 elements round: out[i] = in[63 - i], by way of shared memory, in `blocks`
 * blocks. False when the launch failed. */
bool broken_run(uint32_t *out, const uint32_t *in, unsigned blocks, broken_fault fault);

/** Threads of 64 meet the others of their warp once, in `blocks` blocks, and then write their
 * numbers (64 * block + thread) in the order in which they go on. order[0] counts them; the numbers
 * follow. Only the emulator, where one thread runs at a time, gives a sense to this. */
bool broken_order(uint32_t *order, unsigned blocks);

#ifdef __cplusplus
}
#endif

#endif
