/* SPDX-License-Identifier: Apache-2.0 */
/** Placement from end to end: flow, patterns, hook graph, propagation, choice of configurations. */
#include "quant/setup.h"

#include "quant/ignore.h"
#include "quant/points.h"

/* What the stages share. `scratch` goes when placement is done, the setup lives in `arena`. */
typedef struct placement {
    tare_arena *scratch;
    const tare_placement_options *options;
    bool transformer, symmetric;
    tare_flow flow;
    tare_hook_graph hooks;
    tare_propagation work;
    bool *ignored, *weighted;
    tare_weight_plan *weights;
} placement;

/* Weights are symmetric in every preset. Ignored operators keep theirs float, but still count as
 * weighted for the search of post-processing. */
static tare_status weights_plan(placement *p, tare_error *err) {
    const size_t count = p->flow.node_count;
    p->weighted = tare_arena_array(p->scratch, count, sizeof(*p->weighted));
    p->weights = tare_arena_array(p->scratch, count, sizeof(*p->weights));
    if (p->weighted == NULL || p->weights == NULL) {
        return tare_fail_memory(err, count * sizeof(*p->weights), "quantizer placement");
    }
    for (size_t i = 0; i < count; i++) {
        const tare_flow_node *node = &p->flow.nodes[i];
        p->weights[i].group = TARE_NO_GROUP;
        p->weighted[i] = node->alive && node->weight_ports != 0 && node->rule->weights.count > 0;
        if (p->weighted[i] && !p->ignored[i]) {
            TARE_TRY(tare_config_list_filter(&p->weights[i].configs, p->scratch,
                                             node->rule->weights, true, err));
        }
    }
    return TARE_OK;
}

/* Only the first member of a fused operator has its weights quantized, and none of one that was
 * made float. */
static void weights_drop(placement *p) {
    for (size_t i = 0; i < p->hooks.hook_count; i++) {
        const tare_hook *node = &p->hooks.hooks[i];
        for (size_t k = 0; k < node->member_count; k++) {
            if (k > 0 || node->ignored) {
                p->weights[node->members[k]].configs.count = 0;
            }
        }
    }
}

/* Where a quantizer reached the operator whose rows it would quantize, the weights take over when
 * both sides can have the same configuration. */
static tare_status table_resolve(placement *p, tare_mover *mover, tare_error *err) {
    tare_weight_plan *plan = &p->weights[p->hooks.hooks[mover->table].flow];
    const size_t group = tare_mover_group(&p->work, mover);
    tare_config_list common = plan->configs;
    const tare_mover_list *movers = &p->work.movers;
    for (size_t i = 0; i < movers->count; i++) {
        const tare_mover *other = movers->items[i];
        if (other == mover || (group != TARE_NO_GROUP && !other->removed &&
                               tare_mover_group(&p->work, other) == group)) {
            TARE_TRY(tare_config_list_share(&common, p->scratch, common, other->configs, err));
        }
    }
    if (common.count == 0) {
        mover->table = SIZE_MAX;
        return TARE_OK;
    }
    plan->configs = common;
    plan->group = group;
    for (size_t i = 0; i < movers->count; i++) {
        tare_mover *other = movers->items[i];
        if (other == mover || (group != TARE_NO_GROUP && !other->removed &&
                               tare_mover_group(&p->work, other) == group)) {
            other->configs = common;
        }
    }
    return TARE_OK;
}

static tare_status tables_resolve(placement *p, tare_error *err) {
    const tare_mover_list *movers = &p->work.movers;
    for (size_t i = 0; i < movers->count; i++) {
        if (!movers->items[i]->removed && movers->items[i]->table != SIZE_MAX) {
            TARE_TRY(table_resolve(p, movers->items[i], err));
        }
    }
    return TARE_OK;
}

/* In transformers, products of two activations take symmetric inputs. */
static tare_status attention_adjust(placement *p, tare_error *err) {
    for (size_t i = 0; i < p->work.movers.count; i++) {
        tare_mover *mover = p->work.movers.items[i];
        bool attention = false;
        for (size_t k = 0; k < mover->sinks.count && !mover->removed; k++) {
            const tare_flow_node *sink = &p->flow.nodes[p->hooks.hooks[mover->sinks.items[k]].flow];
            attention |=
                (sink->rule->tags & p->flow.target->attention) != 0 && sink->weight_ports == 0;
        }
        if (attention && !mover->configs.items[0].symmetric) {
            tare_quantizer_config *config = tare_arena_alloc(p->scratch, sizeof(*config));
            if (config == NULL) {
                return tare_fail_memory(err, sizeof(*config), "quantizer placement");
            }
            *config = mover->configs.items[0];
            config->symmetric = true;
            mover->configs = (tare_config_list){config, 1};
        }
    }
    return TARE_OK;
}

static tare_status placement_run(placement *p, tare_quantizer_setup *setup, tare_arena *arena,
                                 tare_graph *graph, const tare_target *target, tare_error *err) {
    tare_pattern_list patterns;
    tare_match_list fused;
    TARE_TRY(tare_flow_build(&p->flow, p->scratch, graph, target, p->transformer, err));
    p->ignored = tare_arena_array(p->scratch, p->flow.node_count, sizeof(*p->ignored));
    if (p->ignored == NULL) {
        return tare_fail_memory(err, p->flow.node_count, "quantizer placement");
    }
    TARE_TRY(tare_ignore_nodes(p->ignored, p->scratch, &p->flow, p->options, err));
    TARE_TRY(weights_plan(p, err));
    TARE_TRY(tare_pattern_expand(&patterns, p->scratch, target->fused, p->transformer, err));
    TARE_TRY(tare_pattern_find(&fused, p->scratch, &p->flow, &patterns, true, err));
    TARE_TRY(tare_hook_graph_build(&p->hooks, p->scratch, &p->flow, &fused, p->ignored, err));
    TARE_TRY(tare_ignore_operators(&p->hooks, p->scratch, p->weighted, p->transformer, err));
    TARE_TRY(tare_propagation_run(&p->work, p->scratch, &p->hooks, p->symmetric, err));
    tare_propagation_drop_lonely(&p->work);
    weights_drop(p);
    TARE_TRY(tables_resolve(p, err));
    TARE_TRY(tare_propagation_reduce(&p->work, err));
    if (p->transformer) {
        TARE_TRY(attention_adjust(p, err));
    }
    return tare_points_collect(setup, arena, &p->work, p->weights, p->options, err);
}

tare_status tare_quantizer_setup_build(tare_quantizer_setup *setup, tare_arena *arena,
                                       tare_graph *graph, const tare_target *target,
                                       const tare_placement_options *options, tare_error *err) {
    tare_arena scratch;
    tare_arena_init(&scratch);
    placement p = {.scratch = &scratch, .options = options};
    p.transformer = options->model_type == TARE_MODEL_TRANSFORMER;
    const tare_preset preset = options->preset != TARE_PRESET_DEFAULT ? options->preset
                               : p.transformer                        ? TARE_PRESET_MIXED
                                                                      : TARE_PRESET_PERFORMANCE;
    p.symmetric = preset == TARE_PRESET_PERFORMANCE;
    const tare_status status = placement_run(&p, setup, arena, graph, target, err);
    tare_arena_release(&scratch);
    return status;
}
