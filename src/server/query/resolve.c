/* resolve.c - what stands between a decoded plan and its execution: ids become vectors, filters reach
 * down to the leaves.
 *
 * A point that a query names must not be its own answer. At a root without prefetches the engine
 * sees to that itself. Elsewhere its vector may be needed in another step, or come from another
 * collection, so it is read here and the point is left out by a filter:
 *
 *     root    filter F, names 7          reach: F, but not {7, 9}
 *      `-- prefetch   filter G, names 9  reach: F and G, but not {7, 9}
 *
 * As in Qdrant, filters act where points are found first; steps above score what is left.
 */
#include "server/query/query.h"

#define FILTER_BYTES_MAX (48u << 20) /* every step parses its own: bounds work and memory */

static bool
is_elsewhere(const hwi_run *run, const hwi_plan *p)
{
    return p->lookup.collection &&
           strcmp(p->lookup.collection, hwi_request_param(run->request, "collection")) != 0;
}

/* ---- Ids into vectors */

static size_t
input_count(const hwi_plan *p)
{
    return (size_t)p->has_target + p->example_count;
}

static hwi_input *
input_at(hwi_plan *p, size_t i)
{
    if (p->has_target && i == 0) return &p->target;
    return &p->examples[i - p->has_target];
}

static bool
refuse_point(hwi_request *r, const hw_id *id)
{
    char text[HW_ID_TEXT_MAX + 1];
    hw_id_format(id, text);
    return hwi_refuse(r, 404, "Not found: No point with id %s found", text);
}

/* Whether a stored vector of any field can stand for one of ours. */
static bool
check_fits(hwi_request *r, const hwi_shape_field *field, const hw_vector *v)
{
    bool is_sparse = v->indices != NULL;
    if (is_sparse != (field->kind == HWI_VECTOR_SPARSE)) {
        return hwi_refuse(r, 400,
                          "Wrong input: Conversion between sparse and regular vectors failed");
    }
    if (is_sparse) return true;
    if (field->kind == HWI_VECTOR_DENSE && v->rows > 1) {
        return hwi_refuse(r, 400,
                          "Wrong input: Conversion between multi and regular vectors failed");
    }
    if (v->dim == field->dim) return true;
    return hwi_refuse(r, 400, "Wrong input: Vector dimension error: expected dim: %u, got %u",
                      field->dim, v->dim);
}

/* Under cosine a stored vector counts with length one, whatever was stored: in a mean it matters. */
static bool
take_vector(hwi_run *run, const hwi_plan *p, const hw_result *found, size_t row, hwi_input *to)
{
    const char *name = p->lookup.vector ? p->lookup.vector : p->field->name;
    if (row == HWI_NOWHERE) return refuse_point(run->request, &to->id);
    if (!hw_result_stored_vector(found, row, name, &to->vector)) {
        return hwi_refuse(run->request, 404, "Not found: Vector with name \"%s\" for point", name);
    }
    to->is_id = false;
    return check_fits(run->request, p->field, &to->vector) &&
           hwi_vector_prepare(run->request, p->field, &to->vector, &to->vector);
}

bool
hwi_resolve_inputs(hwi_run *run, hwi_plan *p)
{
    hwi_request *r = run->request;
    size_t room = input_count(p), count = 0;
    hw_id *ids = hwi_request_alloc(r, (room ? room : 1) * sizeof *ids);
    if (!ids) return false;
    for (size_t i = 0; i < room; i++) {
        if (input_at(p, i)->is_id) ids[count++] = input_at(p, i)->id;
    }
    if (count == 0) return true;
    hw_collection *c = run->shape.collection;
    hwi_shape shape = run->shape;
    if (is_elsewhere(run, p)) {
        c = hwi_request_collection_named(r, p->lookup.collection);
        if (!c || !hwi_shape_of(r, c, &shape)) return false;
    }
    if (p->lookup.vector && !hwi_shape_field_named(r, &shape, p->lookup.vector)) return false;
    hw_result *found;
    hw_error err;
    hwi_idmap rows;
    if (!hwi_ok(r, hw_collection_get(c, ids, count, HW_WITH_VECTOR, &found, &err), &err) ||
        !hwi_run_keep(run, found) ||
        !hwi_idmap_init(r, hw_result_ids(found), hw_result_count(found), &rows)) {
        return false;
    }
    for (size_t i = 0; i < room; i++) {
        hwi_input *to = input_at(p, i);
        if (to->is_id && !take_vector(run, p, found, hwi_idmap_find(&rows, &to->id), to)) {
            return false;
        }
    }
    return true;
}

/* ---- Filters */

bool
hwi_filter_of_ids(hwi_run *run, const hw_id *ids, size_t count, bool are_excluded,
                  const char **text, size_t *bytes)
{
    hwi_buf b = {0};
    hwi_buf_printf(&b, "{\"%s\":[{\"has_id\":[", are_excluded ? "must_not" : "must");
    for (size_t i = 0; i < count; i++) {
        if (i) hwi_buf_text(&b, ",");
        hwi_json_write_id(&b, &ids[i]);
    }
    hwi_buf_text(&b, "]}]}");
    *bytes = b.size;
    *text = b.failed ? NULL : hwi_arena_text(&run->request->arena, (const char *)b.data, b.size);
    hwi_buf_release(&b);
    return *text || hwi_refuse(run->request, 503, "out of memory");
}

/* Ids named anywhere in the tree; ids NULL: only counts them. */
static size_t
collect_named(const hwi_run *run, hwi_plan *p, hw_id *ids)
{
    size_t n = 0;
    if (!is_elsewhere(run, p)) {
        for (size_t i = 0; i < input_count(p); i++) {
            if (!input_at(p, i)->is_id) continue;
            if (ids) ids[n] = input_at(p, i)->id;
            n++;
        }
    }
    for (size_t i = 0; i < p->prefetch_count; i++) {
        n += collect_named(run, &p->prefetches[i], ids ? ids + n : NULL);
    }
    return n;
}

bool
hwi_reach(hwi_run *run, hwi_plan *root, const char *filter, size_t bytes)
{
    root->reach = filter;
    root->reach_bytes = bytes;
    run->filter_bytes += bytes;
    if (run->filter_bytes > FILTER_BYTES_MAX) {
        return hwi_refuse(run->request, 400,
                          "Wrong input: the filters of all steps, each joined with those above it, "
                          "are more than %u bytes",
                          FILTER_BYTES_MAX);
    }
    for (size_t i = 0; i < root->prefetch_count; i++) {
        hwi_plan *below = &root->prefetches[i];
        if (!hwi_join_filters(run->request, filter, bytes, below->filter, below->filter_bytes,
                              &below->reach, &below->reach_bytes) ||
            !hwi_reach(run, below, below->reach, below->reach_bytes)) {
            return false;
        }
    }
    return true;
}

/* The root's filter, without the points that are named. */
static bool
exclude_named(hwi_run *run, hwi_plan *root)
{
    hwi_request *r = run->request;
    size_t count = collect_named(run, root, NULL), bytes;
    const char *text;
    if (count == 0) return hwi_reach(run, root, root->filter, root->filter_bytes);
    hw_id *ids = hwi_request_alloc(r, count * sizeof *ids);
    if (!ids) return false;
    collect_named(run, root, ids);
    return hwi_filter_of_ids(run, ids, count, true, &text, &bytes) &&
           hwi_join_filters(r, root->filter, root->filter_bytes, text, bytes, &text, &bytes) &&
           hwi_reach(run, root, text, bytes);
}

static bool
resolve_all_inputs(hwi_run *run, hwi_plan *p)
{
    if (!hwi_resolve_inputs(run, p)) return false;
    for (size_t i = 0; i < p->prefetch_count; i++) {
        if (!resolve_all_inputs(run, &p->prefetches[i])) return false;
    }
    return true;
}

bool
hwi_resolve(hwi_run *run, hwi_plan *root)
{
    root->excludes_natively =
        root->prefetch_count == 0 && !root->lookup.collection && root->step == HWI_STEP_VECTOR;
    if (root->excludes_natively) return hwi_reach(run, root, root->filter, root->filter_bytes);
    return exclude_named(run, root) && resolve_all_inputs(run, root);
}
