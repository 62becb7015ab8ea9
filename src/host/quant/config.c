/* SPDX-License-Identifier: Apache-2.0 */
/** Comparing and merging lists of quantizer configurations. */
#include "quant/config.h"

bool tare_config_equal(const tare_quantizer_config *a, const tare_quantizer_config *b) {
    return a->bits == b->bits && a->symmetric == b->symmetric && a->per_channel == b->per_channel &&
           a->narrow == b->narrow && a->signed_only == b->signed_only;
}

bool tare_config_lists_equal(tare_config_list a, tare_config_list b) {
    if (a.count != b.count) {
        return false;
    }
    for (size_t i = 0; i < a.count; i++) {
        if (!tare_config_equal(&a.items[i], &b.items[i])) {
            return false;
        }
    }
    return true;
}

/* The position of a configuration in a list, or the length of the list when it is not there. */
static size_t config_find(tare_config_list list, const tare_quantizer_config *config) {
    size_t i = 0;
    while (i < list.count && !tare_config_equal(&list.items[i], config)) {
        i++;
    }
    return i;
}

static tare_status list_new(tare_quantizer_config **items, tare_arena *arena, size_t count,
                            tare_error *err) {
    *items = tare_arena_array(arena, count, sizeof(**items));
    if (*items == NULL) {
        return tare_fail_memory(err, count * sizeof(**items), "quantizer configurations");
    }
    return TARE_OK;
}

tare_status tare_config_list_filter(tare_config_list *out, tare_arena *arena, tare_config_list list,
                                    bool symmetric, tare_error *err) {
    tare_quantizer_config *items;
    size_t count = 0;
    TARE_TRY(list_new(&items, arena, list.count, err));
    for (size_t i = 0; i < list.count; i++) {
        if (list.items[i].symmetric == symmetric) {
            items[count++] = list.items[i];
        }
    }
    *out = (tare_config_list){items, count};
    return TARE_OK;
}

/* Whether `a` is preferred to `b` when the lists are indifferent. */
static bool config_precedes(const tare_quantizer_config *a, const tare_quantizer_config *b) {
    if (a->bits != b->bits) {
        return a->bits > b->bits;
    }
    if (a->per_channel != b->per_channel) {
        return !a->per_channel;
    }
    return a->symmetric && !b->symmetric;
}

tare_status tare_config_list_merge(tare_config_list *out, tare_arena *arena,
                                   const tare_config_list *lists, size_t count, tare_error *err) {
    tare_quantizer_config *items;
    size_t kept = 0;
    TARE_TRY(list_new(&items, arena, lists[0].count, err));
    size_t *votes = tare_arena_array(arena, lists[0].count, sizeof(*votes));
    if (votes == NULL) {
        return tare_fail_memory(err, lists[0].count * sizeof(*votes), "quantizer configurations");
    }
    for (size_t i = 0; i < lists[0].count; i++) {
        const tare_quantizer_config *config = &lists[0].items[i];
        size_t sum = i;
        bool common = true;
        for (size_t k = 1; k < count && common; k++) {
            const size_t position = config_find(lists[k], config);
            common = position < lists[k].count;
            sum += position;
        }
        if (!common) {
            continue;
        }
        size_t at = kept++;
        while (at > 0 && (votes[at - 1] > sum ||
                          (votes[at - 1] == sum && config_precedes(config, &items[at - 1])))) {
            items[at] = items[at - 1];
            votes[at] = votes[at - 1];
            at--;
        }
        items[at] = *config;
        votes[at] = sum;
    }
    *out = (tare_config_list){items, kept};
    return TARE_OK;
}

tare_status tare_config_list_share(tare_config_list *out, tare_arena *arena,
                                   tare_config_list weights, tare_config_list activations,
                                   tare_error *err) {
    tare_quantizer_config *items;
    size_t count = 0;
    TARE_TRY(list_new(&items, arena, weights.count, err));
    for (size_t i = 0; i < weights.count; i++) {
        /* An activation whose sign the data decide can live with signed codes. */
        tare_quantizer_config open = weights.items[i];
        open.signed_only = false;
        if (!open.per_channel && (config_find(activations, &weights.items[i]) < activations.count ||
                                  config_find(activations, &open) < activations.count)) {
            items[count++] = weights.items[i];
        }
    }
    *out = (tare_config_list){items, count};
    return TARE_OK;
}

bool tare_config_is_redundant(const tare_quantizer_config *upper,
                              const tare_quantizer_config *lower) {
    const bool scheme = upper->symmetric == lower->symmetric || upper->symmetric;
    const bool channels = upper->per_channel == lower->per_channel || lower->per_channel;
    return upper->bits == lower->bits && scheme && channels && upper->narrow == lower->narrow;
}
