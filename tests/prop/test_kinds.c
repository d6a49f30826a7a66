/* Random points with vectors of every kind, on a database and on a plain array beside it: stored
 * vectors, searches by every rule, among ids and with filters, fields that come and go, reopening;
 * hw_db_check finds nothing.
 *
 * Vectors hold small whole numbers and metrics are l2, dot and l1, so that similarities are exact in
 * single precision and scores must agree bit for bit. */
#include "support/hwt_db.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { IDS = 120, DIM = 5, TOKEN_DIM = 3, ROWS = 4, INDICES = 40, PAIRS = 8, CLASSES = 4, K = 15 };

typedef enum field { MAIN, TOKENS, WORDS, RARE, LATE, FIELDS } field; /* LATE comes and goes */

static const char *const names[FIELDS] = {"main", "tokens", "words", "rare", "late"};

/* A vector as hw_vector says, with the room it needs. */
typedef struct vec {
    bool is_there;
    uint32_t dim, rows;
    float values[ROWS * TOKEN_DIM > PAIRS ? ROWS *TOKEN_DIM : PAIRS];
    uint32_t indices[PAIRS];
} vec;

typedef struct point {
    bool exists;
    vec v[FIELDS];
    int class;
} point;

typedef struct world {
    hwt_db d;
    hw_collection *c;
    hwi_rng rng;
    const char *metric;
    bool late_exists;
    point points[IDS];
} world;

static uint64_t
below(world *w, uint64_t n)
{
    return hwi_rng_below(&w->rng, n);
}

static bool
is_sparse(field f)
{
    return f == WORDS || f == RARE;
}

/* ---- Random vectors ---- */

static void
random_pairs(world *w, vec *v)
{
    v->dim = (uint32_t)below(w, PAIRS + 1);
    v->rows = 1;
    for (uint32_t i = 0; i < v->dim; i++) {
        bool taken;
        do {
            uint64_t n = below(w, INDICES);
            v->indices[i] = n == 0 ? UINT32_MAX : (uint32_t)(n * n); /* low ones are common */
            taken = false;
            for (uint32_t j = 0; j < i; j++) taken |= v->indices[j] == v->indices[i];
        } while (taken);
        v->values[i] = (float)below(w, 9) - 4; /* zero among them */
    }
}

static vec
random_vec(world *w, field f)
{
    vec v = {.is_there = true};
    if (is_sparse(f)) {
        random_pairs(w, &v);
        return v;
    }
    v.dim = f == TOKENS ? TOKEN_DIM : DIM;
    v.rows = f == TOKENS ? 1 + (uint32_t)below(w, ROWS) : 1;
    for (uint32_t i = 0; i < v.dim * v.rows; i++) v.values[i] = (float)below(w, 7) - 3;
    return v;
}

static hw_vector
as_given(const vec *v, field f)
{
    return (hw_vector){.name = names[f],
                       .values = v->values,
                       .dim = v->dim,
                       .rows = v->rows,
                       .indices = is_sparse(f) ? v->indices : NULL};
}

static void
sort_pairs(vec *v)
{
    for (uint32_t i = 1; i < v->dim; i++) {
        for (uint32_t j = i; j > 0 && v->indices[j - 1] > v->indices[j]; j--) {
            uint32_t index = v->indices[j];
            float value = v->values[j];
            v->indices[j] = v->indices[j - 1], v->values[j] = v->values[j - 1];
            v->indices[j - 1] = index, v->values[j - 1] = value;
        }
    }
}

/* ---- Operations ---- */

static void
upsert(world *w, hw_txn *txn, point *p, const hw_id *id)
{
    hw_error err;
    hw_vector v[FIELDS];
    char json[32];
    size_t n = 0;
    *p = (point){.exists = true, .class = (int)below(w, CLASSES)};
    for (field f = 0; f < FIELDS; f++) {
        if (below(w, 4) == 0 || (f == LATE && !w->late_exists)) continue;
        p->v[f] = random_vec(w, f);
        v[n++] = as_given(&p->v[f], f);
    }
    int bytes = snprintf(json, sizeof json, "{\"class\": %d}", p->class);
    hwt_ok(hw_txn_upsert(txn, w->c, id, v, n, json, (size_t)bytes, &err), &err);
    for (field f = 0; f < FIELDS; f++) {
        if (is_sparse(f)) sort_pairs(&p->v[f]);
    }
}

static void
change_vector(world *w, hw_txn *txn, point *p, const hw_id *id)
{
    hw_error err;
    field f = (field)below(w, w->late_exists ? FIELDS : LATE);
    hw_status expected = p->exists ? HW_OK : HW_ENOTFOUND;
    if (below(w, 3) == 0) {
        assert_int_equal(expected, hw_txn_delete_vectors(txn, w->c, id, &names[f], 1, &err));
        p->v[f] = (vec){0};
        return;
    }
    vec v = p->v[f].is_there && below(w, 4) == 0 ? p->v[f] : random_vec(w, f);
    hw_vector given = as_given(&v, f);
    assert_int_equal(expected, hw_txn_update_vectors(txn, w->c, id, &given, 1, &err));
    if (is_sparse(f)) sort_pairs(&v);
    if (p->exists) p->v[f] = v;
}

static void
one_transaction(world *w)
{
    hw_error err;
    hw_txn *txn;
    point points[IDS];
    memcpy(points, w->points, sizeof points);
    hwt_ok(hw_txn_begin(w->d.db, &txn, &err), &err);
    for (uint64_t n = 1 + below(w, 60); n > 0; n--) {
        int i = (int)below(w, IDS);
        hw_id id = HW_ID_U64((uint64_t)i * 7 % 1000);
        uint64_t what = below(w, 10);
        if (what < 6) {
            upsert(w, txn, &points[i], &id);
        } else if (what < 9) {
            change_vector(w, txn, &points[i], &id);
        } else {
            hwt_ok(hw_txn_delete(txn, w->c, &id, NULL, &err), &err);
            points[i] = (point){0};
        }
    }
    if (below(w, 8) == 0) {
        hw_txn_abort(txn);
        return;
    }
    hwt_ok(hw_txn_commit(txn, &err), &err);
    memcpy(w->points, points, sizeof points);
}

static void
come_and_go(world *w)
{
    hw_error err;
    if (w->late_exists) {
        hwt_ok(hw_collection_drop_vector(w->c, names[LATE], &err), &err);
        for (int i = 0; i < IDS; i++) w->points[i].v[LATE] = (vec){0};
    } else {
        hwt_ok(hw_collection_add_vector(w->c, names[LATE], false,
                                        "{\"size\": 5, \"distance\": \"Dot\"}", &err),
               &err);
    }
    w->late_exists = !w->late_exists;
}

/* ---- What the array answers ---- */

static hw_id
id_of(int i)
{
    return HW_ID_U64((uint64_t)i * 7 % 1000);
}

static float
row_similarity(const world *w, field f, const float *a, const float *b, uint32_t dim)
{
    const char *metric = f == LATE ? "dot" : w->metric;
    float sum = 0;
    for (uint32_t j = 0; j < dim; j++) {
        float d = a[j] - b[j];
        sum += strcmp(metric, "dot") == 0  ? a[j] * b[j]
               : strcmp(metric, "l2") == 0 ? -d * d
                                           : -fabsf(d);
    }
    return sum;
}

static float
idf(const world *w, uint32_t index)
{
    float n = 0, df = 0;
    for (int i = 0; i < IDS; i++) {
        const vec *v = &w->points[i].v[RARE];
        n += v->is_there;
        for (uint32_t j = 0; v->is_there && j < v->dim; j++) df += v->indices[j] == index;
    }
    return logf((n - df + 0.5f) / (df + 0.5f) + 1.0f);
}

/* Both sorted. */
static float
pair_similarity(const world *w, const vec *q, const vec *v, bool weighted, bool *shared)
{
    float sum = 0;
    *shared = false;
    for (uint32_t i = 0; i < q->dim; i++) {
        for (uint32_t j = 0; j < v->dim; j++) {
            if (q->indices[i] != v->indices[j]) continue;
            float value = q->values[i];
            if (weighted) value *= idf(w, q->indices[i]);
            sum += value * v->values[j];
            *shared = true;
        }
    }
    return sum;
}

static float
similarity(const world *w, field f, const vec *q, const vec *v)
{
    bool shared;
    float sum = 0;
    if (is_sparse(f)) return pair_similarity(w, q, v, false, &shared);
    for (uint32_t i = 0; i < q->rows; i++) {
        float best = -INFINITY;
        for (uint32_t j = 0; j < v->rows; j++) {
            best = fmaxf(
                best, row_similarity(w, f, q->values + i * q->dim, v->values + j * v->dim, q->dim));
        }
        sum += best;
    }
    return sum;
}

/* A query on both sides. */
typedef struct asked {
    hw_query q;
    field f;
    vec target;
    vec examples[6];
    hw_example given[6];
    hw_id ids[6], id, among[40];
    int left_out[8];
    size_t left_out_count;
} asked;

static float
sigmoid(float x)
{
    return x / (1 + fabsf(x));
}

static float
rule_score(const world *w, const asked *a, const vec *v)
{
    float sims[6], target = 0, best[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0}, score = 0;
    size_t n = a->q.example_count;
    for (size_t i = 0; i < n; i++) {
        sims[i] = similarity(w, a->f, &a->examples[i], v);
        int side = a->given[i].negative;
        best[side] = fmaxf(best[side], sims[i]);
        sum[side] += sims[i];
    }
    if (a->q.vector || a->q.id) target = similarity(w, a->f, &a->target, v);
    switch (a->q.rule) {
    case HW_RULE_BEST_SCORE:
        return best[0] > best[1] ? 0.5f * (sigmoid(best[0]) + 1) : -0.5f * (sigmoid(best[1]) + 1);
    case HW_RULE_SUM_SCORES:
        return sum[0] - sum[1];
    case HW_RULE_DISCOVER:
        for (size_t i = 0; i < n; i += 2) {
            float d = a->given[i].negative ? sims[i + 1] - sims[i] : sims[i] - sims[i + 1];
            score += (float)((d > 0) - (d < 0));
        }
        return score + 0.5f * (sigmoid(target) + 1);
    case HW_RULE_CONTEXT:
        for (size_t i = 0; i < n; i += 2) {
            float d = a->given[i].negative ? sims[i + 1] - sims[i] : sims[i] - sims[i + 1];
            d = d - FLT_EPSILON;
            score += sigmoid(d < 0 ? d : 0);
        }
        return score;
    default:
        return target;
    }
}

/* What is stored as the answer's score; greater first unless `ascending`. */
static bool
expected_score(const world *w, const asked *a, const vec *v, float *score)
{
    bool shared = true;
    if (a->q.rule != HW_RULE_NEAREST) {
        *score = rule_score(w, a, v);
        return true;
    }
    if (is_sparse(a->f)) {
        *score = pair_similarity(w, &a->target, v, a->f == RARE, &shared);
        return shared;
    }
    *score = similarity(w, a->f, &a->target, v);
    if (a->f == LATE || strcmp(w->metric, "dot") == 0) return true;
    *score = strcmp(w->metric, "l2") == 0 ? sqrtf(-*score) : -*score;
    return true;
}

typedef struct hit {
    int i;
    float score;
} hit;

static bool
is_accepted(const world *w, const asked *a, int i, int class)
{
    const point *p = &w->points[i];
    bool is_among = a->q.among == NULL;
    hw_id id = id_of(i);
    if (!p->exists || !p->v[a->f].is_there) return false;
    if (a->q.filter && (p->class != class || !p->v[WORDS].is_there)) return false;
    for (size_t j = 0; j < a->q.among_count; j++) {
        is_among |= hw_id_compare(&a->among[j], &id) == 0;
    }
    for (size_t j = 0; j < a->left_out_count; j++) {
        if (a->left_out[j] == i) return false;
    }
    return is_among;
}

static size_t
array_answers(const world *w, const asked *a, int class, hit *out)
{
    bool ascending = a->q.rule == HW_RULE_NEAREST && a->f != LATE && !is_sparse(a->f) &&
                     strcmp(w->metric, "dot") != 0;
    size_t n = 0;
    for (int i = 0; i < IDS; i++) {
        hit h = {i, 0};
        if (!is_accepted(w, a, i, class)) continue;
        if (!expected_score(w, a, &w->points[i].v[a->f], &h.score)) continue;
        size_t at = n++;
        hw_id mine = id_of(i);
        for (; at > 0; at--) {
            hw_id other = id_of(out[at - 1].i);
            float lead = ascending ? out[at - 1].score - h.score : h.score - out[at - 1].score;
            if (lead < 0 || (lead == 0 && hw_id_compare(&mine, &other) > 0)) break;
            out[at] = out[at - 1];
        }
        out[at] = h;
    }
    return n;
}

/* ---- Asking ---- */

static int
stored_point(world *w, field f)
{
    for (int tries = 0; tries < 50; tries++) {
        int i = (int)below(w, IDS);
        if (w->points[i].exists && w->points[i].v[f].is_there) return i;
    }
    return -1;
}

/* A given vector, or a stored point's; returns whether it is by id. */
static bool
random_operand(world *w, asked *a, vec *v, hw_id *id)
{
    int i = below(w, 3) ? -1 : stored_point(w, a->f);
    *v = i < 0 ? random_vec(w, a->f) : w->points[i].v[a->f];
    if (is_sparse(a->f)) sort_pairs(v);
    if (i < 0) return false;
    *id = id_of(i);
    a->left_out[a->left_out_count++] = i;
    return true;
}

static void
random_query(world *w, asked *a, char *filter, int class)
{
    *a = (asked){.q = HW_QUERY_INIT, .f = (field)below(w, w->late_exists ? FIELDS : LATE)};
    hw_query *q = &a->q;
    static const hw_rule rules[] = {HW_RULE_NEAREST, HW_RULE_BEST_SCORE, HW_RULE_SUM_SCORES,
                                    HW_RULE_DISCOVER, HW_RULE_CONTEXT};
    q->rule = rules[below(w, HWI_COUNT(rules))];
    q->vector_name = names[a->f];
    q->k = K, q->offset = (uint32_t)below(w, 4);
    if (q->rule == HW_RULE_NEAREST || q->rule == HW_RULE_DISCOVER) {
        if (random_operand(w, a, &a->target, &a->id)) {
            q->id = &a->id;
        } else {
            q->vector = a->target.values, q->dim = a->target.dim, q->rows = a->target.rows;
            if (is_sparse(a->f)) q->indices = a->target.indices;
        }
    }
    if (q->rule != HW_RULE_NEAREST) {
        q->examples = a->given;
        q->example_count = 2 + 2 * below(w, 3);
        for (size_t i = 0; i < q->example_count; i++) {
            hw_example *e = &a->given[i];
            if (random_operand(w, a, &a->examples[i], &a->ids[i]))
                e->id = &a->ids[i];
            else
                e->vector = as_given(&a->examples[i], a->f);
            e->negative = i % 2;
        }
    }
    if (below(w, 3) == 0) {
        snprintf(filter, 128,
                 "{\"must\": [{\"key\": \"class\", \"match\": {\"value\": %d}}, "
                 "{\"has_vector\": \"words\"}]}",
                 class);
        q->filter = filter, q->filter_bytes = strlen(filter);
    }
    if (below(w, 4) == 0) {
        q->among = a->among, q->among_count = 40;
        for (int i = 0; i < 40; i++) a->among[i] = id_of((int)below(w, IDS + 10));
    }
}

static void
compare_answers(world *w)
{
    asked a;
    hw_result *r;
    hw_error err;
    char filter[128];
    hit expected[IDS];
    int class = (int)below(w, CLASSES);
    random_query(w, &a, filter, class);
    hw_status st = hw_collection_search(w->c, &a.q, &r, &err);
    if (st != HW_OK) fail_msg("rule %d on %s: %s", (int)a.q.rule, names[a.f], err.message);
    size_t n = array_answers(w, &a, class, expected), skip = HWI_MIN(n, (size_t)a.q.offset);
    assert_int_equal(HWI_MIN(n - skip, K), hw_result_count(r));
    for (size_t i = 0; i < hw_result_count(r); i++) {
        hw_id id = id_of(expected[skip + i].i);
        float score = hw_result_scores(r)[i], right = expected[skip + i].score;
        if (hw_id_compare(&id, &hw_result_ids(r)[i]) != 0 || score != right) {
            fail_msg("rule %d on %s (%s), hit %zu: point %llu with %.9g, expected %llu with %.9g",
                     (int)a.q.rule, names[a.f], w->metric, i,
                     (unsigned long long)hw_result_ids(r)[i].as.u64, (double)score,
                     (unsigned long long)id.as.u64, (double)right);
        }
    }
    hw_result_free(r);
}

static void
compare_points(world *w)
{
    hw_error err;
    hw_result *r;
    for (int i = 0; i < IDS; i++) {
        hw_id id = id_of(i);
        const point *p = &w->points[i];
        hwt_ok(hw_collection_get(w->c, &id, 1, HW_WITH_VECTOR | HW_WITH_VERSION, &r, &err), &err);
        assert_int_equal(p->exists, hw_result_count(r));
        for (field f = 0; p->exists && f < FIELDS; f++) {
            hw_vector v;
            const vec *m = &p->v[f];
            assert_int_equal(m->is_there, hw_result_stored_vector(r, 0, names[f], &v));
            if (!m->is_there) continue;
            assert_int_equal(m->dim, v.dim);
            assert_int_equal(f == TOKENS ? m->rows : 0, v.rows);
            assert_memory_equal(m->values, v.values, (size_t)m->dim * m->rows * sizeof(float));
            if (is_sparse(f)) assert_memory_equal(m->indices, v.indices, m->dim * 4u);
        }
        if (p->exists) assert_true(hw_result_version(r, 0) > 0);
        hw_result_free(r);
    }
}

static void
open_again(world *w)
{
    hw_error err;
    hw_collection_close(w->c);
    hwt_db_reopen(&w->d);
    hwt_ok(hw_collection_open(w->d.db, "c", &w->c, &err), &err);
}

static void
one_world(uint64_t seed, const char *metric, bool on_disk)
{
    world *w = calloc(1, sizeof *w);
    char config[512];
    print_message("  seed %llu, %s\n", (unsigned long long)seed, metric);
    hwi_rng_init(&w->rng, seed);
    w->metric = metric;
    snprintf(
        config, sizeof config,
        "{\"vectors\": {\"main\": {\"size\": 5, \"distance\": \"%s\"}, \"tokens\": {\"size\": 3, "
        "\"distance\": \"%s\", \"multivector_config\": {\"comparator\": \"max_sim\"}}}, "
        "\"sparse_vectors\": {\"words\": {}, \"rare\": {\"modifier\": \"idf\"}}, "
        "\"index\": {\"flat_below\": 40, \"leaf_size\": 16}}",
        metric, metric);
    hwt_db_open(&w->d, on_disk);
    w->c = hwt_collection(w->d.db, "c", config);
    for (int round = 0; round < 25; round++) {
        one_transaction(w);
        if (below(w, 6) == 0) come_and_go(w);
        for (int i = 0; i < 15; i++) compare_answers(w);
        if (round % 8 == 0) compare_points(w);
        if (on_disk && below(w, 6) == 0) open_again(w);
        hwt_db_check(w->d.db);
    }
    compare_points(w);
    hw_collection_close(w->c);
    hwt_db_close(&w->d);
    free(w);
}

static void
vectors_of_every_kind_answer_as_an_array_does(void **state)
{
    (void)state;
    static const char *const metrics[] = {"l2", "dot", "l1"};
    for (uint64_t seed = 1; seed <= 6; seed++) one_world(seed, metrics[seed % 3], seed > 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_every_kind_answer_as_an_array_does)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
