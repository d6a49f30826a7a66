/* remote_read.c - reading a collection of a server.
 *
 *     hw_query -> remote_ask.c -> JSON -> remote.c: call -> JSON -> remote_answer.c -> columns
 *
 * A collection's settings are asked for once, when it is opened; answers are checked against them. */
#include "remote/remote.h"

/* ---- Opening ---- */

static hw_status
far_path(const hwi_far *far, const char *rest, hwi_buf *out, hw_error *err)
{
    hwi_remote_path(out, far->name, rest);
    return out->failed ? hwi_nomem(err, out->size) : HW_OK;
}

static hw_status
set_limits(const hw_query *query, hwi_exchange *x, hw_error *err)
{
    uint64_t now_ms = hwi_clock_us() / 1000;
    if (!query) return HW_OK;
    x->cancel = (const atomic_bool *)(const void *)query->cancel;
    if (x->cancel && atomic_load(x->cancel)) return hwi_fail(err, HW_ECANCELED, "cancelled");
    if (!query->deadline_ms) return HW_OK;
    if (now_ms >= query->deadline_ms) return hwi_fail(err, HW_ETIMEOUT, "the deadline has passed");
    x->timeout_ms = query->deadline_ms - now_ms;
    return HW_OK;
}

/* One call below the collection, within the deadline of a query and as long as it is not cancelled;
 * query NULL: however long it takes. */
static hw_status
far_call(hwi_far *far, const char *method, const char *rest, const hwi_buf *body,
         const hw_query *query, hwi_arena *arena, const hwi_json **result, hw_error *err)
{
    hwi_buf path = {0};
    hwi_exchange x = {.method = method};
    *result = NULL;
    if (body && body->failed) return hwi_nomem(err, body->size);
    if (body) x.body = hwi_buf_bytes(body);
    hw_status st = far_path(far, rest, &path, err);
    if (st == HW_OK) st = set_limits(query, &x, err);
    x.path = (const char *)path.data;
    if (st == HW_OK) st = hwi_remote_exchange(far->remote, &x, arena, result, err);
    hwi_buf_release(&path);
    return st;
}

hw_status
hwi_far_tell(hwi_far *far, const char *method, const char *rest, const hwi_buf *body, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *result;
    hw_status st = far_call(far, method, rest, body, NULL, &arena, &result, err);
    hwi_arena_release(&arena);
    return st;
}

/* The text of the result, or of its member. */
static hw_status
far_text(hwi_far *far, const char *method, const char *rest, const hwi_buf *body,
         const hw_query *query, const char *member, char **json, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *result;
    *json = NULL;
    hw_status st = far_call(far, method, rest, body, query, &arena, &result, err);
    const hwi_json *j = member ? hwi_json_member(result, member) : result;
    if (st == HW_OK && member && !j)
        st = hwi_fail(err, HW_EIO, "the server's answer has no %s", member);
    if (st == HW_OK) st = hwi_remote_take_text(j, json, err);
    hwi_arena_release(&arena);
    return st;
}

hw_status
hwi_far_text(hwi_far *far, const char *method, const char *rest, const hwi_buf *body, char **json,
             hw_error *err)
{
    return far_text(far, method, rest, body, NULL, NULL, json, err);
}

hw_status
hwi_far_member(hwi_far *far, const char *method, const char *rest, const hwi_buf *body,
               const char *member, char **json, hw_error *err)
{
    return far_text(far, method, rest, body, NULL, member, json, err);
}

/* The fields of a description, in the form in which a collection is created. */
static void
write_settings(const hwi_json *described, hwi_buf *out)
{
    const hwi_json *vectors = hwi_json_member(described, "vectors");
    const hwi_json *sparse = hwi_json_member(described, "sparse_vectors");
    hwi_buf_text(out, "{");
    if (vectors && vectors->child) {
        hwi_buf_text(out, "\"vectors\":");
        hwi_json_write(out, vectors);
    }
    if (sparse) {
        hwi_buf_text(out, out->size > 1 ? ",\"sparse_vectors\":" : "\"sparse_vectors\":");
        hwi_json_write(out, sparse);
    }
    hwi_buf_text(out, "}");
}

static hw_status
read_settings(hwi_far *far, hw_error *err)
{
    hwi_arena arena = {0};
    hwi_buf settings = {0};
    const hwi_json *described;
    hw_status st = far_call(far, "GET", "/describe", NULL, NULL, &arena, &described, err);
    if (st == HW_OK) {
        write_settings(described, &settings);
        st = settings.failed ? hwi_nomem(err, settings.size)
                             : hwi_conf_parse(far->name, (const char *)settings.data, settings.size,
                                              &far->conf, err);
        if (st != HW_OK) st = hwi_fail_prefix(err, HW_EIO, "the server's answer");
    }
    hwi_buf_release(&settings);
    hwi_arena_release(&arena);
    return st;
}

hw_status
hwi_far_open(hwi_remote *remote, const char *name, hwi_far **out, hw_error *err)
{
    *out = NULL;
    if (strlen(name) > HW_NAME_MAX) {
        return hwi_fail(err, HW_ENOTFOUND, "there is no collection `%s`", name);
    }
    hwi_far *far = hwi_alloc_zero(sizeof *far);
    if (!far) return hwi_nomem(err, sizeof *far);
    far->remote = remote;
    strncpy(far->name, name, HW_NAME_MAX);
    hw_status st = read_settings(far, err);
    if (st != HW_OK) {
        hwi_far_close(far);
        return st;
    }
    *out = far;
    return HW_OK;
}

void
hwi_far_close(hwi_far *far)
{
    if (!far) return;
    hwi_conf_unref(far->conf);
    hwi_free(far);
}

/* ---- Calls ---- */

static hw_status
ask(hwi_far *far, const char *rest, const hwi_buf *body, const hw_query *query, uint32_t with,
    bool scored, hwi_far_rows *out, hw_error *err)
{
    hwi_arena arena = {0};
    const hwi_json *result;
    *out = (hwi_far_rows){0};
    hw_status st = far_call(far, "POST", rest, body, query, &arena, &result, err);
    if (st == HW_OK) st = hwi_far_read_rows(far, result, with, scored, out, err);
    hwi_arena_release(&arena);
    return st;
}

hw_status
hwi_far_search(hwi_far *far, const hw_query *query, hwi_far_rows *out, hw_error *err)
{
    hwi_buf body = {0};
    hwi_far_write_query(&body, query);
    hwi_buf_text(&body, "}");
    hw_status st = ask(far, "/points/query", &body, query, query->with, true, out, err);
    hwi_buf_release(&body);
    return st;
}

hw_status
hwi_far_why(hwi_far *far, const hw_query *query, const hw_id *id, char **json, hw_error *err)
{
    hwi_buf body = {0};
    hwi_far_write_query(&body, query);
    hwi_buf_text(&body, ",\"id\":");
    hwi_json_write_id(&body, id);
    hwi_buf_text(&body, "}");
    hw_status st = far_text(far, "POST", "/points/why", &body, query, NULL, json, err);
    hwi_buf_release(&body);
    return st;
}

hw_status
hwi_far_get(hwi_far *far, const hw_id *ids, size_t count, uint32_t with, hwi_far_rows *out,
            hw_error *err)
{
    hwi_buf body = {0};
    hwi_buf_text(&body, "{\"ids\":");
    hwi_far_write_ids(&body, ids, count);
    hwi_far_write_with(&body, with);
    hwi_buf_text(&body, "}");
    hw_status st = ask(far, "/points", &body, NULL, with, false, out, err);
    hwi_buf_release(&body);
    return st;
}

hw_status
hwi_far_count(hwi_far *far, const char *filter, size_t filter_bytes, uint64_t *count, hw_error *err)
{
    hwi_buf body = {0};
    hwi_arena arena = {0};
    const hwi_json *result;
    *count = 0;
    hwi_buf_text(&body, "{\"exact\":true");
    hwi_far_write_filter(&body, filter, filter_bytes, NULL, 0);
    hwi_buf_text(&body, "}");
    hw_status st = far_call(far, "POST", "/points/count", &body, NULL, &arena, &result, err);
    if (st == HW_OK) *count = hwi_far_count_in(result, "count");
    hwi_arena_release(&arena);
    hwi_buf_release(&body);
    return st;
}

hw_status
hwi_far_scroll(hwi_far *far, const char *filter, size_t filter_bytes, const hw_id *from,
               uint32_t limit, uint32_t with, hwi_far_rows *out, hw_error *err)
{
    hwi_buf body = {0};
    hwi_buf_printf(&body, "{\"limit\":%u", limit);
    hwi_far_write_with(&body, with);
    hwi_far_write_filter(&body, filter, filter_bytes, NULL, 0);
    if (from) {
        hwi_buf_text(&body, ",\"offset\":");
        hwi_json_write_id(&body, from);
    }
    hwi_buf_text(&body, "}");
    hw_status st = ask(far, "/points/scroll", &body, NULL, with, false, out, err);
    hwi_buf_release(&body);
    return st;
}
