/* groups_answer.c - which groups are asked for, and those found as JSON.
 *
 * Points and the points that groups stand for in another collection are read by id at the end, once
 * it is known which are shown; one that was deleted meanwhile is left out.
 */
#include "server/query/groups.h"

/* ---- Answering */

typedef struct shown {
    const hw_result *points;
    hwi_idmap rows;
    hwi_shape lookup_shape;
    const hw_result *lookups;
    hwi_idmap lookup_rows;
} shown;

/* The id of the point that a group's value names in another collection. */
static bool
lookup_id(const hwi_shape *shape, const hw_id *key, hw_id *out)
{
    *out = *key;
    if (key->kind != HW_ID_KIND_TEXT) return key->kind == HW_ID_KIND_U64;
    if (key->text_bytes == 0 || hw_id_parse(key->as.text, key->text_bytes, out, NULL) != HW_OK) {
        return false;
    }
    if (out->kind == HW_ID_KIND_U64) { /* digits in quotes are a text */
        *out = *key;
    }
    return out->kind == HW_ID_KIND_UUID || shape->string_ids;
}

static bool
read_lookups(hwi_groups *g, const uint32_t *best, size_t count, shown *s)
{
    hwi_run *run = g->run;
    hwi_request *r = run->request;
    hw_collection *c = hwi_request_collection_named(r, g->how->lookup_collection);
    if (!c || !hwi_shape_of(r, c, &s->lookup_shape)) return false;
    hw_id *ids = hwi_request_alloc(r, (count + 1) * sizeof *ids);
    hw_result *found;
    hw_error err;
    size_t n = 0;
    if (!ids) return false;
    for (size_t i = 0; i < count; i++) {
        if (lookup_id(&s->lookup_shape, &g->keys[best[i]], &ids[n])) n++;
    }
    if (!hwi_ok(
            r,
            hw_collection_get(c, ids, n, hwi_selector_with(&g->how->lookup_selector), &found, &err),
            &err) ||
        !hwi_run_keep(run, found)) {
        return false;
    }
    s->lookups = found;
    return hwi_idmap_init(r, hw_result_ids(found), hw_result_count(found), &s->lookup_rows);
}

static bool
read_points(hwi_groups *g, const uint32_t *best, size_t count, const hwi_selector *selector,
            shown *s)
{
    hwi_run *run = g->run;
    hwi_request *r = run->request;
    size_t n = 0, total = 0;
    for (size_t i = 0; i < count; i++) total += g->groups[best[i]].count;
    hw_id *ids = hwi_request_alloc(r, (total + 1) * sizeof *ids);
    if (!ids) return false;
    for (size_t i = 0; i < count; i++) {
        const hwi_group *from = &g->groups[best[i]];
        for (uint32_t j = 0; j < from->count; j++) ids[n++] = from->members[j].id;
    }
    if (!hwi_run_get(run, ids, n, hwi_selector_with(selector), &s->points)) return false;
    return hwi_idmap_init(r, hw_result_ids(s->points), hw_result_count(s->points), &s->rows);
}

static void
write_group(hwi_groups *g, size_t at, const hwi_selector *selector, const shown *s)
{
    hwi_run *run = g->run;
    hwi_buf *out = &run->request->out;
    const hwi_group *from = &g->groups[at];
    bool is_first = true;
    hwi_buf_text(out, "{\"id\":");
    hwi_groups_write_key(out, &g->keys[at]);
    hwi_buf_text(out, ",\"hits\":[");
    for (uint32_t i = 0; i < from->count; i++) {
        size_t row = hwi_idmap_find(&s->rows, &from->members[i].id);
        if (row == HWI_NOWHERE) continue; /* deleted meanwhile */
        if (!is_first) hwi_buf_text(out, ",");
        is_first = false;
        hwi_write_scored(run->request, &run->shape, s->points, row, from->members[i].score,
                         selector);
    }
    hwi_buf_text(out, "]");
    hw_id id;
    if (s->lookups && lookup_id(&s->lookup_shape, &g->keys[at], &id)) {
        size_t row = hwi_idmap_find(&s->lookup_rows, &id);
        if (row != HWI_NOWHERE) {
            hwi_buf_text(out, ",\"lookup\":");
            hwi_write_record(run->request, &s->lookup_shape, s->lookups, row,
                             &g->how->lookup_selector);
        }
    }
    hwi_buf_text(out, "}");
}

static bool
write_groups(hwi_groups *g, const hwi_selector *selector)
{
    shown s = {0};
    uint32_t *best;
    size_t count;
    if (!hwi_groups_best(g, &best, &count)) return false;
    for (size_t i = 0; i < count; i++) {
        hwi_group *of = &g->groups[best[i]];
        hwi_groups_sort(g, of);
    }
    if (!read_points(g, best, count, selector, &s)) return false;
    if (g->how->lookup_collection && !read_lookups(g, best, count, &s)) return false;
    hwi_buf_text(&g->run->request->out, "{\"groups\":[");
    for (size_t i = 0; i < count; i++) {
        if (i) hwi_buf_text(&g->run->request->out, ",");
        write_group(g, best[i], selector, &s);
    }
    hwi_buf_text(&g->run->request->out, "]");
    hwi_answer_extras(g->run, g->search);
    hwi_buf_text(&g->run->request->out, "}");
    return true;
}

bool
hwi_answer_groups(hwi_run *run, hwi_search *search, const hwi_grouping *how)
{
    hwi_groups g;
    hwi_selector selector = search->selector;
    return hwi_groups_begin(&g, run, search, how) && hwi_groups_gather(&g) &&
           write_groups(&g, &selector);
}

/* ---- Decoding */

static bool
decode_lookup(hwi_run *run, const hwi_json *body, hwi_grouping *out)
{
    hwi_request *r = run->request;
    const hwi_json *j = hwi_json_member(body, "with_lookup");
    if (!j || j->kind == HWI_JSON_NULL) return true;
    if (j->kind == HWI_JSON_TEXT) {
        out->lookup_selector = (hwi_selector){.payload = true};
        return hwi_read_text(r, body, "with_lookup", &out->lookup_collection);
    }
    if (j->kind != HWI_JSON_OBJECT || !hwi_json_member(j, "collection")) {
        return hwi_refuse_format(r, "with_lookup: expected a name or an object with `collection`");
    }
    return hwi_read_text(r, j, "collection", &out->lookup_collection) &&
           hwi_read_selector(r, NULL, j, true, &out->lookup_selector);
}

bool
hwi_decode_grouping(hwi_run *run, const hwi_json *body, bool is_old, hwi_grouping *out)
{
    hwi_request *r = run->request;
    *out = (hwi_grouping){0};
    if (!hwi_read_text(r, body, "group_by", &out->by)) return false;
    if (!out->by) return hwi_refuse_format(r, "missing field `group_by`");
    if (!hwi_path_is_valid(out->by)) {
        return hwi_refuse_format(r, "group_by: invalid json path: '%s'", out->by);
    }
    const hwi_json *size = hwi_json_member(body, "group_size");
    if (is_old && !size) return hwi_refuse_format(r, "missing field `group_size`");
    if (!hwi_read_u32(r, body, "group_size", 3, 1, UINT32_MAX, &out->group_size) ||
        !hwi_read_u32(r, body, "limit", 10, 1, UINT32_MAX, &out->limit)) {
        return false;
    }
    out->group_size = HWI_MIN(out->group_size, HW_K_MAX);
    out->limit = HWI_MIN(out->limit, HW_K_MAX);
    return decode_lookup(run, body, out);
}
