#include "support/hwt_script.h"

#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 60, DIM = 4 };

static void
row(uint64_t id, int salt, float *v)
{
    for (int j = 0; j < DIM; j++) v[j] = (float)((id * 7 + (uint64_t)(j * 13 + salt)) % 23) - 11;
}

static hw_status
open_ours(hw_db *db, const char *name, hw_collection **c, hw_error *err)
{
    return hw_collection_open(db, name, c, err);
}

static hw_status
upsert_range(hw_collection *c, uint64_t first, uint64_t count, int salt, hw_error *err)
{
    hw_id ids[POINTS];
    float rows[POINTS][DIM];
    char text[POINTS][48];
    const char *payloads[POINTS];
    for (uint64_t i = 0; i < count; i++) {
        ids[i] = HW_ID_U64(first + i);
        row(first + i, salt, rows[i]);
        snprintf(text[i], sizeof *text, "{\"n\": %d, \"salt\": %d}", (int)((first + i) % 5), salt);
        payloads[i] = text[i];
    }
    return hw_collection_upsert(c, ids, &rows[0][0], count, payloads, err);
}

static hw_status
delete_some(hw_collection *c, hw_error *err)
{
    hw_id ids[POINTS];
    size_t count = 0;
    for (uint64_t i = 0; i < POINTS; i += 2) ids[count++] = HW_ID_U64(i);
    return hw_collection_delete(c, ids, count, NULL, err);
}

/* One transaction of every kind of change, over two collections. */
static hw_status
mixed(hw_db *db, hw_collection *a, hw_error *err)
{
    hw_txn *txn;
    hw_collection *b;
    float v[DIM];
    hw_id one = HW_ID_U64(1),
          text = {.kind = HW_ID_KIND_TEXT, .text_bytes = 20, .as.text = "twenty bytes of text"};
    row(99, 5, v);
    hw_vector vector = {.values = v, .dim = DIM};
    const char *unnamed = "";
    HWI_TRY(open_ours(db, "b", &b, err));
    hw_status st = hw_txn_begin(db, &txn, err);
    if (st != HW_OK) goto out;
    st = hw_txn_upsert(txn, b, &text, &vector, 1, "{\"t\":[1]}", 9, err);
    if (st == HW_OK) st = hw_txn_update_vectors(txn, a, &one, &vector, 1, err);
    if (st == HW_OK) {
        st = hw_txn_update_payload(txn, a, &one, HW_PAYLOAD_SET, "deep.er", "{\"x\":1}", 7, err);
    }
    one.as.u64 = 3;
    if (st == HW_OK) st = hw_txn_delete_vectors(txn, a, &one, &unnamed, 1, err);
    if (st == HW_OK) st = hw_txn_delete(txn, a, &(hw_id){.as.u64 = 5}, NULL, err);
    if (st == HW_OK) {
        st = hw_txn_commit(txn, err);
    } else {
        hw_txn_abort(txn);
    }
out:
    hw_collection_close(b);
    return st;
}

static hw_status
on_a(hw_db *db, int i, hw_error *err)
{
    hw_collection *a;
    HWI_TRY(open_ours(db, "a", &a, err));
    hw_status st = HW_OK;
    switch (i) {
    case 2:
        st = upsert_range(a, 0, 10, 1, err);
        break;
    case 3:
        st = upsert_range(a, 10, 50, 1, err);
        break; /* trains the first generation */
    case 4:
        st = hw_collection_index_payload(a, "n", "integer", NULL, NULL, err);
        break;
    case 5:
        st = mixed(db, a, err);
        break;
    case 6:
        st = delete_some(a, err);
        break;
    case 7:
        st = upsert_range(a, 0, 60, 1, err);
        break; /* half of it unchanged */
    case 8:
        st = hw_collection_build(a, NULL, NULL, err);
        break;
    case 9:
        st = upsert_range(a, 5, 30, 9, err);
        break;
    case 10:
        st = hw_collection_unindex_payload(a, "n", err);
        break;
    case 12:
        st = upsert_range(a, 100, 60, 3, err);
        break; /* splits */
    default:
        break;
    }
    hw_collection_close(a);
    return st;
}

/* ---- Vectors of other kinds ---- */

static hw_status
upsert_kinds(hw_txn *txn, hw_collection *c, uint64_t id, int salt, hw_error *err)
{
    float rows[3 * 2];
    uint32_t indices[6];
    hw_id point = HW_ID_U64(id);
    for (uint32_t j = 0; j < 6; j++) {
        rows[j] = (float)((id * 5 + j * 3 + (uint64_t)salt) % 11) - 5;
        indices[j] = (uint32_t)(id * 7 + j * j * 13) % 40 + j * 40; /* distinct */
    }
    hw_vector v[] = {
        {.name = "m", .values = rows, .dim = 2, .rows = 1 + (uint32_t)(id + (uint64_t)salt) % 3},
        {.name = "s", .values = rows, .indices = indices, .dim = (uint32_t)(id % 7)}};
    return hw_txn_upsert(txn, c, &point, v, 2, NULL, 0, err);
}

static hw_status
change_kinds(hw_txn *txn, hw_collection *c, int salt, hw_error *err)
{
    const char *words = "s";
    hw_id two = HW_ID_U64(2), three = HW_ID_U64(3);
    hw_vector late = {.name = "late", .values = (float[]){1, 2}, .dim = 2};
    for (uint64_t id = 0; id < 12; id++) HWI_TRY(upsert_kinds(txn, c, id, salt, err));
    if (salt < 2) return HW_OK;
    HWI_TRY(hw_txn_update_vectors(txn, c, &two, &late, 1, err));
    HWI_TRY(hw_txn_delete_vectors(txn, c, &two, &words, 1, err));
    return hw_txn_delete(txn, c, &three, NULL, err);
}

static hw_status
write_kinds(hw_db *db, hw_collection *c, int salt, hw_error *err)
{
    hw_txn *txn;
    HWI_TRY(hw_txn_begin(db, &txn, err));
    hw_status st = change_kinds(txn, c, salt, err);
    if (st == HW_OK) return hw_txn_commit(txn, err);
    hw_txn_abort(txn);
    return st;
}

static hw_status
ask_one(hw_collection *c, const char *name, hw_rule rule, hw_error *err)
{
    hw_result *r;
    hw_id one = HW_ID_U64(1), two = HW_ID_U64(4), among[] = {one, two, HW_ID_U64(5)};
    hw_example pair[] = {{.id = &one}, {.id = &two, .negative = true}};
    hw_query q = HW_QUERY_INIT;
    q.vector_name = name, q.rule = rule, q.with = HW_WITH_VECTOR | HW_WITH_VERSION;
    q.filter = "{\"must\": {\"has_vector\": \"s\"}}", q.filter_bytes = strlen(q.filter);
    if (rule == HW_RULE_DISCOVER || rule == HW_RULE_NEAREST) q.id = &two;
    if (rule != HW_RULE_NEAREST) q.examples = pair, q.example_count = 2;
    if (rule == HW_RULE_CONTEXT) q.among = among, q.among_count = 3;
    HWI_TRY(hw_collection_search(c, &q, &r, err));
    hw_result_free(r);
    return HW_OK;
}

static hw_status
ask_kinds(hw_collection *c, hw_error *err)
{
    static const char *const names[] = {"m", "s"};
    for (size_t i = 0; i < 2; i++) {
        for (hw_rule rule = HW_RULE_NEAREST; rule <= HW_RULE_CONTEXT; rule++)
            HWI_TRY(ask_one(c, names[i], rule, err));
    }
    return HW_OK;
}

static hw_status
on_k(hw_db *db, int i, hw_error *err)
{
    hw_collection *k;
    HWI_TRY(open_ours(db, "k", &k, err));
    hw_status st = HW_OK;
    switch (i) {
    case 15:
        st = write_kinds(db, k, 1, err);
        break;
    case 16:
        st = hw_collection_add_vector(k, "late", false, "{\"dim\":2,\"metric\":\"l2\"}", err);
        break;
    case 17:
        st = write_kinds(db, k, 2, err);
        break;
    case 18:
        st = ask_kinds(k, err);
        break;
    case 19:
        st = hw_collection_drop_vector(k, "s", err);
        break;
    case 20:
        st = hw_collection_configure(k, "{\"note\":{\"a\":[1]}}", err);
        break;
    default:
        st = hw_collection_drop_vector(k, "late", err);
        break;
    }
    hw_collection_close(k);
    return st;
}

hw_status
hwt_step(hw_db *db, int i, hw_error *err)
{
    static const char kinds[] = "{\"vectors\":{\"m\":{\"dim\":2,\"metric\":\"l1\","
                                "\"multivector_config\":{}}},\"sparse_vectors\":{\"s\":{"
                                "\"modifier\":\"idf\"}}}";
    if (i == 14) return hw_collection_create(db, "k", kinds, err);
    if (i > 14) return on_k(db, i, err);
    static const char config[] = "{\"dim\":4,\"metric\":\"cosine\",\"index\":{\"flat_below\":20,"
                                 "\"leaf_size\":16},\"payload_indexes\":{\"salt\":\"integer\"}}";
    switch (i) {
    case 0:
        return hw_collection_create(db, "a", config, err);
    case 1:
        return hw_collection_create(db, "b", config, err);
    case 11:
        return hw_collection_drop(db, "b", err);
    case 13:
        return hw_collection_drop(db, "a", err);
    default:
        return on_a(db, i, err);
    }
}

int
hwt_run(hw_db *db, hw_status *status, hw_error *err)
{
    for (int i = 0; i < HWT_STEPS; i++) {
        *status = hwt_step(db, i, err);
        if (*status != HW_OK) return i;
    }
    return HWT_STEPS;
}

/* ---- Content as text ---- */

static void
dump_vectors(const hw_result *r, size_t i, hwi_buf *b)
{
    static const char *const names[] = {"", "m", "s", "late"};
    for (size_t n = 0; n < HWI_COUNT(names); n++) {
        hw_vector v;
        if (!hw_result_stored_vector(r, i, names[n], &v)) continue;
        hwi_buf_printf(b, " %s:", names[n]);
        for (uint32_t j = 0; j < v.dim * HWI_MAX(v.rows, 1u); j++) {
            if (v.indices) hwi_buf_printf(b, " %u=", v.indices[j]);
            hwi_buf_printf(b, " %g", (double)v.values[j]);
        }
    }
}

/* What clients keep there, and which fields there are. */
static void
dump_settings(hw_collection *c, hwi_buf *b)
{
    char *json;
    hw_error err;
    hwt_ok(hw_collection_describe(c, &json, &err), &err);
    const char *extra = strstr(json, "\"extra\"");
    hwi_buf_printf(b, "%s %s\n", strstr(json, "\"late\"") ? "late" : "-", extra ? extra : "-");
    hw_free(json);
}

static void
dump_collection(hw_db *db, const char *name, hwi_buf *b)
{
    hw_collection *c;
    hw_result *r;
    hw_error err;
    bool more;
    hw_id next;
    char id[HW_ID_TEXT_MAX + 1];
    hwi_buf_printf(b, "%s\n", name);
    hwt_ok(hw_collection_open(db, name, &c, &err), &err);
    dump_settings(c, b);
    hwt_ok(hw_collection_scroll(c, NULL, 0, NULL, 1000, HW_WITH_PAYLOAD | HW_WITH_VECTOR, &r, &more,
                                &next, &err),
           &err);
    for (size_t i = 0; i < hw_result_count(r); i++) {
        const char *payload = hw_result_payload(r, i, NULL);
        hw_id_format(&hw_result_ids(r)[i], id);
        hwi_buf_printf(b, "  %s", id);
        dump_vectors(r, i, b);
        hwi_buf_printf(b, " %s\n", payload ? payload : "-");
    }
    hw_result_free(r);
    hw_collection_close(c);
}

char *
hwt_dump(hw_db *db)
{
    hwi_buf b = {0};
    char **names;
    size_t count;
    hw_error err;
    hwt_ok(hw_collection_list(db, &names, &count, &err), &err);
    for (size_t i = 0; i < count; i++) dump_collection(db, names[i], &b);
    hw_free(names);
    hwi_buf_fill(&b, 0, 1);
    return (char *)b.data;
}

const char *
hwt_expected(int steps)
{
    static char *dumps[HWT_STEPS + 1];
    hw_db *db;
    hw_error err;
    if (!dumps[0]) {
        hwt_ok(hw_db_open("mem:", NULL, &db, &err), &err);
        dumps[0] = hwt_dump(db);
        for (int i = 0; i < HWT_STEPS; i++) {
            hwt_ok(hwt_step(db, i, &err), &err);
            dumps[i + 1] = hwt_dump(db);
        }
        hw_db_close(db);
    }
    return dumps[steps];
}

void
hwt_check_after(hw_db *db, int steps)
{
    hwt_db_check(db);
    char *dump = hwt_dump(db);
    bool is_it = strcmp(dump, hwt_expected(steps)) == 0;
    if (!is_it && steps < HWT_STEPS) is_it = strcmp(dump, hwt_expected(steps + 1)) == 0;
    if (!is_it) {
        fail_msg("after %d steps the database holds\n%s\ninstead of\n%s", steps, dump,
                 hwt_expected(steps));
    }
    free(dump);
}
