/* csv.c - comma-separated values with a header (RFC 4180: quotes, doubled quotes, line ends inside
 * quotes).
 *
 *     id,vector,label,price                 vector as JSON in one column
 *     7,"[0.1, 0.2]",boot,12.5
 *
 *     id,v0,v1,label                        vector as several columns: v0 v_1 vec2 vector[3] dim4
 *     7,0.1,0.2,boot
 *
 * A column `payload` holds a JSON object; without one the columns left over become the payload:
 * what reads as a JSON number, true or false stays that, an empty field is left out, the rest is
 * text. A column `vector:NAME` is a named vector.
 */
#include "reader.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/json.h"

#define COLUMNS_MAX (HW_DIM_MAX + 4096u)

typedef enum role { ROLE_PAYLOAD, ROLE_ID, ROLE_VECTOR, ROLE_NUMBER, ROLE_OBJECT } role;

typedef struct column {
    char *name; /* of its own */
    role role;
    const char *vector_name; /* ROLE_VECTOR; points into name; NULL: the unnamed one */
} column;

typedef struct csv_state {
    column *columns;
    size_t column_count, column_room;
    uint32_t numbers; /* columns of ROLE_NUMBER */
    bool has_object;  /* a column `payload` */
    hwi_buf record;   /* the fields of one record, each NUL-terminated */
    size_t *field_at; /* where in it they begin */
    size_t field_count, field_room;
    hwi_buf payload;
    uint64_t line_at;   /* lines begun so far */
    uint64_t record_at; /* line on which the record begins */
} csv_state;

/* ---- records */

static hw_status
begin_field(csv_state *s, hw_error *err)
{
    if (s->field_count == COLUMNS_MAX)
        return hwi_fail(err, HW_EINVAL, "more than %u columns", COLUMNS_MAX);
    if (s->field_count == s->field_room) {
        size_t room = s->field_room ? s->field_room * 2 : 64;
        size_t *moved = hwi_realloc(s->field_at, room * sizeof *moved);

        if (moved == NULL) return hwi_nomem(err, room * sizeof *moved);
        s->field_at = moved;
        s->field_room = room;
    }
    s->field_at[s->field_count++] = s->record.size;
    return HW_OK;
}

static void
add_byte(csv_state *s, int c)
{
    uint8_t byte = (uint8_t)c;
    hwi_buf_add(&s->record, &byte, 1);
}

/* The rest of a quoted field; *c becomes the byte after the closing quote. */
static hw_status
read_quoted(hwi_reader *r, int *c, hw_error *err)
{
    csv_state *s = r->state;
    hw_status st = HW_OK;

    for (;;) {
        *c = hwi_source_byte(r->source, &st, err);
        if (st != HW_OK) return st;
        if (*c < 0) return hwi_fail(err, HW_EINVAL, "the file ends inside quotes");
        if (*c == '"') {
            *c = hwi_source_byte(r->source, &st, err);
            if (*c != '"') return st;
        }
        s->line_at += *c == '\n';
        if (s->record.size > HWI_RECORD_BYTES_MAX)
            return hwi_fail(err, HW_ELIMIT, "record above the maximum of %zu bytes",
                            HWI_RECORD_BYTES_MAX);
        add_byte(s, *c);
    }
}

/* Reads one field; *c is its first byte on entry, and the byte that ended it afterwards. */
static hw_status
read_field(hwi_reader *r, int *c, hw_error *err)
{
    csv_state *s = r->state;
    hw_status st = HW_OK;

    HWI_TRY(begin_field(s, err));
    if (*c == '"') HWI_TRY(read_quoted(r, c, err));
    while (*c >= 0 && *c != ',' && *c != '\n') {
        if (s->record.size > HWI_RECORD_BYTES_MAX)
            return hwi_fail(err, HW_ELIMIT, "record above the maximum of %zu bytes",
                            HWI_RECORD_BYTES_MAX);
        if (*c != '\r') add_byte(s, *c);
        *c = hwi_source_byte(r->source, &st, err);
        if (st != HW_OK) return st;
    }
    add_byte(s, 0);
    return s->record.failed ? hwi_nomem(err, s->record.size) : HW_OK;
}

/* Reads the next record that is not an empty line. */
static hw_status
read_record(hwi_reader *r, bool *more, hw_error *err)
{
    csv_state *s = r->state;
    hw_status st = HW_OK;
    int c;

    *more = false;
    do {
        c = hwi_source_byte(r->source, &st, err);
        if (st != HW_OK || c < 0) return st;
        s->line_at++;
    } while (c == '\n' || c == '\r');

    hwi_buf_clear(&s->record);
    s->field_count = 0;
    s->record_at = s->line_at;
    HWI_TRY(read_field(r, &c, err));
    while (c == ',') {
        c = hwi_source_byte(r->source, &st, err);
        if (st != HW_OK) return st;
        HWI_TRY(read_field(r, &c, err));
    }
    *more = true;
    return HW_OK;
}

static const char *
field(const csv_state *s, size_t i, size_t *bytes)
{
    size_t end = i + 1 < s->field_count ? s->field_at[i + 1] : s->record.size;

    *bytes = end - s->field_at[i] - 1;
    return (const char *)s->record.data + s->field_at[i];
}

/* ---- header */

/* "v0", "vec_12", "vector[3]", "dim.4": a prefix of ours, at most one mark, digits. */
static bool
is_number_column(const char *name)
{
    static const char *const prefixes[] = {"vector", "vec", "dim", "v"};

    for (size_t i = 0; i < HWI_COUNT(prefixes); i++) {
        size_t n = strlen(prefixes[i]);
        const char *at = name + n;

        if (strncmp(name, prefixes[i], n) != 0) continue;
        if (*at != 0 && strchr("_.-[", *at)) at++;
        if (!isdigit((unsigned char)*at)) continue;
        while (isdigit((unsigned char)*at)) at++;
        if (*at == ']') at++;
        if (*at == 0) return true;
    }
    return false;
}

static void
set_role(csv_state *s, column *c)
{
    if (strcmp(c->name, "id") == 0) {
        c->role = ROLE_ID;
    } else if (strcmp(c->name, "vector") == 0) {
        c->role = ROLE_VECTOR;
    } else if (strncmp(c->name, "vector:", 7) == 0) {
        c->role = ROLE_VECTOR;
        c->vector_name = c->name + 7;
    } else if (strcmp(c->name, "payload") == 0) {
        c->role = ROLE_OBJECT;
        s->has_object = true;
    } else if (is_number_column(c->name)) {
        c->role = ROLE_NUMBER;
        s->numbers++;
    }
}

static hw_status
read_header(hwi_reader *r, hw_error *err)
{
    csv_state *s = r->state;
    bool more;

    HWI_TRY(read_record(r, &more, err));
    if (!more) return hwi_fail(err, HW_EINVAL, "expected a header line, found an empty file");
    s->columns = hwi_alloc_zero(s->field_count * sizeof *s->columns);
    if (s->columns == NULL) return hwi_nomem(err, s->field_count * sizeof *s->columns);
    for (size_t i = 0; i < s->field_count; i++) {
        size_t bytes;
        const char *name = field(s, i, &bytes);

        if (i == 0 && bytes >= 3 && memcmp(name, "\xef\xbb\xbf", 3) == 0) name += 3, bytes -= 3;
        s->columns[i].name = hwi_alloc_zero(bytes + 1);
        if (s->columns[i].name == NULL) return hwi_nomem(err, bytes + 1);
        s->column_count++;
        memcpy(s->columns[i].name, name, bytes);
        set_role(s, &s->columns[i]);
        r->info.has_ids |= s->columns[i].role == ROLE_ID;
        r->info.has_payload |= s->columns[i].role == ROLE_PAYLOAD || s->has_object;
    }
    if (s->numbers > HW_DIM_MAX)
        return hwi_fail(err, HW_EINVAL, "%u vector columns, the maximum is %u", s->numbers,
                        HW_DIM_MAX);
    r->info.dim = s->numbers;
    return HW_OK;
}

static hw_status
open_csv(hwi_reader *r, hw_error *err)
{
    csv_state *s = hwi_alloc_zero(sizeof *s);
    hw_status st;

    if (s == NULL) return hwi_nomem(err, sizeof *s);
    r->state = s;
    r->info.element = HWI_ELEMENT_TEXT;
    st = read_header(r, err);
    if (st != HW_OK)
        return hwi_fail_prefix(err, st, "%s: line %llu", r->path, (unsigned long long)s->line_at);
    return HW_OK;
}

static void
close_csv(hwi_reader *r)
{
    csv_state *s = r->state;

    if (s == NULL) return;
    for (size_t i = 0; i < s->column_count; i++) hwi_free(s->columns[i].name);
    hwi_free(s->columns);
    hwi_free(s->field_at);
    hwi_buf_release(&s->record);
    hwi_buf_release(&s->payload);
    hwi_free(s);
}

/* ---- rows */

/* A JSON number as RFC 8259 writes it: no "+", no leading zeros, no bare dot. */
static bool
is_json_number(const char *text)
{
    const char *at = text + (*text == '-');

    if (!isdigit((unsigned char)*at)) return false;
    if (*at == '0' && isdigit((unsigned char)at[1])) return false;
    while (isdigit((unsigned char)*at)) at++;
    if (*at == '.') {
        if (!isdigit((unsigned char)*++at)) return false;
        while (isdigit((unsigned char)*at)) at++;
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '+' || *at == '-';
        if (!isdigit((unsigned char)*at)) return false;
        while (isdigit((unsigned char)*at)) at++;
    }
    return *at == 0;
}

static void
add_to_payload(csv_state *s, const char *key, const char *text, size_t bytes)
{
    bool plain = strlen(text) == bytes &&
                 (is_json_number(text) || strcmp(text, "true") == 0 || strcmp(text, "false") == 0);

    if (bytes == 0) return;
    hwi_buf_text(&s->payload, s->payload.size ? "," : "{");
    hwi_json_write_text(&s->payload, key, strlen(key));
    hwi_buf_text(&s->payload, ":");
    if (plain)
        hwi_buf_add(&s->payload, text, bytes);
    else
        hwi_json_write_text(&s->payload, text, bytes);
}

static hw_status
take_id(hwi_reader *r, const char *text, size_t bytes, hw_error *err)
{
    hwi_row *row = &r->rows[r->row_count - 1];
    const char *copy;

    HWI_TRY(hwi_batch_text(r, text, bytes, &copy, err));
    HWI_TRY(hw_id_parse(copy, bytes, &row->id, err));
    row->has_id = true;
    return HW_OK;
}

/* The columns v0, v1, ... as one vector. */
static hw_status
take_numbers(hwi_reader *r, hw_error *err)
{
    csv_state *s = r->state;
    float *values;
    uint32_t n = 0;

    if (s->numbers == 0) return HW_OK;
    HWI_TRY(hwi_batch_room(r, s->numbers, &values, err));
    for (size_t i = 0; i < s->column_count; i++) {
        size_t bytes;
        const char *text;
        char *end;

        if (s->columns[i].role != ROLE_NUMBER) continue;
        text = field(s, i, &bytes);
        values[n++] = strtof(text, &end);
        if (end == text || *end != 0)
            return hwi_fail(err, HW_EINVAL, "column `%s` is `%.40s`, expected a number",
                            s->columns[i].name, text);
    }
    return hwi_batch_add_vector(r, NULL, s->numbers, err);
}

static hw_status
take_field(hwi_reader *r, size_t i, hw_error *err)
{
    csv_state *s = r->state;
    const column *c = &s->columns[i];
    size_t bytes;
    const char *text = field(s, i, &bytes);
    hw_status st = HW_OK;

    switch (c->role) {
    case ROLE_ID:
        st = take_id(r, text, bytes, err);
        break;
    case ROLE_VECTOR:
        if (bytes > 0) st = hwi_batch_add_json(r, c->vector_name, text, bytes, err);
        break;
    case ROLE_OBJECT:
        hwi_buf_add(&s->payload, text, bytes);
        break;
    case ROLE_PAYLOAD:
        if (!s->has_object) add_to_payload(s, c->name, text, bytes);
        break;
    case ROLE_NUMBER:
        break; /* all at once in take_numbers */
    }
    return st == HW_OK ? st : hwi_fail_prefix(err, st, "column `%s`", c->name);
}

static hw_status
take_record(hwi_reader *r, hw_error *err)
{
    csv_state *s = r->state;
    hwi_row *row;

    if (s->field_count != s->column_count)
        return hwi_fail(err, HW_EINVAL, "%zu fields, the header has %zu", s->field_count,
                        s->column_count);
    HWI_TRY(hwi_batch_add_row(r, &row, err));
    hwi_buf_clear(&s->payload);
    HWI_TRY(take_numbers(r, err));
    for (size_t i = 0; i < s->column_count; i++) HWI_TRY(take_field(r, i, err));
    if (s->payload.size == 0) return HW_OK;
    if (!s->has_object) hwi_buf_text(&s->payload, "}");
    if (s->payload.failed) return hwi_nomem(err, s->payload.size);
    row->payload_bytes = s->payload.size;
    return hwi_batch_text(r, (const char *)s->payload.data, s->payload.size, &row->payload, err);
}

static hw_status
next_csv(hwi_reader *r, size_t want, hw_error *err)
{
    csv_state *s = r->state;

    while (r->row_count < want && !hwi_batch_is_full(r)) {
        bool more = false;
        hw_status st = read_record(r, &more, err);

        if (st == HW_OK && !more) return HW_OK;
        if (st == HW_OK) st = take_record(r, err);
        if (st != HW_OK)
            return hwi_fail_prefix(err, st, "%s: line %llu", r->path,
                                   (unsigned long long)(more ? s->record_at : s->line_at));
    }
    return HW_OK;
}

const hwi_reader_ops hwi_csv_reader = {
    .name = "csv", .open = open_csv, .next = next_csv, .close = close_csv};
