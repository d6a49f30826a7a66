/* groups.c - the best points of the best groups.
 *
 * One search rarely finds enough: a large group may fill all its places. So there are several, each
 * for limit * group_size points, steered by filters:
 *
 *     collect   until `limit` groups are known: without the groups that are full already
 *     fill      until they are full: of those groups alone which are not
 *
 * and never a point that was seen before. Points come best first, so once enough groups are known no
 * unknown one can have a better point than theirs: with exact searches the groups are exact. Every
 * round that brings a full hand fills a group or finds one, hence a few rounds suffice;
 * HWI_GROUP_ROUNDS_MAX bounds them. A point with several values counts in each of its groups.
 */
#include "server/query/groups.h"

#include <stdlib.h>

/* ---- Which is better */

static int
compare_members(const hwi_groups *g, const hwi_group_member *a, const hwi_group_member *b)
{
    if (g->by_score && a->score != b->score) {
        return (a->score > b->score) != g->lower_is_better ? -1 : 1;
    }
    if (!g->by_score) return (a->arrival > b->arrival) - (a->arrival < b->arrival);
    return hw_id_compare(&a->id, &b->id);
}

static int
compare_members_arg(const void *a, const void *b, void *g)
{
    return compare_members(g, a, b);
}

void
hwi_groups_sort(hwi_groups *g, hwi_group *of)
{
    qsort_r(of->members, of->count, sizeof *of->members, compare_members_arg, g);
}

/* Positions of groups, best first. */
static int
compare_groups_arg(const void *a, const void *b, void *arg)
{
    const hwi_groups *g = arg;
    const uint32_t *x = a, *y = b;
    int order = compare_members(g, &g->groups[*x].best, &g->groups[*y].best);
    return order ? order : (*x > *y) - (*x < *y);
}

/* Scores of several searches compare when they do not depend on what else was found. */
static void
set_order(hwi_groups *g)
{
    const hwi_plan *p = &g->search->plan;
    bool is_distance = p->field && p->field->kind != HWI_VECTOR_SPARSE &&
                       (strcmp(p->field->metric, "l2") == 0 || strcmp(p->field->metric, "l1") == 0);
    g->by_score =
        p->step == HWI_STEP_VECTOR || p->step == HWI_STEP_FEEDBACK || p->step == HWI_STEP_FORMULA;
    g->lower_is_better = is_distance && p->step == HWI_STEP_VECTOR &&
                         (p->rule == HW_RULE_NEAREST || p->rule == HW_RULE_AVERAGE);
}

/* ---- Keys */

typedef struct keys {
    hw_id ids[64]; /* of one point; further ones are not looked at */
    size_t count;
    bool is_wrong; /* a value that is neither text nor whole number */
} keys;

static void
note_key(void *arg, const hwi_json *v)
{
    keys *k = arg;
    hw_id id = {0};
    if (v->kind == HWI_JSON_TEXT) {
        id.kind = HW_ID_KIND_TEXT;
        id.as.text = v->text;
        id.text_bytes = (uint32_t)v->text_bytes;
    } else if (v->kind == HWI_JSON_UINT || (v->kind == HWI_JSON_INT && v->integer >= 0)) {
        id = HW_ID_U64((uint64_t)v->integer);
    } else if (v->kind == HWI_JSON_INT) {
        id.kind = HW_ID_KIND_UUID;
        hwi_put_u64(id.as.uuid, (uint64_t)v->integer);
    } else {
        k->is_wrong = true;
        return;
    }
    for (size_t i = 0; i < k->count; i++) {
        if (hw_id_compare(&k->ids[i], &id) == 0) return;
    }
    if (k->count < HWI_COUNT(k->ids)) k->ids[k->count++] = id;
}

void
hwi_groups_write_key(hwi_buf *b, const hw_id *key)
{
    if (key->kind == HW_ID_KIND_TEXT) {
        hwi_json_write_text(b, key->as.text, key->text_bytes);
    } else if (key->kind == HW_ID_KIND_U64) {
        hwi_buf_printf(b, "%llu", (unsigned long long)key->as.u64);
    } else {
        hwi_buf_printf(b, "%lld", (long long)hwi_get_u64(key->as.uuid));
    }
}

/* ---- Collecting */

static bool
grow(hwi_groups *g)
{
    hwi_request *r = g->run->request;
    size_t room = g->room ? 2 * g->room : 64;
    hw_id *grown_keys = hwi_request_alloc(r, room * sizeof *grown_keys);
    hwi_group *grown = hwi_request_alloc(r, room * sizeof *grown);
    if (!grown_keys || !grown) return false;
    if (g->count) {
        memcpy(grown_keys, g->keys, g->count * sizeof *grown_keys);
        memcpy(grown, g->groups, g->count * sizeof *grown);
    }
    g->keys = grown_keys;
    g->groups = grown;
    g->room = room;
    return hwi_idmap_init_room(r, g->keys, g->count, room, &g->by_key);
}

static hwi_group *
group_of(hwi_groups *g, const hw_id *key)
{
    size_t at = hwi_idmap_find(&g->by_key, key);
    if (at != HWI_NOWHERE) return &g->groups[at];
    if (g->count == g->room && !grow(g)) return NULL;
    g->groups[g->count] = (hwi_group){0};
    g->keys[g->count] = *key;
    hwi_idmap_add(&g->by_key, g->count);
    return &g->groups[g->count++];
}

static bool
add_to_group(hwi_groups *g, const hw_id *key, const hwi_group_member *m)
{
    hwi_group *to = group_of(g, key);
    if (!to) return false;
    if (to->count == 0 || compare_members(g, m, &to->best) < 0) to->best = *m;
    if (to->count == g->how->group_size) return true;
    if (to->count == to->room) {
        uint32_t room = to->room ? 2 * to->room : 4;
        hwi_group_member *grown = hwi_request_alloc(g->run->request, room * sizeof *grown);
        if (!grown) return false;
        if (to->count) memcpy(grown, to->members, to->count * sizeof *grown);
        to->members = grown;
        to->room = room;
    }
    to->members[to->count++] = *m;
    return true;
}

static bool
note_seen(hwi_groups *g, const hw_id *id)
{
    if (g->seen_count == g->seen_room) {
        size_t room = g->seen_room ? 2 * g->seen_room : 256;
        hw_id *grown = hwi_request_alloc(g->run->request, room * sizeof *grown);
        if (!grown) return false;
        if (g->seen_count) memcpy(grown, g->seen, g->seen_count * sizeof *grown);
        g->seen = grown;
        g->seen_room = room;
    }
    g->seen[g->seen_count++] = *id;
    return true;
}

static bool
add_point(hwi_groups *g, const hw_id *id, float score, const char *payload, size_t bytes)
{
    hwi_request *r = g->run->request;
    const hwi_json *parsed = NULL;
    hwi_group_member m = {.id = *id, .score = score, .arrival = g->arrivals++};
    keys k = {.count = 0};
    hw_error err;
    if (!note_seen(g, id)) return false;
    if (!payload) return true;
    if (!hwi_ok(r, hwi_json_parse(payload, bytes, &r->arena, &parsed, &err), &err)) return false;
    hwi_values_at(parsed, g->how->by, note_key, &k);
    for (size_t i = 0; !k.is_wrong && i < k.count; i++) {
        if (!add_to_group(g, &k.ids[i], &m)) return false;
    }
    return true;
}

/* The points of one round, with their payloads wherever the last step left them. */
static bool
add_points(hwi_groups *g)
{
    hwi_run *run = g->run;
    const hwi_plan *p = &g->search->plan;
    const hw_result *from = p->result;
    size_t bytes;
    hwi_idmap rows;
    g->found = p->hits.count;
    if (g->found == 0) return true;
    if (!p->shows_result && !hwi_run_get(run, p->hits.ids, p->hits.count, HW_WITH_PAYLOAD, &from)) {
        return false;
    }
    if (!hwi_idmap_init(run->request, hw_result_ids(from), hw_result_count(from), &rows)) {
        return false;
    }
    for (size_t i = 0; i < p->hits.count; i++) {
        size_t row = p->shows_result ? p->first_row + i : hwi_idmap_find(&rows, &p->hits.ids[i]);
        if (row == HWI_NOWHERE) continue;
        const char *payload = hw_result_payload(from, row, &bytes);
        if (!add_point(g, &p->hits.ids[i], p->hits.scores[i], payload, bytes)) return false;
    }
    return true;
}

/* ---- Rounds */

bool
hwi_groups_best(hwi_groups *g, uint32_t **best, size_t *count)
{
    uint32_t *order = hwi_request_alloc(g->run->request, (g->count + 1) * sizeof *order);
    if (!order) return false;
    for (size_t i = 0; i < g->count; i++) order[i] = (uint32_t)i;
    qsort_r(order, g->count, sizeof *order, compare_groups_arg, g);
    *best = order;
    *count = HWI_MIN(g->count, g->how->limit);
    return true;
}

/* Condition on the values of the listed groups that are full (or are not): ,{"key": .., "match":
 * {..}}; nothing if there are none. */
static size_t
write_match(hwi_groups *g, hwi_buf *b, const uint32_t *which, size_t count, bool full)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = which ? which[i] : i;
        if ((g->groups[at].count == g->how->group_size) != full) continue;
        if (n++ == 0) {
            hwi_buf_text(b, ",{\"key\":");
            hwi_json_write_text(b, g->how->by, strlen(g->how->by));
            hwi_buf_text(b, full ? ",\"match\":{\"except\":[" : ",\"match\":{\"any\":[");
        } else {
            hwi_buf_text(b, ",");
        }
        hwi_groups_write_key(b, &g->keys[at]);
    }
    if (n) hwi_buf_text(b, "]}}");
    return n;
}

/* The filter of one round: what is searched by, and not seen, and in groups with room. *has_room is
 * false when none of `unfilled` has any. */
static void
write_filter(hwi_groups *g, hwi_buf *b, const uint32_t *unfilled, size_t unfilled_count,
             bool *has_room)
{
    hwi_buf_text(b, "{\"must\":[{\"must_not\":[{\"is_empty\":{\"key\":");
    hwi_json_write_text(b, g->how->by, strlen(g->how->by));
    hwi_buf_text(b, "}}");
    for (size_t i = 0; i < g->seen_count; i++) {
        hwi_buf_text(b, i ? "," : ",{\"has_id\":[");
        hwi_json_write_id(b, &g->seen[i]);
    }
    hwi_buf_text(b, g->seen_count ? "]}]}" : "]}");
    if (unfilled) {
        *has_room = write_match(g, b, unfilled, unfilled_count, false) > 0;
    } else {
        *has_room = true;
        write_match(g, b, NULL, g->count, true);
    }
    if (g->base) {
        hwi_buf_text(b, ",");
        hwi_buf_add(b, g->base, g->base_bytes);
    }
    hwi_buf_text(b, "]}");
}

/* One search. `unfilled` NULL: outside full groups; else inside those of these that are not.
 * *goes_on is false when nothing is left to ask, or no filter could say what. */
static bool
run_round(hwi_groups *g, const uint32_t *unfilled, size_t unfilled_count, bool *goes_on)
{
    hwi_run *run = g->run;
    hwi_buf b = {0};
    const char *text = NULL;
    write_filter(g, &b, unfilled, unfilled_count, goes_on);
    size_t bytes = b.size;
    bool failed = b.failed;
    *goes_on &= bytes <= HW_FILTER_MAX || g->seen_count == 0;
    if (*goes_on && !failed) {
        text = hwi_arena_text(&run->request->arena, (const char *)b.data, bytes);
    }
    hwi_buf_release(&b);
    if (!*goes_on && !failed) return true;
    if (!text) return hwi_refuse(run->request, 503, "out of memory");
    return hwi_reach(run, &g->search->plan, text, bytes) && hwi_execute(run, g->search, 1) &&
           add_points(g);
}

/* Lower steps must find more where several points go into one group. */
static void
widen(hwi_plan *p, uint32_t group_size)
{
    for (size_t i = 0; i < p->prefetch_count; i++) {
        uint64_t limit = (uint64_t)p->prefetches[i].limit * group_size;
        p->prefetches[i].limit =
            HWI_MAX(p->prefetches[i].limit, (uint32_t)HWI_MIN(limit, HW_K_MAX));
        widen(&p->prefetches[i], group_size);
    }
}

/* All there is was found: a search came back with less than was asked. Steps above prefetches see
 * parts only, so there nothing must come back at all. */
static bool
is_exhausted(const hwi_groups *g)
{
    return g->search->plan.prefetch_count ? g->found == 0 : g->found < g->depth;
}

bool
hwi_groups_gather(hwi_groups *g)
{
    uint32_t rounds = g->search->plan.prefetch_count ? 10 : HWI_GROUP_ROUNDS_MAX, *best;
    size_t count;
    bool goes_on = true;
    while (rounds && goes_on && g->count < g->how->limit) {
        if (!run_round(g, NULL, 0, &goes_on)) return false;
        rounds--;
        if (is_exhausted(g)) return true;
    }
    while (rounds-- && goes_on) {
        if (!hwi_groups_best(g, &best, &count) || !run_round(g, best, count, &goes_on))
            return false;
        if (goes_on && is_exhausted(g)) return true;
    }
    return true;
}

bool
hwi_groups_begin(hwi_groups *g, hwi_run *run, hwi_search *search, const hwi_grouping *how)
{
    uint64_t depth = (uint64_t)how->limit * how->group_size;
    *g = (hwi_groups){.run = run, .search = search, .how = how};
    if (!hwi_prepare(run, search, 1) || !grow(g)) return false;
    set_order(g);
    g->base = search->plan.reach;
    g->base_bytes = search->plan.reach_bytes;
    g->depth = (uint32_t)HWI_MIN(depth, HW_K_MAX);
    search->plan.limit = g->depth;
    search->plan.offset = 0;
    search->selector = (hwi_selector){.payload = true};
    widen(&search->plan, how->group_size);
    return true;
}
