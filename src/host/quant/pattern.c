/* SPDX-License-Identifier: Apache-2.0 */
/** Expanding pattern families and matching the results by backtracking from anchor nodes. */
#include "quant/pattern.h"

#include <string.h>

/* ---- expansion ---- */

static bool is_open(const tare_pattern_node *node) {
    return node->tags == 0;
}

/* Appends a block to a pattern and joins it to the pattern's last node. */
static bool pattern_append(tare_pattern *pattern, const tare_pattern_block *block) {
    const bool first = pattern->node_count == 0;
    /* A block that starts with any node continues with the pattern's last node in its place. */
    const size_t skipped = !first && is_open(&block->nodes[0]) ? 1 : 0;
    const size_t base = pattern->node_count;
    const size_t joint = first || skipped == 1 ? 0 : 1;
    if (base + block->node_count - skipped > TARE_PATTERN_MAX_NODES ||
        pattern->edge_count + block->edge_count + joint > TARE_PATTERN_MAX_EDGES) {
        return false;
    }
    if (joint == 1) {
        pattern->edges[pattern->edge_count++] =
            (tare_pattern_edge){(unsigned char)(base - 1), (unsigned char)base};
    }
    for (size_t i = 0; i < block->edge_count; i++) {
        /* Node 0 of a block whose first node was skipped is the one before the block. */
        const size_t from = base + block->edges[i].from - skipped;
        const size_t to = base + block->edges[i].to - skipped;
        pattern->edges[pattern->edge_count++] =
            (tare_pattern_edge){(unsigned char)from, (unsigned char)to};
    }
    for (size_t i = skipped; i < block->node_count; i++) {
        pattern->nodes[pattern->node_count++] = block->nodes[i];
        pattern->size += block->nodes[i].outside ? 0 : 1;
    }
    return true;
}

static size_t family_count(const tare_pattern_family *family) {
    size_t count = 1;
    for (size_t p = 0; p < TARE_PATTERN_MAX_PARTS && family->parts[p] != NULL; p++) {
        count *= family->parts[p]->count;
    }
    return count;
}

/* Makes the graph with number `index` of a family; alternatives of the last part vary fastest. */
static bool family_expand(tare_pattern *pattern, const tare_pattern_family *family, size_t index) {
    size_t radix = family_count(family);
    *pattern = (tare_pattern){.name = family->name};
    for (size_t p = 0; p < TARE_PATTERN_MAX_PARTS && family->parts[p] != NULL; p++) {
        radix /= family->parts[p]->count;
        if (!pattern_append(pattern, &family->parts[p]->alternatives[index / radix])) {
            return false;
        }
        index %= radix;
    }
    if (family->bridged) {
        if (pattern->edge_count == TARE_PATTERN_MAX_EDGES) {
            return false;
        }
        pattern->edges[pattern->edge_count++] =
            (tare_pattern_edge){0, (unsigned char)(pattern->node_count - 1)};
    }
    return true;
}

tare_status tare_pattern_expand(tare_pattern_list *out, tare_arena *arena,
                                const tare_pattern_family *families, bool transformer,
                                tare_error *err) {
    size_t capacity = 0;
    for (const tare_pattern_family *family = families; family->name != NULL; family++) {
        capacity += family_count(family);
    }
    *out = (tare_pattern_list){tare_arena_array(arena, capacity, sizeof(*out->items)), 0};
    if (out->items == NULL) {
        return tare_fail_memory(err, capacity * sizeof(*out->items), "patterns");
    }
    for (const tare_pattern_family *family = families; family->name != NULL; family++) {
        const size_t count = family->transformer && !transformer ? 0 : family_count(family);
        for (size_t i = 0; i < count; i++) {
            tare_pattern pattern;
            if (!family_expand(&pattern, family, i)) {
                return tare_fail(err, TARE_INTERNAL, "pattern '%s' is too large", family->name);
            }
            size_t at = out->count++;
            while (at > 0 && out->items[at - 1].size < pattern.size) {
                out->items[at] = out->items[at - 1];
                at--;
            }
            out->items[at] = pattern;
        }
    }
    return TARE_OK;
}

/* ---- matching ---- */

/* How the next pattern node is reached: along an edge from one that is mapped already. */
typedef struct match_step {
    size_t node;  /* of the pattern */
    size_t known; /* a neighbour that is mapped */
    bool forward; /* the edge leads from the neighbour to the node */
} match_step;

typedef struct matcher {
    const tare_flow *flow;
    const tare_pattern *pattern;
    const bool *taken; /* nodes of the flow in accepted matches */
    bool strict;
    size_t in_degree[TARE_PATTERN_MAX_NODES], out_degree[TARE_PATTERN_MAX_NODES];
    size_t between[TARE_PATTERN_MAX_NODES][TARE_PATTERN_MAX_NODES]; /* numbers of edges */
    match_step steps[TARE_PATTERN_MAX_NODES];                       /* steps[0] is the anchor */
    size_t step_count;
    size_t map[TARE_PATTERN_MAX_NODES]; /* node of the flow per pattern node */
    bool mapped[TARE_PATTERN_MAX_NODES];
} matcher;

/* The anchor is a node that says what it is and ends up in the match, so that the search starts
 * rarely and a taken anchor ends it. */
static size_t anchor_choose(const tare_pattern *pattern) {
    size_t fallback = 0;
    for (size_t i = 0; i < pattern->node_count; i++) {
        if (!is_open(&pattern->nodes[i])) {
            if (!pattern->nodes[i].kept) {
                return i;
            }
            fallback = i;
        }
    }
    return fallback;
}

/* Finds a step to a node that is not planned yet; nodes that may be anything come last, because
 * they may have any number of readers. */
static bool step_find(match_step *step, const tare_pattern *pattern, const bool *planned,
                      bool open) {
    for (size_t e = 0; e < pattern->edge_count; e++) {
        const size_t from = pattern->edges[e].from;
        const size_t to = pattern->edges[e].to;
        if (planned[from] != planned[to]) {
            *step = planned[from] ? (match_step){to, from, true} : (match_step){from, to, false};
            if (is_open(&pattern->nodes[step->node]) == open &&
                !is_open(&pattern->nodes[step->known])) {
                return true;
            }
        }
    }
    return false;
}

static bool matcher_prepare(matcher *m, const tare_flow *flow, const tare_pattern *pattern,
                            const bool *taken, bool strict) {
    bool planned[TARE_PATTERN_MAX_NODES] = {false};
    *m = (matcher){.flow = flow, .pattern = pattern, .taken = taken, .strict = strict};
    for (size_t e = 0; e < pattern->edge_count; e++) {
        m->out_degree[pattern->edges[e].from]++;
        m->in_degree[pattern->edges[e].to]++;
        m->between[pattern->edges[e].from][pattern->edges[e].to]++;
    }
    m->steps[0].node = anchor_choose(pattern);
    planned[m->steps[0].node] = true;
    for (m->step_count = 1; m->step_count < pattern->node_count; m->step_count++) {
        match_step *step = &m->steps[m->step_count];
        if (!step_find(step, pattern, planned, false) && !step_find(step, pattern, planned, true)) {
            return false;
        }
        planned[step->node] = true;
    }
    return true;
}

static size_t edges_between(const tare_flow *flow, size_t from, size_t to) {
    const tare_flow_node *reader = &flow->nodes[to];
    size_t count = 0;
    for (size_t i = 0; i < reader->in_alive; i++) {
        count += flow->edges[reader->in[i]].from == from ? 1 : 0;
    }
    return count;
}

/* Whether a node of the flow has as many edges as the pattern, so that none lead elsewhere. */
static bool degrees_fit(const matcher *m, size_t p, size_t candidate) {
    const tare_flow_node *node = &m->flow->nodes[candidate];
    if (!m->strict || m->pattern->nodes[p].outside) {
        return true;
    }
    const bool first = m->in_degree[p] == 0;
    const bool last = m->out_degree[p] == 0;
    return (first || node->in_alive == m->in_degree[p]) &&
           (last || node->out_alive == m->out_degree[p]);
}

static bool candidate_fits(const matcher *m, size_t p, size_t candidate) {
    const tare_flow_node *node = &m->flow->nodes[candidate];
    const tare_pattern_node *wanted = &m->pattern->nodes[p];
    if (!node->alive || (wanted->tags != 0 && (node->rule->tags & wanted->tags) == 0) ||
        !degrees_fit(m, p, candidate)) {
        return false;
    }
    for (size_t q = 0; q < m->pattern->node_count; q++) {
        if (m->mapped[q] && (m->map[q] == candidate ||
                             edges_between(m->flow, m->map[q], candidate) != m->between[q][p] ||
                             edges_between(m->flow, candidate, m->map[q]) != m->between[p][q])) {
            return false;
        }
    }
    return true;
}

static bool match_is_free(const matcher *m) {
    for (size_t p = 0; p < m->pattern->node_count; p++) {
        if (!m->pattern->nodes[p].outside && !m->pattern->nodes[p].kept && m->taken[m->map[p]]) {
            return false;
        }
    }
    return true;
}

/* Maps the remaining steps; the depth is that of the pattern. */
static bool matcher_extend(matcher *m, size_t depth) {
    if (depth == m->step_count) {
        return match_is_free(m);
    }
    const match_step *step = &m->steps[depth];
    const tare_flow_node *known = &m->flow->nodes[m->map[step->known]];
    const size_t *edges = step->forward ? known->out : known->in;
    const size_t count = step->forward ? known->out_alive : known->in_alive;
    for (size_t i = 0; i < count; i++) {
        const tare_flow_edge *edge = &m->flow->edges[edges[i]];
        const size_t candidate = step->forward ? edge->to : edge->from;
        if (candidate_fits(m, step->node, candidate)) {
            m->map[step->node] = candidate;
            m->mapped[step->node] = true;
            if (matcher_extend(m, depth + 1)) {
                return true;
            }
            m->mapped[step->node] = false;
        }
    }
    return false;
}

/* Writes the match in topological order, smaller keys first among nodes that are ready. */
static void match_sort(tare_pattern_match *match, const matcher *m) {
    const tare_pattern *pattern = m->pattern;
    bool done[TARE_PATTERN_MAX_NODES] = {false};
    *match = (tare_pattern_match){.pattern = pattern};
    while (match->count < pattern->size) {
        size_t best = pattern->node_count;
        for (size_t p = 0; p < pattern->node_count; p++) {
            bool ready = !done[p] && !pattern->nodes[p].outside;
            for (size_t q = 0; q < pattern->node_count && ready; q++) {
                ready = m->between[q][p] == 0 || done[q] || pattern->nodes[q].outside;
            }
            if (ready &&
                (best == pattern->node_count ||
                 strcmp(m->flow->nodes[m->map[p]].key, m->flow->nodes[m->map[best]].key) < 0)) {
                best = p;
            }
        }
        done[best] = true;
        match->kept[match->count] = pattern->nodes[best].kept;
        match->nodes[match->count++] = m->map[best];
    }
}

static tare_status match_add(tare_match_list *list, tare_arena *arena, const matcher *m,
                             bool *taken, tare_error *err) {
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        tare_pattern_match *grown = tare_arena_array(arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return tare_fail_memory(err, capacity * sizeof(*grown), "pattern matches");
        }
        if (list->count > 0) {
            memcpy(grown, list->items, list->count * sizeof(*grown));
        }
        list->items = grown;
        list->capacity = capacity;
    }
    tare_pattern_match *match = &list->items[list->count++];
    match_sort(match, m);
    for (size_t i = 0; i < match->count; i++) {
        if (!match->kept[i]) {
            taken[match->nodes[i]] = true;
        }
    }
    return TARE_OK;
}

tare_status tare_pattern_find(tare_match_list *out, tare_arena *arena, const tare_flow *flow,
                              const tare_pattern_list *patterns, bool strict, tare_error *err) {
    bool *taken = tare_arena_array(arena, flow->node_count, sizeof(*taken));
    *out = (tare_match_list){NULL, 0, 0};
    if (taken == NULL) {
        return tare_fail_memory(err, flow->node_count * sizeof(*taken), "pattern matches");
    }
    for (size_t i = 0; i < patterns->count; i++) {
        matcher m;
        if (!matcher_prepare(&m, flow, &patterns->items[i], taken, strict)) {
            return tare_fail(err, TARE_INTERNAL, "pattern '%s' does not hang together",
                             patterns->items[i].name);
        }
        const size_t anchor = m.steps[0].node;
        for (size_t node = 0; node < flow->node_count; node++) {
            memset(m.mapped, 0, sizeof(m.mapped));
            if (taken[node] || !candidate_fits(&m, anchor, node)) {
                continue;
            }
            m.map[anchor] = node;
            m.mapped[anchor] = true;
            if (matcher_extend(&m, 1)) {
                TARE_TRY(match_add(out, arena, &m, taken, err));
            }
        }
    }
    return TARE_OK;
}
