/* admit.c - whether a collection's strict mode lets a request search at all.
 *
 * Every step of every tree is checked as a search of its own: a prefetch costs as much as a root.
 */
#include "server/query/formula.h"
#include "server/rest/strict.h"

static bool
check_vectors(hwi_run *run, const hwi_plan *p)
{
    hwi_request *r = run->request;
    if (p->has_target && !p->target.is_id &&
        !hwi_strict_vector(r, &run->shape, &p->target.vector)) {
        return false;
    }
    for (size_t i = 0; i < p->example_count; i++) {
        if (p->examples[i].is_id) continue;
        if (!hwi_strict_vector(r, &run->shape, &p->examples[i].vector)) return false;
    }
    return true;
}

static bool
check_expression(hwi_run *run, const hwi_expr *x)
{
    static const char *const types[] = {
        [HWI_OP_PAYLOAD] = "float, integer", [HWI_OP_GEO] = "geo", [HWI_OP_DATE] = "datetime"};
    const char *of = (size_t)x->op < HWI_COUNT(types) ? types[x->op] : NULL;
    if (of && !hwi_strict_field(run->request, &run->shape, x->path, of)) return false;
    for (size_t i = 0; i < x->part_count; i++) {
        if (!check_expression(run, &x->parts[i])) return false;
    }
    return true;
}

static bool
check_formula(hwi_run *run, const hwi_formula *f)
{
    hwi_request *r = run->request;
    hw_error err;
    for (size_t i = 0; i < f->condition_count; i++) {
        const hwi_json *filter;
        hw_status st = hwi_json_parse(f->conditions[i].filter, f->conditions[i].bytes, &r->arena,
                                      &filter, &err);
        if (!hwi_ok(r, st, &err) || !hwi_strict_condition(r, &run->shape, filter)) return false;
    }
    return check_expression(run, &f->root);
}

static bool
check(hwi_run *run, const hwi_plan *p, uint32_t group_size, uint32_t *cost)
{
    const hwi_json *filter = hwi_json_member(p->source, "filter");
    const hwi_json *params = hwi_json_member(p->source, "params");
    hwi_strict_ask ask = {.filter = filter,
                          .has_limit = true,
                          .limit = (uint64_t)p->limit * group_size,
                          .exact = p->params.exact,
                          .params = params};
    *cost += hwi_strict_cost(filter);
    if (!hwi_strict_check(run->request, &run->shape, &ask) || !check_vectors(run, p)) return false;
    if (p->formula && !check_formula(run, p->formula)) return false;
    for (size_t i = 0; i < p->prefetch_count; i++) {
        if (!check(run, &p->prefetches[i], 1, cost)) return false;
    }
    return true;
}

bool
hwi_admit(hwi_run *run, const hwi_search *searches, size_t count, const hwi_grouping *how)
{
    hwi_request *r = run->request;
    uint32_t cost = 0;
    if (count > 1 && !hwi_strict_batch(r, &run->shape, count)) return false;
    if (how && !hwi_strict_group(r, &run->shape, how->by)) return false;
    for (size_t i = 0; i < count; i++) {
        if (!check(run, &searches[i].plan, how ? how->group_size : 1, &cost)) return false;
    }
    return hwi_strict_admit(r, &run->shape, false, cost);
}

bool
hwi_admit_filter(hwi_request *r, const hwi_shape *shape, const hwi_json *body, uint64_t limit,
                 bool exact)
{
    const hwi_json *filter = hwi_json_member(body, "filter");
    hwi_strict_ask ask = {.filter = filter, .has_limit = true, .limit = limit, .exact = exact};
    return hwi_strict_check(r, shape, &ask) &&
           hwi_strict_admit(r, shape, false, hwi_strict_cost(filter));
}
