/* routes.c - the calls that search: query, search, recommend, discover, groups, facet, matrix.
 *
 * A handler decodes the body with the function of its call, has the search executed, and writes the
 * answer in the form of its call; nothing else differs between them. Old calls answer with the list
 * of points itself, points/query with an object around it.
 */
#include "server/query/query.h"

bool
hwi_answer_search(hwi_run *run, const hwi_search *s, bool is_old)
{
    hwi_buf *out = &run->request->out;
    if (!is_old) hwi_buf_text(out, "{\"points\":");
    if (!hwi_answer_points(run, s)) return false;
    if (is_old) return true;
    hwi_answer_extras(run, s);
    hwi_buf_text(out, "}");
    return true;
}

static bool
one(hwi_request *r, hwi_decode_fn decode, bool is_old)
{
    hwi_run run;
    hwi_search s;
    bool ok = hwi_run_begin(&run, r) && decode(&run, r->body, &s) && hwi_admit(&run, &s, 1, NULL) &&
              hwi_prepare(&run, &s, 1) && hwi_execute(&run, &s, 1) &&
              hwi_answer_search(&run, &s, is_old);
    hwi_run_end(&run);
    return ok;
}

/* {"searches": [..]}: all are sound and all succeed, or the request fails. */
static bool
decode_batch(hwi_run *run, const hwi_json *body, hwi_decode_fn decode, hwi_search **out,
             size_t *count)
{
    hwi_request *r = run->request;
    const hwi_json *list = hwi_json_member(body, "searches");
    if (!list || list->kind != HWI_JSON_ARRAY) {
        return hwi_refuse_format(r, "missing field `searches`");
    }
    if (list->count > HWI_BATCH_MAX) {
        return hwi_refuse(r, 400, "Wrong input: a batch of %zu searches is above the maximum %u",
                          list->count, HWI_BATCH_MAX);
    }
    *out = hwi_request_alloc(r, (list->count + 1) * sizeof **out);
    if (!*out) return false;
    *count = 0;
    for (const hwi_json *j = list->child; j; j = j->next) {
        if (!decode(run, j, &(*out)[(*count)++])) return false;
    }
    return true;
}

static bool
batch(hwi_request *r, hwi_decode_fn decode, bool is_old)
{
    hwi_run run;
    hwi_search *searches = NULL;
    size_t count = 0;
    bool ok = hwi_run_begin(&run, r) && decode_batch(&run, r->body, decode, &searches, &count) &&
              hwi_admit(&run, searches, count, NULL) && hwi_prepare(&run, searches, count) &&
              hwi_execute(&run, searches, count);
    hwi_buf_text(&r->out, ok ? "[" : "");
    for (size_t i = 0; ok && i < count; i++) {
        if (i) hwi_buf_text(&r->out, ",");
        ok = hwi_answer_search(&run, &searches[i], is_old);
    }
    hwi_buf_text(&r->out, ok ? "]" : "");
    hwi_run_end(&run);
    return ok;
}

static bool
groups(hwi_request *r, hwi_decode_fn decode, bool is_old)
{
    hwi_run run;
    hwi_search s;
    hwi_grouping how;
    bool ok = hwi_run_begin(&run, r) && decode(&run, r->body, &s) &&
              hwi_decode_grouping(&run, r->body, is_old, &how) && hwi_admit(&run, &s, 1, &how) &&
              hwi_answer_groups(&run, &s, &how);
    hwi_run_end(&run);
    return ok;
}

/* ---- The calls */

static bool
query(hwi_request *r)
{
    return one(r, hwi_decode_search, false);
}

static bool
query_batch(hwi_request *r)
{
    return batch(r, hwi_decode_search, false);
}

static bool
query_groups(hwi_request *r)
{
    return groups(r, hwi_decode_search, false);
}

static bool
old_search(hwi_request *r)
{
    return one(r, hwi_decode_old_search, true);
}

static bool
old_search_batch(hwi_request *r)
{
    return batch(r, hwi_decode_old_search, true);
}

static bool
old_search_groups(hwi_request *r)
{
    return groups(r, hwi_decode_old_search, true);
}

static bool
old_recommend(hwi_request *r)
{
    return one(r, hwi_decode_old_recommend, true);
}

static bool
old_recommend_batch(hwi_request *r)
{
    return batch(r, hwi_decode_old_recommend, true);
}

static bool
old_recommend_groups(hwi_request *r)
{
    return groups(r, hwi_decode_old_recommend, true);
}

static bool
old_discover(hwi_request *r)
{
    return one(r, hwi_decode_old_discover, true);
}

static bool
old_discover_batch(hwi_request *r)
{
    return batch(r, hwi_decode_old_discover, true);
}

#define ROUTE(path, handler)                                                                       \
    {                                                                                              \
        HWI_POST, "/collections/{collection}/" path, HWI_NEED_READ, 0, handler                     \
    }

const hwi_route hwi_routes_query[] = {
    ROUTE("points/query", query),
    ROUTE("points/query/batch", query_batch),
    ROUTE("points/query/groups", query_groups),
    ROUTE("points/search", old_search),
    ROUTE("points/search/batch", old_search_batch),
    ROUTE("points/search/groups", old_search_groups),
    ROUTE("points/recommend", old_recommend),
    ROUTE("points/recommend/batch", old_recommend_batch),
    ROUTE("points/recommend/groups", old_recommend_groups),
    ROUTE("points/discover", old_discover),
    ROUTE("points/discover/batch", old_discover_batch),
    ROUTE("points/search/matrix/pairs", hwi_handle_matrix_pairs),
    ROUTE("points/search/matrix/offsets", hwi_handle_matrix_offsets),
    ROUTE("points/why", hwi_handle_why),
    {HWI_POST, "/collections/{collection}/points/search-file", HWI_NEED_READ, HWI_ROUTE_FILE,
     hwi_handle_search_file},
    {HWI_GET, "/collections/{collection}/embedding", HWI_NEED_READ, HWI_ROUTE_NO_BODY,
     hwi_handle_embedding},
    ROUTE("facet", hwi_handle_facet),
    {0},
};
