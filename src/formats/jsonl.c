/* jsonl.c - one JSON object a line.
 *
 *     {"id": 7, "vector": [0.1, 0.2], "payload": {"label": "boot"}}
 *     {"id": "a-1", "vectors": {"image": [...], "text": [...]}, "payload": null}
 *     {"id": 8, "vector": [0.1, 0.2], "label": "boot", "price": 12.5}      rest becomes the payload
 *     {"id": 9, "vectors": {"tokens": [[...], [...]], "words": {"indices": [7], "values": [0.5]}}}
 *
 * The line is cut into spans (spans.h): numbers go straight into the batch, a payload is copied as
 * it stands. Blank lines are skipped.
 */
#include "reader.h"

#include "base/json.h"
#include "spans.h"

typedef struct jsonl_state {
    hwi_buf line;
    hwi_buf rest; /* payload made of keys that are not ours */
    uint64_t line_at;
} jsonl_state;

static hw_status
open_jsonl(hwi_reader *r, hw_error *err)
{
    r->info.element = HWI_ELEMENT_TEXT;
    r->info.has_ids = r->info.has_payload = true;
    r->state = hwi_alloc_zero(sizeof(jsonl_state));
    return r->state ? HW_OK : hwi_nomem(err, sizeof(jsonl_state));
}

static void
close_jsonl(hwi_reader *r)
{
    jsonl_state *s = r->state;

    if (s == NULL) return;
    hwi_buf_release(&s->line);
    hwi_buf_release(&s->rest);
    hwi_free(s);
}

static hw_status
take_id(hwi_reader *r, hwi_row *row, hwi_span value, hw_error *err)
{
    const hwi_json *json;

    HWI_TRY(hwi_json_parse(value.text, value.bytes, &r->arena, &json, err));
    HWI_TRY(hwi_json_id(json, &row->id, err));
    row->has_id = true;
    return HW_OK;
}

static hw_status
take_named_vectors(hwi_reader *r, hwi_span value, hw_error *err)
{
    hwi_members m;
    hwi_span key, vector;
    bool more;

    HWI_TRY(hwi_members_begin(&m, value.text, value.bytes, err));
    for (;;) {
        const char *name;

        HWI_TRY(hwi_members_next(&m, &key, &vector, &more, err));
        if (!more) return HW_OK;
        if (r->rows[r->row_count - 1].vector_count == HW_VECTORS_MAX)
            return hwi_fail(err, HW_EINVAL, "more than %u named vectors", HW_VECTORS_MAX);
        HWI_TRY(hwi_batch_text(r, key.text, key.bytes, &name, err));
        hw_status st = hwi_batch_add_json(r, name, vector.text, vector.bytes, err);
        if (st != HW_OK) return hwi_fail_prefix(err, st, "vector `%s`", name);
    }
}

static hw_status
take_payload(hwi_reader *r, hwi_row *row, hwi_span value, hw_error *err)
{
    if (hwi_span_is(value, "null")) return HW_OK;
    if (value.text[0] != '{')
        return hwi_fail(err, HW_EINVAL, "payload is %.*s, expected an object",
                        (int)HWI_MIN(value.bytes, 40), value.text);
    row->payload_bytes = value.bytes;
    return hwi_batch_text(r, value.text, value.bytes, &row->payload, err);
}

static void
add_rest(hwi_buf *rest, hwi_span key, hwi_span value)
{
    hwi_buf_text(rest, rest->size ? "," : "{");
    hwi_buf_text(rest, "\"");
    hwi_buf_add(rest, key.text, key.bytes);
    hwi_buf_text(rest, "\":");
    hwi_buf_add(rest, value.text, value.bytes);
}

static hw_status
take_member(hwi_reader *r, hwi_span key, hwi_span value, hw_error *err)
{
    jsonl_state *s = r->state;
    hwi_row *row = &r->rows[r->row_count - 1];

    if (hwi_span_is(key, "id")) return take_id(r, row, value, err);
    if (hwi_span_is(key, "payload")) return take_payload(r, row, value, err);
    bool is_object = value.text[0] == '{' && !hwi_is_sparse_json(value.text, value.bytes);
    if (hwi_span_is(key, "vectors") || (hwi_span_is(key, "vector") && is_object))
        return take_named_vectors(r, value, err);
    if (hwi_span_is(key, "vector")) {
        if (hwi_span_is(value, "null")) return HW_OK;
        return hwi_batch_add_json(r, NULL, value.text, value.bytes, err);
    }
    add_rest(&s->rest, key, value);
    return HW_OK;
}

static hw_status
take_rest(hwi_reader *r, hwi_row *row, hw_error *err)
{
    jsonl_state *s = r->state;

    if (s->rest.size == 0) return HW_OK;
    hwi_buf_text(&s->rest, "}");
    if (s->rest.failed) return hwi_nomem(err, s->rest.size);
    if (row->payload)
        return hwi_fail(err, HW_EINVAL,
                        "keys beside `payload`: expected only id, vector, vectors and payload");
    return take_payload(r, row, (hwi_span){(const char *)s->rest.data, s->rest.size}, err);
}

static hw_status
parse_line(hwi_reader *r, hw_error *err)
{
    jsonl_state *s = r->state;
    hwi_members m;
    hwi_span key, value;
    hwi_row *row;
    bool more = true;

    HWI_TRY(hwi_batch_add_row(r, &row, err));
    hwi_buf_clear(&s->rest);
    HWI_TRY(hwi_members_begin(&m, (const char *)s->line.data, s->line.size, err));
    while (more) {
        HWI_TRY(hwi_members_next(&m, &key, &value, &more, err));
        if (more) HWI_TRY(take_member(r, key, value, err));
    }
    return take_rest(r, row, err);
}

static bool
is_blank(const hwi_buf *line)
{
    for (size_t i = 0; i < line->size; i++)
        if (line->data[i] != ' ' && line->data[i] != '\t') return false;
    return true;
}

static hw_status
next_jsonl(hwi_reader *r, size_t want, hw_error *err)
{
    jsonl_state *s = r->state;
    bool more = true;

    while (r->row_count < want && !hwi_batch_is_full(r)) {
        hw_status st;

        HWI_TRY(hwi_source_line(r->source, &s->line, &more, err));
        if (!more) return HW_OK;
        s->line_at++;
        if (is_blank(&s->line)) continue;
        st = parse_line(r, err);
        if (st != HW_OK)
            return hwi_fail_prefix(err, st, "%s: line %llu", r->path,
                                   (unsigned long long)s->line_at);
    }
    return HW_OK;
}

const hwi_reader_ops hwi_jsonl_reader = {
    .name = "jsonl", .open = open_jsonl, .next = next_jsonl, .close = close_jsonl};
