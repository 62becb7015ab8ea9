/* SPDX-License-Identifier: Apache-2.0 */
/** Finding the operators that stay float: by name, type, pattern, kind of model and position. */
#include "quant/ignore.h"

#include <regex.h>
#include <string.h>

/* One entry of an option: what it says, and whether a node falls under it. */
typedef struct scope {
    const char *text;
    const char *what;
    const regex_t *regex;
    bool (*matches)(const struct scope *scope, const tare_flow_node *node);
} scope;

static bool name_matches(const scope *s, const tare_flow_node *node) {
    return strcmp(node->name, s->text) == 0;
}

static bool type_matches(const scope *s, const tare_flow_node *node) {
    return node->node != NULL && strcmp(node->node->op_type, s->text) == 0;
}

static bool pattern_matches(const scope *s, const tare_flow_node *node) {
    regmatch_t found;
    return regexec(s->regex, node->name, 1, &found, 0) == 0 && found.rm_so == 0;
}

static tare_status scope_apply(bool *ignored, const tare_flow *flow, const scope *s,
                               tare_error *err) {
    bool any = false;
    for (size_t i = 0; i < flow->node_count; i++) {
        if (s->matches(s, &flow->nodes[i])) {
            ignored[i] = true;
            any = true;
        }
    }
    if (!any) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "ignored %s '%s' matches no node", s->what,
                         s->text);
    }
    return TARE_OK;
}

static tare_status pattern_apply(bool *ignored, tare_arena *arena, const tare_flow *flow,
                                 const char *text, tare_error *err) {
    regex_t regex;
    char reason[128];
    /* A match in the middle of a name must not hide one at its start. */
    const char *anchored = tare_arena_printf(arena, "^(%s)", text);
    if (anchored == NULL) {
        return tare_fail_memory(err, strlen(text), "a regular expression");
    }
    const int code = regcomp(&regex, anchored, REG_EXTENDED);
    if (code != 0) {
        regerror(code, &regex, reason, sizeof(reason));
        return tare_fail(err, TARE_INVALID_ARGUMENT, "ignored pattern '%s': %s", text, reason);
    }
    const scope s = {text, "pattern", &regex, pattern_matches};
    const tare_status status = scope_apply(ignored, flow, &s, err);
    regfree(&regex);
    return status;
}

tare_status tare_ignore_nodes(bool *ignored, tare_arena *arena, const tare_flow *flow,
                              const tare_placement_options *options, tare_error *err) {
    tare_pattern_list patterns;
    tare_match_list matches;
    const bool transformer = options->model_type == TARE_MODEL_TRANSFORMER;
    TARE_TRY(tare_pattern_expand(&patterns, arena, flow->target->ignored, transformer, err));
    TARE_TRY(tare_pattern_find(&matches, arena, flow, &patterns, false, err));
    for (size_t m = 0; m < matches.count; m++) {
        for (size_t i = 0; i < matches.items[m].count; i++) {
            if (!matches.items[m].kept[i]) {
                ignored[matches.items[m].nodes[i]] = true;
            }
        }
    }
    for (size_t i = 0; i < options->ignored_name_count; i++) {
        const scope s = {options->ignored_names[i], "name", NULL, name_matches};
        TARE_TRY(scope_apply(ignored, flow, &s, err));
    }
    for (size_t i = 0; i < options->ignored_type_count; i++) {
        const scope s = {options->ignored_types[i], "type", NULL, type_matches};
        TARE_TRY(scope_apply(ignored, flow, &s, err));
    }
    for (size_t i = 0; i < options->ignored_pattern_count; i++) {
        TARE_TRY(pattern_apply(ignored, arena, flow, options->ignored_patterns[i], err));
    }
    return TARE_OK;
}

/* ---- operators of the hook graph ---- */

enum {
    STATE_BELOW_OUTPUT = 1, /* an output is below, with no weights in between */
    STATE_MARKED_BELOW = 2, /* and so is a marker, or it is here */
    STATE_MARKED_ABOVE = 4  /* a marker is above, before weights or an input, or it is here */
};

static bool is_weighted(const tare_hook *node, const bool *weighted) {
    for (size_t i = 0; i < node->member_count; i++) {
        if (weighted[node->members[i]]) {
            return true;
        }
    }
    return false;
}

static void operator_ignore(tare_hook *node) {
    node->ignored = true;
    node->trait = TARE_TRAIT_FLOAT;
}

/* One look at a node of the hook graph from below: what its successors know. */
static unsigned state_from_below(const tare_hook_graph *graph, const tare_hook *node,
                                 const unsigned *states, const bool *ends) {
    unsigned state = node->kind == TARE_HOOK_OPERATOR && node->rule == &graph->flow->target->output
                         ? STATE_BELOW_OUTPUT
                         : 0;
    for (size_t k = 0; k < node->out_count; k++) {
        const size_t to = graph->edges[node->out[k]].to;
        if (!ends[to]) {
            state |= states[to] & (STATE_BELOW_OUTPUT | STATE_MARKED_BELOW);
        }
    }
    return state;
}

static tare_status post_processing_ignore(tare_hook_graph *graph, tare_arena *arena,
                                          const bool *weighted, tare_error *err) {
    const size_t count = graph->hook_count;
    const tare_target *target = graph->flow->target;
    unsigned *states = tare_arena_array(arena, count, sizeof(*states));
    bool *ends = tare_arena_array(arena, count, sizeof(*ends));
    if (states == NULL || ends == NULL) {
        return tare_fail_memory(err, count * sizeof(*states), "quantizer placement");
    }
    for (size_t i = 0; i < count; i++) {
        ends[i] = graph->hooks[i].kind == TARE_HOOK_OPERATOR &&
                  (is_weighted(&graph->hooks[i], weighted) ||
                   graph->flow->nodes[graph->hooks[i].flow].rule == &target->input);
    }
    for (size_t i = count; i > 0; i--) {
        const size_t at = graph->order[i - 1];
        const tare_hook *node = &graph->hooks[at];
        states[at] = state_from_below(graph, node, states, ends);
        const bool marker =
            node->kind == TARE_HOOK_OPERATOR && (node->rule->tags & target->post_processing) != 0;
        if (marker && (states[at] & STATE_BELOW_OUTPUT) != 0) {
            states[at] |= STATE_MARKED_BELOW | STATE_MARKED_ABOVE;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const size_t at = graph->order[i];
        tare_hook *node = &graph->hooks[at];
        for (size_t k = 0; k < node->in_count && !ends[at]; k++) {
            states[at] |= states[graph->edges[node->in[k]].from] & STATE_MARKED_ABOVE;
        }
        const bool marked = (states[at] & (STATE_MARKED_BELOW | STATE_MARKED_ABOVE)) != 0;
        if (node->kind == TARE_HOOK_OPERATOR && marked && (states[at] & STATE_BELOW_OUTPUT) != 0 &&
            !is_weighted(node, weighted) && node->rule != &target->output) {
            operator_ignore(node);
        }
    }
    return TARE_OK;
}

tare_status tare_ignore_operators(tare_hook_graph *graph, tare_arena *arena, const bool *weighted,
                                  bool transformer, tare_error *err) {
    const tare_tags tags = transformer ? graph->flow->target->transformer_float : 0;
    for (size_t i = 0; i < graph->hook_count; i++) {
        tare_hook *node = &graph->hooks[i];
        if (node->kind == TARE_HOOK_OPERATOR && (node->rule->tags & tags) != 0) {
            operator_ignore(node);
        }
    }
    return post_processing_ignore(graph, arena, weighted, err);
}
