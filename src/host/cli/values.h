/* SPDX-License-Identifier: Apache-2.0 */
/** How the values of options are read: one kind per form of value. */
#ifndef TARE_CLI_VALUES_H
#define TARE_CLI_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tare.h"

/** Texts of an option that may be repeated; they point into argv. */
typedef struct tare_cli_texts {
    const char **items;
    size_t count;
} tare_cli_texts;

/** Shapes of inputs: views without data whose names point into argv. */
typedef struct tare_cli_shapes {
    tare_array_view *items;
    size_t count;
} tare_cli_shapes;

/** Part `number` (from 1) of `count`; zeroed: not given. */
typedef struct tare_cli_shard {
    uint64_t number, count;
} tare_cli_shard;

/** A length of time. */
typedef struct tare_cli_duration {
    uint64_t milliseconds;
    bool given;
} tare_cli_duration;

/** A probability. */
typedef struct tare_cli_probability {
    double value;
    bool given;
} tare_cli_probability;

/** A kind of value. `set` reads `value` (which it may modify) into the field and returns NULL, or
 * returns what it expected instead. */
typedef struct tare_cli_kind {
    const char *(*set)(void *field, char *value);
    bool repeatable;
} tare_cli_kind;

extern const tare_cli_kind tare_cli_switch;    /**< bool: present or not */
extern const tare_cli_kind tare_cli_text;      /**< const char *: not empty */
extern const tare_cli_kind tare_cli_text_list; /**< tare_cli_texts */
extern const tare_cli_kind tare_cli_count;     /**< uint64_t, 1 to 2^31 - 1 */
extern const tare_cli_kind tare_cli_size;      /**< uint64_t: bytes, with K, M, G or T */
extern const tare_cli_kind tare_cli_parts;     /**< tare_cli_shard: I/N */
extern const tare_cli_kind tare_cli_time;      /**< tare_cli_duration: with ms, s, m or h */
extern const tare_cli_kind tare_cli_half;      /**< tare_cli_probability: 0 to 0.5 */
extern const tare_cli_kind tare_cli_shape;     /**< tare_cli_shapes: NAME=1x3x224x224 */

#endif
