/* remote_write.c - a transaction on a server is one batch request, sent by the commit.
 *
 * Operations are written down as they come, neighbouring upserts as one:
 *
 *     {"operations": [{"upsert": {"points": [..]}}, {"set_payload": {..}}, {"delete": {..}}]}
 *
 * The server runs a batch as one transaction, so all of it happens or nothing. What an operation
 * must know beforehand (that the point is there) is asked when it is called; between that and the
 * commit others may write. A batch concerns one collection: a transaction over two is refused. */
#include "remote/remote.h"

#define BATCH_BYTES_MAX (30u << 20) /* the server's default limit is 32 MiB */

struct hwi_far_txn {
    hwi_far *far; /* set by the first operation; borrowed */
    hwi_buf body;
    size_t operations;
    bool in_upsert; /* the last operation is an upsert whose list of points is open */
};

hw_status
hwi_far_txn_begin(hwi_far_txn **out, hw_error *err)
{
    *out = hwi_alloc_zero(sizeof **out);
    return *out ? HW_OK : hwi_nomem(err, sizeof **out);
}

void
hwi_far_txn_abort(hwi_far_txn *t)
{
    if (!t) return;
    hwi_buf_release(&t->body);
    hwi_free(t);
}

static void
close_upsert(hwi_far_txn *t)
{
    if (t->in_upsert) hwi_buf_text(&t->body, "]}}");
    t->in_upsert = false;
}

hw_status
hwi_far_txn_commit(hwi_far_txn *t, hw_error *err)
{
    hw_status st = HW_OK;
    if (t->far) {
        close_upsert(t);
        hwi_buf_text(&t->body, "]}");
        st = hwi_far_tell(t->far, "POST", "/points/batch?wait=true", &t->body, err);
    }
    hwi_far_txn_abort(t);
    return st;
}

/* ---- Operations ---- */

static hw_status
join(hwi_far_txn *t, hwi_far *far, hw_error *err)
{
    if (t->far && t->far != far && strcmp(t->far->name, far->name) != 0) {
        return hwi_fail(err, HW_EUNSUPPORTED,
                        "a transaction on a server concerns one collection: it has `%s`, not `%s`",
                        t->far->name, far->name);
    }
    if (t->body.size > BATCH_BYTES_MAX) {
        return hwi_fail(err, HW_ELIMIT, "transaction of %zu bytes is above the maximum %u",
                        t->body.size, BATCH_BYTES_MAX);
    }
    if (!t->far) hwi_buf_text(&t->body, "{\"operations\":[");
    t->far = far;
    return HW_OK;
}

static hw_status
begin_operation(hwi_far_txn *t, hwi_far *far, const char *start, hw_error *err)
{
    HWI_TRY(join(t, far, err));
    close_upsert(t);
    if (t->operations++) hwi_buf_text(&t->body, ",");
    hwi_buf_text(&t->body, start);
    return HW_OK;
}

static hw_status
end_operation(hwi_far_txn *t, const char *end, hw_error *err)
{
    hwi_buf_text(&t->body, end);
    return t->body.failed ? hwi_nomem(err, t->body.size) : HW_OK;
}

static hw_status
must_exist(hwi_far *far, const hw_id *id, bool *existed, hw_error *err)
{
    hwi_far_rows rows;
    char text[HW_ID_TEXT_MAX + 1];
    HWI_TRY(hwi_far_get(far, id, 1, 0, &rows, err));
    bool found = rows.count == 1;
    hwi_far_rows_release(&rows);
    if (existed) {
        *existed = found;
        return HW_OK;
    }
    if (found) return HW_OK;
    hw_id_format(id, text);
    return hwi_fail(err, HW_ENOTFOUND, "there is no point %s", text);
}

static void
write_vectors(hwi_buf *b, const hw_vector *vectors, size_t count)
{
    bool unnamed = count == 1 && (!vectors[0].name || !vectors[0].name[0]);
    if (unnamed) {
        hwi_far_write_vector(b, &vectors[0]);
        return;
    }
    hwi_buf_text(b, "{");
    for (size_t i = 0; i < count; i++) {
        const char *name = vectors[i].name ? vectors[i].name : "";
        if (i) hwi_buf_text(b, ",");
        hwi_json_write_text(b, name, strlen(name));
        hwi_buf_text(b, ":");
        hwi_far_write_vector(b, &vectors[i]);
    }
    hwi_buf_text(b, "}");
}

hw_status
hwi_far_upsert(hwi_far_txn *t, hwi_far *far, const hw_id *id, const hw_vector *vectors,
               size_t vector_count, const char *payload, size_t payload_bytes, hw_error *err)
{
    if (t->in_upsert) {
        HWI_TRY(join(t, far, err));
        hwi_buf_text(&t->body, ",");
    } else {
        HWI_TRY(begin_operation(t, far, "{\"upsert\":{\"points\":[", err));
        t->in_upsert = true;
    }
    hwi_buf_text(&t->body, "{\"id\":");
    hwi_json_write_id(&t->body, id);
    hwi_buf_text(&t->body, ",\"vector\":");
    write_vectors(&t->body, vectors, vector_count);
    if (payload) {
        hwi_buf_text(&t->body, ",\"payload\":");
        hwi_buf_add(&t->body, payload, payload_bytes);
    }
    return end_operation(t, "}", err);
}

hw_status
hwi_far_update_vectors(hwi_far_txn *t, hwi_far *far, const hw_id *id, const hw_vector *vectors,
                       size_t vector_count, hw_error *err)
{
    HWI_TRY(must_exist(far, id, NULL, err));
    HWI_TRY(begin_operation(t, far, "{\"update_vectors\":{\"points\":[{\"id\":", err));
    hwi_json_write_id(&t->body, id);
    hwi_buf_text(&t->body, ",\"vector\":");
    write_vectors(&t->body, vectors, vector_count);
    return end_operation(t, "}]}}", err);
}

static void
write_points(hwi_buf *b, const hw_id *id)
{
    hwi_buf_text(b, "\"points\":[");
    hwi_json_write_id(b, id);
    hwi_buf_text(b, "]");
}

hw_status
hwi_far_delete_vectors(hwi_far_txn *t, hwi_far *far, const hw_id *id, const char *const *names,
                       size_t name_count, hw_error *err)
{
    HWI_TRY(must_exist(far, id, NULL, err));
    HWI_TRY(begin_operation(t, far, "{\"delete_vectors\":{", err));
    write_points(&t->body, id);
    hwi_buf_text(&t->body, ",\"vector\":[");
    for (size_t i = 0; i < name_count; i++) {
        const char *name = names[i] ? names[i] : "";
        if (i) hwi_buf_text(&t->body, ",");
        hwi_json_write_text(&t->body, name, strlen(name));
    }
    return end_operation(t, "]}}", err);
}

hw_status
hwi_far_update_payload(hwi_far_txn *t, hwi_far *far, const hw_id *id, hw_payload_op op,
                       const char *at, const char *json, size_t json_bytes, hw_error *err)
{
    static const char *const start[] = {"{\"set_payload\":{", "{\"overwrite_payload\":{",
                                        "{\"delete_payload\":{", "{\"clear_payload\":{"};
    if ((size_t)op >= HWI_COUNT(start))
        return hwi_fail(err, HW_EINVAL, "op %d is unknown", (int)op);
    HWI_TRY(must_exist(far, id, NULL, err));
    HWI_TRY(begin_operation(t, far, start[op], err));
    write_points(&t->body, id);
    if (op != HW_PAYLOAD_CLEAR) {
        hwi_buf_text(&t->body, op == HW_PAYLOAD_DELETE ? ",\"keys\":" : ",\"payload\":");
        hwi_buf_add(&t->body, json, json_bytes);
    }
    if (at && op == HW_PAYLOAD_SET) {
        hwi_buf_text(&t->body, ",\"key\":");
        hwi_json_write_text(&t->body, at, strlen(at));
    }
    return end_operation(t, "}}", err);
}

hw_status
hwi_far_delete(hwi_far_txn *t, hwi_far *far, const hw_id *id, bool *existed, hw_error *err)
{
    if (existed) HWI_TRY(must_exist(far, id, existed, err));
    HWI_TRY(begin_operation(t, far, "{\"delete\":{", err));
    write_points(&t->body, id);
    return end_operation(t, "}}", err);
}
