/* far.c - the public functions for a database that a server holds: what src/remote says, as handles
 * and results. Each public function asks first whether its handle is such a one (api.h, HWI_FAR). */
#include "api/api.h"

hw_status
hwi_far_unsupported(const char *what, hw_error *err)
{
    return hwi_fail(err, HW_EUNSUPPORTED,
                    "%s is for a database in a folder, not for one on a server", what);
}

hw_status
hwi_db_open_far(const char *url, const hw_db_opts *opts, hw_db **out, hw_error *err)
{
    *out = NULL;
    hw_db *db = hwi_alloc_zero(sizeof *db);
    if (!db) return hwi_nomem(err, sizeof *db);
    db->opts = *opts;
    pthread_mutex_init(&db->lock, NULL);
    hw_status st = hwi_remote_open(url, &db->far, err);
    if (st != HW_OK) {
        pthread_mutex_destroy(&db->lock);
        hwi_free(db);
        return st;
    }
    *out = db;
    return HW_OK;
}

hw_status
hwi_collection_open_far(hw_db *db, const char *name, hw_collection **out, hw_error *err)
{
    *out = NULL;
    hw_collection *c = hwi_alloc_zero(sizeof *c);
    if (!c) return hwi_nomem(err, sizeof *c);
    c->db = db;
    hw_status st = hwi_far_open(db->far, name, &c->far, err);
    if (st != HW_OK) {
        hwi_free(c);
        return st;
    }
    *out = c;
    return HW_OK;
}

/* ---- Reading ---- */

/* Rows become a result, whatever came of the call that fetched them. */
static hw_status
give(hw_collection *c, hw_status st, hwi_far_rows *rows, hw_result **out, hw_error *err)
{
    *out = NULL;
    if (st != HW_OK) return st;
    st = hwi_result_from_far(rows, c->far->conf, out, err);
    hwi_far_rows_release(rows);
    return st;
}

hw_status
hwi_search_far(hw_collection *c, const hw_query *query, hw_result **out, hw_error *err)
{
    hwi_far_rows rows;
    hw_query full;
    *out = NULL;
    HWI_TRY(hwi_query_full(query, &full, err));
    return give(c, hwi_far_search(c->far, &full, &rows, err), &rows, out, err);
}

hw_status
hwi_search_batch_far(hw_collection *c, const hw_query *queries, size_t count, hw_result **out,
                     hw_error *err)
{
    for (size_t i = 0; i < count; i++) out[i] = NULL;
    for (size_t i = 0; i < count; i++) {
        hw_status st = hwi_search_far(c, &queries[i], &out[i], err);
        if (st == HW_OK) continue;
        while (i-- > 0) {
            hw_result_free(out[i]);
            out[i] = NULL;
        }
        return st;
    }
    return HW_OK;
}

hw_status
hwi_why_far(hw_collection *c, const hw_query *query, const hw_id *id, char **json, hw_error *err)
{
    hw_query full;
    *json = NULL;
    HWI_TRY(hwi_query_full(query, &full, err));
    if (!id) return hwi_fail(err, HW_EINVAL, "id is NULL");
    return hwi_far_why(c->far, &full, id, json, err);
}

hw_status
hwi_get_far(hw_collection *c, const hw_id *ids, size_t count, uint32_t with, hw_result **out,
            hw_error *err)
{
    hwi_far_rows rows;
    return give(c, hwi_far_get(c->far, ids, count, with, &rows, err), &rows, out, err);
}

hw_status
hwi_scroll_far(hw_collection *c, const char *filter, size_t filter_bytes, const hw_id *from,
               uint32_t limit, uint32_t with, hw_result **out, bool *more, hw_id *next,
               hw_error *err)
{
    hwi_far_rows rows;
    *out = NULL;
    if (more) *more = false;
    HWI_TRY(hwi_far_scroll(c->far, filter, filter_bytes, from, limit, with, &rows, err));
    bool goes_on = rows.more;
    hw_id after = rows.next;
    hw_status st = hwi_result_from_far(&rows, c->far->conf, out, err);
    if (st == HW_OK && goes_on && next) st = hwi_result_keep_id(*out, &after, err);
    hwi_far_rows_release(&rows);
    if (st != HW_OK) {
        hw_result_free(*out);
        *out = NULL;
        return st;
    }
    if (more) *more = goes_on;
    if (goes_on && next) *next = after;
    return HW_OK;
}

static hw_status
check_field(const char *field, hw_error *err)
{
    return field && field[0] ? HW_OK : hwi_fail(err, HW_EINVAL, "payload field is empty");
}

hw_status
hwi_facet_far(hw_collection *c, const char *field, const char *filter, size_t filter_bytes,
              uint32_t limit, char **json, hw_error *err)
{
    hwi_buf body = {0};
    *json = NULL;
    HWI_TRY(check_field(field, err));
    hwi_buf_printf(&body, "{\"limit\":%u,\"exact\":true,\"key\":", limit);
    hwi_json_write_text(&body, field, strlen(field));
    if (filter) {
        hwi_buf_text(&body, ",\"filter\":");
        hwi_buf_add(&body, filter, filter_bytes);
    }
    hwi_buf_text(&body, "}");
    hw_status st = hwi_far_member(c->far, "POST", "/facet", &body, "hits", json, err);
    hwi_buf_release(&body);
    return st;
}

/* ---- Settings ----
 *
 * A server takes what is already so, or already gone, for done, and puts an index of another type in
 * the place of the one there is. A folder refuses these, so they are asked for beforehand. */

/* The collection as it is now, not as it was when it was opened. */
static hw_status
ask_described(hw_collection *c, hwi_arena *arena, const hwi_json **out, hw_error *err)
{
    char *json;
    HWI_TRY(hwi_far_text(c->far, "GET", "/describe", NULL, &json, err));
    hw_status st = hwi_json_parse(json, strlen(json), arena, out, err);
    hw_free(json);
    return st;
}

/* The type of the index that the field has, "" when it has none. */
static hw_status
ask_indexed(hw_collection *c, const char *field, hwi_arena *arena, const char **type, hw_error *err)
{
    const hwi_json *described;
    HWI_TRY(ask_described(c, arena, &described, err));
    const hwi_json *index = hwi_json_member(hwi_json_member(described, "payload_indexes"), field);
    const hwi_json *known = hwi_json_member(index, "type");
    *type = known && known->kind == HWI_JSON_TEXT ? known->text : "";
    return HW_OK;
}

/* The word of a type that is given as a word, or as JSON of an object with one. */
static hw_status
type_word(const char *type, hwi_arena *arena, const char **word, hw_error *err)
{
    const hwi_json *tree;
    *word = type;
    if (type[0] != '{') return HW_OK;
    HWI_TRY(hwi_json_parse(type, strlen(type), arena, &tree, err));
    const hwi_json *given = hwi_json_member(tree, "type");
    *word = given && given->kind == HWI_JSON_TEXT ? given->text : "";
    return HW_OK;
}

static hw_status
check_index_type(hw_collection *c, const char *field, const char *type, hw_error *err)
{
    hwi_arena arena = {0};
    const char *known, *wanted;
    hw_status st = ask_indexed(c, field, &arena, &known, err);
    if (st == HW_OK) st = type_word(type, &arena, &wanted, err);
    if (st == HW_OK && known[0] && strcmp(known, wanted) != 0)
        st = hwi_fail(err, HW_EEXIST, "field `%s` has an index of type %s", field, known);
    hwi_arena_release(&arena);
    return st;
}

hw_status
hwi_index_payload_far(hw_collection *c, const char *field, const char *type, hw_error *err)
{
    hwi_buf body = {0};
    HWI_TRY(check_field(field, err));
    if (!type) return hwi_fail(err, HW_EINVAL, "index type is NULL");
    HWI_TRY(check_index_type(c, field, type, err));
    hwi_buf_text(&body, "{\"field_name\":");
    hwi_json_write_text(&body, field, strlen(field));
    hwi_buf_text(&body, ",\"field_schema\":");
    if (type[0] == '{') {
        hwi_buf_text(&body, type);
    } else {
        hwi_json_write_text(&body, type, strlen(type));
    }
    hwi_buf_text(&body, "}");
    hw_status st = hwi_far_tell(c->far, "PUT", "/index?wait=true", &body, err);
    hwi_buf_release(&body);
    return st;
}

hw_status
hwi_unindex_payload_far(hw_collection *c, const char *field, hw_error *err)
{
    hwi_buf path = {0};
    hwi_arena arena = {0};
    const char *known;
    HWI_TRY(check_field(field, err));
    hw_status st = ask_indexed(c, field, &arena, &known, err);
    if (st == HW_OK && !known[0])
        st = hwi_fail(err, HW_ENOTFOUND, "field `%s` has no index", field);
    hwi_arena_release(&arena);
    if (st != HW_OK) return st;
    hwi_buf_text(&path, "/index/");
    hwi_remote_escape(&path, field);
    hwi_buf_text(&path, "?wait=true");
    hwi_buf_fill(&path, 0, 1);
    st = path.failed ? hwi_nomem(err, path.size)
                     : hwi_far_tell(c->far, "DELETE", (const char *)path.data, NULL, err);
    hwi_buf_release(&path);
    return st;
}

/* A member of a field's config, by the name the server knows it by. */
static void
write_field_member(hwi_buf *b, const hwi_json *j)
{
    static const char *const metrics[][2] = {
        {"cosine", "Cosine"}, {"l2", "Euclid"}, {"dot", "Dot"}, {"l1", "Manhattan"}};
    if (strcmp(j->key, "dim") == 0) {
        hwi_buf_text(b, "\"size\":");
        hwi_json_write(b, j);
        return;
    }
    if (strcmp(j->key, "metric") != 0 || j->kind != HWI_JSON_TEXT) {
        hwi_json_write_text(b, j->key, j->key_bytes);
        hwi_buf_text(b, ":");
        hwi_json_write(b, j);
        return;
    }
    const char *name = j->text;
    for (size_t i = 0; i < HWI_COUNT(metrics); i++)
        if (strcmp(j->text, metrics[i][0]) == 0) name = metrics[i][1];
    hwi_buf_text(b, "\"distance\":");
    hwi_json_write_text(b, name, strlen(name));
}

static hw_status
tell_field(hw_collection *c, const char *method, const char *name, const hwi_buf *body,
           hw_error *err)
{
    hwi_buf path = {0};
    hwi_buf_text(&path, "/vectors/");
    hwi_remote_escape(&path, name);
    hwi_buf_text(&path, "?wait=true");
    hwi_buf_fill(&path, 0, 1);
    hw_status st = path.failed ? hwi_nomem(err, path.size)
                               : hwi_far_tell(c->far, method, (const char *)path.data, body, err);
    hwi_buf_release(&path);
    return st;
}

static hw_status
check_no_vector(hw_collection *c, const char *name, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *described;
    hw_status st = ask_described(c, &arena, &described, err);
    if (st == HW_OK && (hwi_json_member(hwi_json_member(described, "vectors"), name) ||
                        hwi_json_member(hwi_json_member(described, "sparse_vectors"), name)))
        st = hwi_fail(err, HW_EEXIST, "there is a vector of the name `%s`", name);
    hwi_arena_release(&arena);
    return st;
}

hw_status
hwi_add_vector_far(hw_collection *c, const char *name, bool sparse, const char *config,
                   hw_error *err)
{
    hwi_buf body = {0};
    hwi_arena arena = {0};
    const hwi_json *tree;
    hw_status st = hwi_json_parse(config, strlen(config), &arena, &tree, err);
    if (st == HW_OK && tree->kind != HWI_JSON_OBJECT)
        st = hwi_fail(err, HW_EINVAL, "config of a vector field: expected an object");
    if (st == HW_OK) st = check_no_vector(c, name, err);
    if (st == HW_OK) {
        hwi_buf_text(&body, sparse ? "{\"sparse\":{" : "{\"dense\":{");
        for (const hwi_json *j = tree->child; j; j = j->next) {
            if (j != tree->child) hwi_buf_text(&body, ",");
            write_field_member(&body, j);
        }
        hwi_buf_text(&body, "}}");
        st = tell_field(c, "PUT", name, &body, err);
    }
    hwi_arena_release(&arena);
    hwi_buf_release(&body);
    return st;
}

hw_status
hwi_drop_vector_far(hw_collection *c, const char *name, hw_error *err)
{
    return tell_field(c, "DELETE", name, NULL, err);
}

/* What the server's PATCH would pass over in silence is refused here. */
static hw_status
check_patch(const char *patch, hw_error *err)
{
    static const char *const known[] = {"hnsw_config", "optimizers_config", "quantization_config",
                                        "strict_mode_config", "metadata"};
    hwi_arena arena = {0};
    const hwi_json *tree;
    hw_status st = hwi_json_parse(patch, strlen(patch), &arena, &tree, err);
    for (const hwi_json *j = st == HW_OK ? tree->child : NULL; st == HW_OK && j; j = j->next) {
        bool is_known = false;
        for (size_t i = 0; j->key && i < HWI_COUNT(known); i++)
            is_known |= strcmp(j->key, known[i]) == 0;
        if (!is_known)
            st = hwi_fail(err, HW_EUNSUPPORTED, "`%s` cannot be changed on a server",
                          j->key ? j->key : "");
    }
    hwi_arena_release(&arena);
    return st;
}

hw_status
hwi_configure_far(hw_collection *c, const char *patch, hw_error *err)
{
    hwi_buf body = {0};
    HWI_TRY(check_patch(patch, err));
    hwi_buf_text(&body, patch);
    hw_status st = hwi_far_tell(c->far, "PATCH", "", &body, err);
    hwi_buf_release(&body);
    return st;
}
