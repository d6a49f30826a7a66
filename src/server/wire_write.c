/* wire_write.c - points as they stand in an answer. */
#include "server/wire.h"
#include "server/wire_select.h"

#include <stdio.h>
#include <time.h>

/* ---- Vectors */

static void
write_sparse(hwi_buf *b, const hw_vector *v)
{
    hwi_buf_text(b, "{\"indices\":[");
    for (uint32_t i = 0; i < v->dim; i++) hwi_buf_printf(b, i ? ",%u" : "%u", v->indices[i]);
    hwi_buf_text(b, "],\"values\":");
    hwi_json_write_f32s(b, v->values, v->dim);
    hwi_buf_text(b, "}");
}

static void
write_vector(hwi_buf *b, const hwi_shape_field *field, const hw_vector *v)
{
    if (field->kind == HWI_VECTOR_SPARSE) {
        write_sparse(b, v);
    } else if (field->kind == HWI_VECTOR_DENSE) {
        hwi_json_write_f32s(b, v->values, v->dim);
    } else {
        hwi_buf_text(b, "[");
        for (uint32_t i = 0; i < v->rows; i++) {
            if (i) hwi_buf_text(b, ",");
            hwi_json_write_f32s(b, v->values + (size_t)i * v->dim, v->dim);
        }
        hwi_buf_text(b, "]");
    }
}

static bool
is_wanted(const hwi_selector *s, const char *name)
{
    if (!s->vector_names) return true;
    for (const hwi_json *j = s->vector_names->child; j; j = j->next) {
        if (strcmp(j->text, name) == 0) return true;
    }
    return false;
}

/* An array where the unnamed vector is all the point shows, else an object by name. */
static void
write_vectors(hwi_request *r, const hwi_shape *shape, const hw_result *result, size_t i,
              const hwi_selector *s)
{
    hw_vector v;
    hwi_buf *b = &r->out;
    size_t shown = 0, unnamed_at = SIZE_MAX;
    for (size_t f = 0; f < shape->field_count; f++) {
        const char *name = shape->fields[f].name;
        if (!is_wanted(s, name) || !hw_result_stored_vector(result, i, name, &v)) continue;
        shown++;
        if (name[0] == '\0') unnamed_at = f;
    }
    if (shown == 1 && unnamed_at != SIZE_MAX) {
        if (hw_result_stored_vector(result, i, "", &v))
            write_vector(b, &shape->fields[unnamed_at], &v);
        return;
    }
    shown = 0;
    hwi_buf_text(b, "{");
    for (size_t f = 0; f < shape->field_count; f++) {
        const char *name = shape->fields[f].name;
        if (!is_wanted(s, name) || !hw_result_stored_vector(result, i, name, &v)) continue;
        if (shown++) hwi_buf_text(b, ",");
        hwi_json_write_text(b, name, strlen(name));
        hwi_buf_text(b, ":");
        write_vector(b, &shape->fields[f], &v);
    }
    hwi_buf_text(b, "}");
}

/* ---- Points */

static void
write_payload(hwi_request *r, const hw_result *result, size_t i, const hwi_selector *s)
{
    size_t bytes;
    const char *text = hw_result_payload(result, i, &bytes);
    hwi_buf_text(&r->out, ",\"payload\":");
    if (!text) {
        hwi_buf_text(&r->out, "{}");
    } else if (s->include || s->exclude) {
        hwi_select_write(r, text, bytes, s->include, s->exclude);
    } else {
        hwi_buf_add(&r->out, text, bytes);
    }
}

/* Qdrant shows a date that placed a point as microseconds since 1970. */
static void
write_order_value(hwi_buf *b, const char *value)
{
    int year, month, day, hour = 0, minute = 0, used = 0, sign_hour = 0, sign_minute = 0;
    double second = 0;
    if (value[0] != '"') {
        hwi_buf_text(b, value);
        return;
    }
    int got = sscanf(value, "\"%d-%d-%d%*[T ]%d:%d%n:%lf%n", &year, &month, &day, &hour, &minute,
                     &used, &second, &used);
    if (got < 3) {
        hwi_buf_text(b, "0");
        return;
    }
    const char *zone = value + used;
    if (got > 4 && (*zone == '+' || *zone == '-')) {
        sscanf(zone + 1, "%2d:%2d", &sign_hour, &sign_minute);
        if (*zone == '-') sign_hour = -sign_hour, sign_minute = -sign_minute;
    }
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour - sign_hour,
                    .tm_min = minute - sign_minute};
    long long micros = (long long)timegm(&tm) * 1000000 + (long long)(second * 1e6 + 0.5);
    hwi_buf_printf(b, "%lld", micros);
}

static void
write_rest(hwi_request *r, const hwi_shape *shape, const hw_result *result, size_t i,
           const hwi_selector *s)
{
    const char *order_value = hw_result_order_value(result, i);
    if (s->payload) write_payload(r, result, i, s);
    if (s->vector) {
        hwi_buf_text(&r->out, ",\"vector\":");
        write_vectors(r, shape, result, i, s);
    }
    if (order_value) {
        hwi_buf_text(&r->out, ",\"order_value\":");
        write_order_value(&r->out, order_value);
    }
    hwi_buf_text(&r->out, "}");
}

void
hwi_write_record(hwi_request *r, const hwi_shape *shape, const hw_result *result, size_t i,
                 const hwi_selector *s)
{
    hwi_buf_text(&r->out, "{\"id\":");
    hwi_json_write_id(&r->out, &hw_result_ids(result)[i]);
    write_rest(r, shape, result, i, s);
}

void
hwi_write_scored(hwi_request *r, const hwi_shape *shape, const hw_result *result, size_t i,
                 float score, const hwi_selector *s)
{
    hwi_buf_text(&r->out, "{\"id\":");
    hwi_json_write_id(&r->out, &hw_result_ids(result)[i]);
    hwi_buf_printf(
        &r->out, ",\"version\":%llu,\"score\":", (unsigned long long)hw_result_version(result, i));
    hwi_json_write_f32(&r->out, score);
    write_rest(r, shape, result, i, s);
}

/* ---- Update results */

/* Grows with every write, over restarts too: it begins at the microsecond of the first one, and no
 * server makes a million updates in each second of its life. Below 2^53, so exact in JavaScript. */
static uint64_t
next_operation(void)
{
    static _Atomic uint64_t last; /* relaxed: nothing else is ordered by it */
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t micros = (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
    uint64_t was = 0;
    atomic_compare_exchange_strong_explicit(&last, &was, micros, memory_order_relaxed,
                                            memory_order_relaxed);
    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

void
hwi_write_update(hwi_request *r, bool waited)
{
    hwi_buf_printf(&r->out, "{\"operation_id\":%llu,\"status\":\"%s\"}",
                   (unsigned long long)next_operation(), waited ? "completed" : "acknowledged");
}
