/* cmd_duplicates.c - duplicates: groups of points that lie nearer to each other than a threshold.
 *
 *     ids -> one search by each, in batches -> pairs above the threshold -> joined into groups
 *
 * Each stored point asks the index for its nearest others, so n points cost n searches and not n x n
 * comparisons. Pairs are joined by union-find: what is linked through a third is one group, also
 * when there are more than k of them. Ids come sorted, so a hit's row is found by halving.
 */
#include "commands.h"
#include "progress.h"
#include "query.h"
#include "table.h"

#include <math.h>
#include <stdlib.h>

#define PAGE_ROWS 4096u
#define BATCH 256u

typedef struct duplicates_args {
    cli_common common;
    const char *db, *coll, *field;
    uint32_t threads;
    cli_query_args query;
} duplicates_args;

typedef struct point {
    hw_id id;        /* text of it in the arena */
    uint32_t parent; /* union-find: the first of its group in the end */
    uint32_t size;   /* of the group, kept at its first */
    float score;     /* to the nearest other; NAN: no other was found yet */
} point;

typedef struct duplicates_job {
    cli *c;
    const duplicates_args *a;
    cli_collection coll;
    cli_query query;
    cli_progress progress;
    point *points;
    size_t count, room;
    uint64_t groups, grouped;
    hwi_arena arena;
} duplicates_job;

/* ---- The points ---- */

static hw_status
keep_ids(void *arg, const hw_result *page, hw_error *err)
{
    duplicates_job *job = arg;
    size_t more = hw_result_count(page);

    if (job->count + more > UINT32_MAX) return hwi_fail(err, HW_ELIMIT, "too many points");
    if (job->count + more > job->room) {
        job->room = HWI_MAX(job->room * 2, job->count + more);
        job->points = hwi_realloc(job->points, job->room * sizeof *job->points);
        cli_need(job->points != NULL);
    }
    for (size_t i = 0; i < more; i++) {
        point *p = &job->points[job->count];
        uint32_t dim;
        if (job->a->query.using && !hw_result_vector(page, i, job->a->query.using, &dim)) continue;
        *p = (point){
            .id = hw_result_ids(page)[i], .parent = (uint32_t)job->count, .size = 1, .score = NAN};
        if (p->id.kind == HW_ID_KIND_TEXT) {
            p->id.as.text = hwi_arena_text(&job->arena, p->id.as.text, p->id.text_bytes);
            cli_need(p->id.as.text != NULL);
        }
        job->count++;
    }
    return HW_OK;
}

static int
compare_points(const void *a, const void *b)
{
    return hw_id_compare(&((const point *)a)->id, &((const point *)b)->id);
}

/* NULL for a point that was written after the ids were read. */
static point *
find_point(const duplicates_job *job, const hw_id *id)
{
    const point key = {.id = *id};

    return bsearch(&key, job->points, job->count, sizeof key, compare_points);
}

/* ---- Groups ---- */

static uint32_t
first_of(duplicates_job *job, uint32_t at)
{
    while (job->points[at].parent != at) {
        uint32_t up = job->points[at].parent;
        at = job->points[at].parent = job->points[up].parent;
    }
    return at;
}

/* The earlier of the two firsts stays one. */
static void
join(duplicates_job *job, uint32_t a, uint32_t b)
{
    uint32_t first = first_of(job, a), other = first_of(job, b);

    if (first == other) return;
    if (other < first) {
        uint32_t t = first;
        first = other, other = t;
    }
    job->points[other].parent = first;
    job->points[first].size += job->points[other].size;
}

static void
take_hits(duplicates_job *job, uint32_t at, const hw_result *r)
{
    for (size_t i = 0; i < hw_result_count(r); i++) {
        point *other = find_point(job, &hw_result_ids(r)[i]);
        if (other == NULL) continue;
        if (i == 0) job->points[at].score = hw_result_scores(r)[0];
        if (isnan(other->score)) other->score = hw_result_scores(r)[i];
        join(job, at, (uint32_t)(other - job->points));
    }
}

/* One by one: points that were deleted meanwhile are left out. */
static hw_status
search_each(duplicates_job *job, const hw_query *queries, uint32_t first, size_t count,
            hw_error *err)
{
    for (size_t i = 0; i < count; i++) {
        hw_result *r;
        hw_status st = hw_collection_search(job->coll.c, &queries[i], &r, err);
        if (st == HW_ENOTFOUND) continue;
        if (st != HW_OK) return st;
        take_hits(job, first + (uint32_t)i, r);
        hw_result_free(r);
    }
    return HW_OK;
}

static hw_status
search_batch(duplicates_job *job, uint32_t first, size_t count, hw_error *err)
{
    hw_query queries[BATCH];
    hw_result *results[BATCH];
    hw_status st;

    for (size_t i = 0; i < count; i++) {
        queries[i] = job->query.query;
        queries[i].id = &job->points[first + i].id;
    }
    st = hw_collection_search_batch(job->coll.c, queries, count, job->a->threads, results, err);
    if (st == HW_ENOTFOUND) return search_each(job, queries, first, count, err);
    if (st != HW_OK) return st;
    for (size_t i = 0; i < count; i++) {
        take_hits(job, first + (uint32_t)i, results[i]);
        hw_result_free(results[i]);
    }
    return HW_OK;
}

static hw_status
find_groups(duplicates_job *job, hw_error *err)
{
    const hw_query *q = &job->query.query;
    const char *using = job->a->query.using;
    size_t n;

    if (!q->has_score_threshold)
        return hwi_fail(err, HW_EINVAL, "duplicates needs --threshold SCORE");
    if (using && hw_collection_dim(job->coll.c, using) == 0)
        return hwi_fail(err, HW_EINVAL, "the collection has no vector `%s`", using);
    HWI_TRY(cli_each_page(job->coll.c, q->filter, using ? HW_WITH_VECTOR : 0, PAGE_ROWS, keep_ids,
                          job, err));
    for (size_t first = 0; first < job->count; first += n) {
        n = HWI_MIN(job->count - first, (size_t)BATCH);
        HWI_TRY(search_batch(job, (uint32_t)first, n, err));
        if (!cli_progress_show(&job->progress, "search", first + n, job->count))
            return hwi_fail(err, HW_ECANCELED, "interrupted");
    }
    return HW_OK;
}

/* ---- Output ---- */

/* Largest group first, then the one with the earliest point; within a group in the order of ids.
 * From here on `parent` is the group's number and `size` its size, for each point. */
static int
compare_groups(const void *a, const void *b)
{
    const point *p = a, *q = b;

    if (p->size != q->size) return p->size > q->size ? -1 : 1;
    if (p->parent != q->parent) return p->parent < q->parent ? -1 : 1;
    return hw_id_compare(&p->id, &q->id);
}

static void
sort_groups(duplicates_job *job)
{
    size_t kept = 0;

    for (size_t i = 0; i < job->count; i++) {
        uint32_t first = first_of(job, (uint32_t)i);
        job->groups += first == i && job->points[i].size > 1;
        job->points[i].parent = first; /* firsts come first, so sizes below them are still theirs */
        job->points[i].size = job->points[first].size;
    }
    for (size_t i = 0; i < job->count; i++)
        if (job->points[i].size > 1) job->points[kept++] = job->points[i];
    job->grouped = kept;
    qsort(job->points, kept, sizeof *job->points, compare_groups);
}

/* The payload's field: as JSON, or as plain text for a table. Nothing when there is none. */
static hw_status
add_field(const duplicates_job *job, const point *p, bool as_json, hwi_buf *out, hw_error *err)
{
    hw_result *r;
    hwi_arena arena = {0};
    const hwi_json *tree, *j = NULL;
    size_t bytes = 0;

    HWI_TRY(hw_collection_get(job->coll.c, &p->id, 1, HW_WITH_PAYLOAD, &r, err));
    const char *payload = hw_result_count(r) ? hw_result_payload(r, 0, &bytes) : NULL;
    if (payload && hwi_json_parse(payload, bytes, &arena, &tree, NULL) == HW_OK)
        j = hwi_json_member(tree, job->a->field);
    if (j && as_json) {
        hwi_buf_text(out, ",");
        hwi_json_write_text(out, job->a->field, strlen(job->a->field));
        hwi_buf_text(out, ":");
    }
    if (j && !as_json && j->kind == HWI_JSON_TEXT)
        cli_add_plain(out, j->text, j->text_bytes);
    else if (j)
        hwi_json_write(out, j);
    hwi_arena_release(&arena);
    hw_result_free(r);
    return HW_OK;
}

static hw_status
print_json(const duplicates_job *job, hw_error *err)
{
    hwi_buf b = {0};
    char id[HW_ID_TEXT_MAX + 1];

    hwi_buf_text(&b, "{\"groups\":[");
    for (size_t i = 0; i < job->grouped; i++) {
        const point *p = &job->points[i];
        bool opens = i == 0 || p[-1].parent != p->parent;
        if (opens) hwi_buf_text(&b, i ? "],[" : "[");
        hwi_buf_text(&b, opens ? "{\"id\":" : ",{\"id\":");
        if (p->id.kind == HW_ID_KIND_U64)
            hwi_buf_printf(&b, "%llu", (unsigned long long)p->id.as.u64);
        else
            hwi_json_write_text(&b, id, hw_id_format(&p->id, id));
        hwi_buf_text(&b, ",\"score\":");
        hwi_json_write_f64(&b, (double)p->score);
        hw_status st = add_field(job, p, true, &b, err);
        if (st != HW_OK) {
            hwi_buf_release(&b);
            return st;
        }
        hwi_buf_text(&b, "}");
    }
    hwi_buf_printf(&b, "%s],\"points\":%zu}", job->grouped ? "]" : "", job->count);
    cli_print_line(&b);
    return HW_OK;
}

static hw_status
print_table(const duplicates_job *job, hw_error *err)
{
    cli_table t;
    size_t group = 0;
    char id[HW_ID_TEXT_MAX + 1], counts[3][64];
    hw_status st = HW_OK;

    cli_table_begin(&t, ">group", "id", ">score", job->a->field);
    for (size_t i = 0; st == HW_OK && i < job->grouped; i++) {
        const point *p = &job->points[i];
        hwi_buf field = {0};
        group += i == 0 || p[-1].parent != p->parent;
        cli_table_printf(&t, "%zu", group);
        cli_table_bytes(&t, id, hw_id_format(&p->id, id));
        cli_table_printf(&t, "%.4f", (double)p->score);
        st = add_field(job, p, false, &field, err);
        cli_table_bytes(&t, field.data ? (char *)field.data : "", field.size);
        hwi_buf_release(&field);
    }
    cli_table_end(&t, job->c);
    cli_remark(job->c, "%s of %s in %s", cli_count(job->grouped, counts[0]),
               cli_count_of(job->count, "point", counts[1]),
               cli_count_of(job->groups, "group", counts[2]));
    return st;
}

/* ---- The command ---- */

static int
run_duplicates(cli *c, const void *args)
{
    duplicates_job job = {.c = c, .a = args};
    hw_error err = {0};
    hw_status st;

    cli_progress_begin(&job.progress, c);
    st = cli_query_init(&job.a->query, &job.query, &err);
    if (st == HW_OK) st = cli_open_collection(c, job.a->db, job.a->coll, CLI_READ, &job.coll, &err);
    if (st == HW_OK) st = find_groups(&job, &err);
    cli_progress_end(&job.progress);
    if (st == HW_OK) {
        sort_groups(&job);
        st = c->mode == CLI_MODE_JSON ? print_json(&job, &err) : print_table(&job, &err);
    }
    hwi_free(job.points);
    hwi_arena_release(&job.arena);
    cli_query_release(&job.query);
    cli_close_collection(c, &job.coll);
    return st == HW_OK ? CLI_OK : cli_fail_input(&err);
}

const cli_command cli_duplicates_command = {
    .name = "duplicates",
    .summary = "find groups of points that are nearly the same",
    .about =
        "Searches the neighbours of every stored point and joins those that reach the threshold "
        "into groups: what is linked through a third point is one group. The score shown is that "
        "of a point's nearest other. Nothing is changed; `delete` removes what is too much.\n\n"
        "The threshold depends on what made the vectors: look at a few groups, then at those just "
        "above it (docs/showcases/duplicates.md).",
    .examples = "hashwood duplicates pets.hw pets --threshold 0.98\n"
                "hashwood duplicates shop.hw goods --threshold 0.95 --field sku --json\n"
                "hashwood duplicates a.hw c --threshold 0.5    # of an l2 collection: at most\n",
    .operands = (const cli_operand[]){CLI_DB(duplicates_args, db),
                                      {"COLL", "name of the collection",
                                       offsetof(duplicates_args, coll), 0, 0},
                                      {0}},
    .options =
        (const cli_option[]){
            {"threshold", 't', CLI_REAL, CLI_QUERY_AT(duplicates_args, query, threshold), "SCORE",
             "at least this score (cosine, dot) or at most (l2, l1); needed", NULL},
            {"field", 0, CLI_TEXT, offsetof(duplicates_args, field), "FIELD",
             "payload field to show of each point (default path)", NULL},
            {"using", 0, CLI_TEXT, CLI_QUERY_AT(duplicates_args, query, using), "NAME",
             "which of several named vectors to compare", NULL},
            {"filter", 'f', CLI_TEXT, CLI_QUERY_AT(duplicates_args, query, filter), "JSON",
             "only points whose payload matches, or @FILE", NULL},
            {"k", 'k', CLI_U32, CLI_QUERY_AT(duplicates_args, query, k), "N",
             "neighbours of each point that are looked at (default 32)", NULL},
            {"recall", 'r', CLI_REAL, CLI_QUERY_AT(duplicates_args, query, recall), "R",
             "share of them to aim at, above 0 up to 1 (default 0.99)", NULL},
            {"exact", 0, CLI_FLAG, CLI_QUERY_AT(duplicates_args, query, exact), NULL,
             "proven exact answers", NULL},
            {"threads", 0, CLI_U32, offsetof(duplicates_args, threads), "N",
             "searches at once (default one per processor)", NULL},
            {0}},
    .args_bytes = sizeof(duplicates_args),
    .defaults =
        &(const duplicates_args){
            .field = "path", .query = {.k = 32, .recall = 0.99, .threshold = __builtin_nan("")}},
    .run = run_duplicates};
