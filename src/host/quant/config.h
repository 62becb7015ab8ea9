/* SPDX-License-Identifier: Apache-2.0 */
/** Quantizer configurations: what a quantizer may be, before the data decides its numbers. */
#ifndef TARE_QUANT_CONFIG_H
#define TARE_QUANT_CONFIG_H

#include "base/arena.h"

/** One way to quantize a tensor. */
typedef struct tare_quantizer_config {
    unsigned bits;
    bool symmetric;   /**< zero is in the middle (or at the lower end of an unsigned range) */
    bool per_channel; /**< one scale per index of one axis, else one for the whole tensor */
    bool narrow;      /**< the lowest code is not used, so that the range is symmetric too */
    bool signed_only; /**< signed even when nothing is negative; else the data decide */
} tare_quantizer_config;

/** A list of allowed configurations, the preferred one first. Not owned. */
typedef struct tare_config_list {
    const tare_quantizer_config *items;
    size_t count;
} tare_config_list;

bool tare_config_equal(const tare_quantizer_config *a, const tare_quantizer_config *b);

/** Equal configurations in the same order. */
bool tare_config_lists_equal(tare_config_list a, tare_config_list b);

/** Those of `list` whose scheme is symmetric (or is not), in order, in `arena`. */
TARE_MUST_CHECK tare_status tare_config_list_filter(tare_config_list *out, tare_arena *arena,
                                                    tare_config_list list, bool symmetric,
                                                    tare_error *err);

/**
 * The configurations that every one of `count` lists has, for a quantizer that serves all of them.
 * Each list votes with the position it gives to a configuration; ties prefer more bits, then one
 * scale per tensor, then the symmetric scheme. out->count is 0 when the lists have nothing in
 * common.
 */
TARE_MUST_CHECK tare_status tare_config_list_merge(tare_config_list *out, tare_arena *arena,
                                                   const tare_config_list *lists, size_t count,
                                                   tare_error *err);

/**
 * The per-tensor configurations of weights that also serve as configurations of the activation: the
 * table row read by an embedding is then quantized already. Order of `weights`.
 */
TARE_MUST_CHECK tare_status tare_config_list_share(tare_config_list *out, tare_arena *arena,
                                                   tare_config_list weights,
                                                   tare_config_list activations, tare_error *err);

/** Whether a quantizer `lower` adds nothing behind a quantizer `upper`. */
bool tare_config_is_redundant(const tare_quantizer_config *upper,
                              const tare_quantizer_config *lower);

#endif
