/* writer.c - files of vectors, written.
 *
 * Everything goes to PATH.part and gets its name only when whole, so a broken export never passes
 * for a good one. npy's header, which carries the number of rows, is written first with blanks and
 * filled in at the end.
 */
#include "formats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/json.h"

const char hwi_formats_written[] = "jsonl|csv|npy|fvecs";

#define NPY_HEADER_BYTES 128u

typedef struct writer_ops {
    const char *name, *suffix;
    void (*begin)(hwi_writer *w); /* may be NULL */
    hw_status (*add)(hwi_writer *w, const hw_id *id, const hw_vector *vectors, size_t vector_count,
                     const char *payload, size_t payload_bytes, hw_error *err);
    hw_status (*end)(hwi_writer *w, hw_error *err); /* may be NULL */
    bool needs_file;
} writer_ops;

struct hwi_writer {
    const writer_ops *ops;
    FILE *file;
    char *path, *part; /* NULL for standard output */
    hwi_buf row;
    uint64_t rows;
    uint32_t dim; /* npy, fvecs: of the first row */
};

/* ---- jsonl, csv */

static bool
is_unnamed(const hw_vector *v)
{
    return v->name == NULL || v->name[0] == 0;
}

static void
write_vectors(hwi_buf *b, const hw_vector *vectors, size_t count)
{
    bool first = true;

    for (size_t i = 0; i < count; i++) {
        if (!is_unnamed(&vectors[i])) continue;
        hwi_buf_text(b, ",\"vector\":");
        hwi_vector_write_json(b, &vectors[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (is_unnamed(&vectors[i])) continue;
        hwi_buf_text(b, first ? ",\"vectors\":{" : ",");
        hwi_json_write_text(b, vectors[i].name, strlen(vectors[i].name));
        hwi_buf_text(b, ":");
        hwi_vector_write_json(b, &vectors[i]);
        first = false;
    }
    if (!first) hwi_buf_text(b, "}");
}

static hw_status
add_jsonl(hwi_writer *w, const hw_id *id, const hw_vector *vectors, size_t vector_count,
          const char *payload, size_t payload_bytes, hw_error *err)
{
    (void)err;
    hwi_buf_text(&w->row, "{\"id\":");
    hwi_json_write_id(&w->row, id);
    write_vectors(&w->row, vectors, vector_count);
    if (payload) {
        size_t start = w->row.size + strlen(",\"payload\":");

        hwi_buf_text(&w->row, ",\"payload\":");
        hwi_buf_add(&w->row, payload, payload_bytes);
        /* Outside strings a line end is blank space, inside it cannot occur: one record, one line
         */
        for (size_t i = start; !w->row.failed && i < w->row.size; i++)
            if (w->row.data[i] == '\n' || w->row.data[i] == '\r') w->row.data[i] = ' ';
    }
    hwi_buf_text(&w->row, "}\n");
    return HW_OK;
}

static void
write_quoted(hwi_buf *b, const char *text, size_t bytes)
{
    hwi_buf_text(b, "\"");
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '"') hwi_buf_text(b, "\"");
        hwi_buf_add(b, text + i, 1);
    }
    hwi_buf_text(b, "\"");
}

static void
begin_csv(hwi_writer *w)
{
    hwi_buf_text(&w->row, "id,vector,payload\n");
}

static hw_status
add_csv(hwi_writer *w, const hw_id *id, const hw_vector *vectors, size_t vector_count,
        const char *payload, size_t payload_bytes, hw_error *err)
{
    char text[HW_ID_TEXT_MAX + 1];
    size_t bytes = hw_id_format(id, text);

    write_quoted(&w->row, text, bytes);
    hwi_buf_text(&w->row, ",\"");
    for (size_t i = 0; i < vector_count; i++) {
        if (!is_unnamed(&vectors[i]))
            return hwi_fail(err, HW_EINVAL, "csv holds one unnamed vector, found `%s`; use jsonl",
                            vectors[i].name);
        hwi_vector_write_json(&w->row, &vectors[i]);
    }
    hwi_buf_text(&w->row, "\",");
    write_quoted(&w->row, payload ? payload : "", payload_bytes);
    hwi_buf_text(&w->row, "\n");
    return HW_OK;
}

/* ---- npy, fvecs */

static hw_status
one_vector(hwi_writer *w, const hw_vector *vectors, size_t count, hw_error *err)
{
    if (count != 1)
        return hwi_fail(err, HW_EINVAL, "%s holds one vector a row, row %llu has %zu", w->ops->name,
                        (unsigned long long)w->rows, count);
    if (vectors[0].indices || vectors[0].rows)
        return hwi_fail(err, HW_EINVAL, "%s holds dense vectors, row %llu has a %s one; use jsonl",
                        w->ops->name, (unsigned long long)w->rows,
                        vectors[0].indices ? "sparse" : "multi");
    if (w->rows == 0) w->dim = vectors[0].dim;
    if (vectors[0].dim == w->dim) return HW_OK;
    return hwi_fail(err, HW_EINVAL,
                    "%s holds rows of one size, row %llu has %u values, expected %u", w->ops->name,
                    (unsigned long long)w->rows, vectors[0].dim, w->dim);
}

static void
add_floats(hwi_buf *b, const hw_vector *v)
{
    uint8_t raw[4];

    for (uint32_t i = 0; i < v->dim; i++) {
        hwi_put_f32(raw, v->values[i]);
        hwi_buf_add(b, raw, 4);
    }
}

static hw_status
add_npy(hwi_writer *w, const hw_id *id, const hw_vector *vectors, size_t vector_count,
        const char *payload, size_t payload_bytes, hw_error *err)
{
    (void)id, (void)payload, (void)payload_bytes;
    HWI_TRY(one_vector(w, vectors, vector_count, err));
    add_floats(&w->row, &vectors[0]);
    return HW_OK;
}

static hw_status
add_fvecs(hwi_writer *w, const hw_id *id, const hw_vector *vectors, size_t vector_count,
          const char *payload, size_t payload_bytes, hw_error *err)
{
    uint8_t dim[4];

    (void)id, (void)payload, (void)payload_bytes;
    HWI_TRY(one_vector(w, vectors, vector_count, err));
    hwi_put_u32(dim, vectors[0].dim);
    hwi_buf_add(&w->row, dim, 4);
    add_floats(&w->row, &vectors[0]);
    return HW_OK;
}

static void
begin_npy(hwi_writer *w)
{
    hwi_buf_fill(&w->row, ' ', NPY_HEADER_BYTES);
}

static hw_status
end_npy(hwi_writer *w, hw_error *err)
{
    char header[NPY_HEADER_BYTES];
    int text;

    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    hwi_put_u16(header + 8, NPY_HEADER_BYTES - 10);
    text = snprintf(header + 10, sizeof header - 10,
                    "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu, %u), }",
                    (unsigned long long)w->rows, w->dim);
    header[10 + text] = ' '; /* over snprintf's NUL */
    header[NPY_HEADER_BYTES - 1] = '\n';
    if (fseek(w->file, 0, SEEK_SET) != 0 ||
        fwrite(header, 1, sizeof header, w->file) != sizeof header)
        return hwi_fail_errno(err, errno, "cannot write %s", w->part);
    return HW_OK;
}

static const writer_ops formats[] = {
    {.name = "jsonl", .suffix = ".jsonl", .add = add_jsonl},
    {.name = "jsonl", .suffix = ".ndjson", .add = add_jsonl},
    {.name = "csv", .suffix = ".csv", .begin = begin_csv, .add = add_csv},
    {.name = "npy",
     .suffix = ".npy",
     .begin = begin_npy,
     .add = add_npy,
     .end = end_npy,
     .needs_file = true},
    {.name = "fvecs", .suffix = ".fvecs", .add = add_fvecs}};

/* ---- the file */

static const writer_ops *
pick_format(const char *path, const char *format)
{
    size_t bytes = strlen(path);

    for (size_t i = 0; i < HWI_COUNT(formats); i++) {
        size_t n = strlen(formats[i].suffix);
        if (format && strcmp(format, formats[i].name) == 0) return &formats[i];
        if (!format && bytes > n && strcasecmp(path + bytes - n, formats[i].suffix) == 0)
            return &formats[i];
    }
    return NULL;
}

static hw_status
flush_row(hwi_writer *w, hw_error *err)
{
    if (w->row.failed) return hwi_nomem(err, w->row.size);
    if (w->row.size > 0 && fwrite(w->row.data, 1, w->row.size, w->file) != w->row.size)
        return hwi_fail_errno(err, errno, "cannot write %s", w->part ? w->part : "standard output");
    hwi_buf_clear(&w->row);
    return HW_OK;
}

static hw_status
open_file(hwi_writer *w, const char *path, hw_error *err)
{
    size_t bytes = strlen(path);

    if (strcmp(path, "-") == 0) {
        if (w->ops->needs_file)
            return hwi_fail(err, HW_EINVAL, "%s cannot be written to standard output",
                            w->ops->name);
        w->file = stdout;
        return HW_OK;
    }
    w->path = hwi_alloc(bytes + 1);
    w->part = hwi_alloc(bytes + 6);
    if (w->path == NULL || w->part == NULL) return hwi_nomem(err, bytes + 6);
    memcpy(w->path, path, bytes + 1);
    memcpy(w->part, path, bytes);
    memcpy(w->part + bytes, ".part", 6);
    w->file = fopen(w->part, "wb");
    return w->file ? HW_OK : hwi_fail_errno(err, errno, "cannot create %s", w->part);
}

hw_status
hwi_writer_open(const char *path, const char *format, hwi_writer **out, hw_error *err)
{
    const writer_ops *ops = pick_format(path, format);
    hwi_writer *w;
    hw_status st;

    *out = NULL;
    if (ops == NULL)
        return hwi_fail(err, HW_EINVAL, "%s: cannot tell the format, name it with one of %s",
                        format ? format : path, hwi_formats_written);
    w = hwi_alloc_zero(sizeof *w);
    if (w == NULL) return hwi_nomem(err, sizeof *w);
    w->ops = ops;
    st = open_file(w, path, err);
    if (st == HW_OK && ops->begin) ops->begin(w);
    if (st == HW_OK) st = flush_row(w, err);
    if (st != HW_OK) {
        hwi_writer_discard(w);
        return st;
    }
    *out = w;
    return HW_OK;
}

hw_status
hwi_writer_add(hwi_writer *w, const hw_id *id, const hw_vector *vectors, size_t vector_count,
               const char *payload, size_t payload_bytes, hw_error *err)
{
    HWI_TRY(w->ops->add(w, id, vectors, vector_count, payload, payload_bytes, err));
    w->rows++;
    return flush_row(w, err);
}

hw_status
hwi_writer_finish(hwi_writer *w, hw_error *err)
{
    hw_status st = w->ops->end ? w->ops->end(w, err) : HW_OK;

    if (st == HW_OK && fflush(w->file) != 0)
        st = hwi_fail_errno(err, errno, "cannot write %s", w->part ? w->part : "standard output");
    if (st == HW_OK && w->part && fsync(fileno(w->file)) != 0)
        st = hwi_fail_errno(err, errno, "cannot write %s", w->part);
    if (st == HW_OK && w->part && rename(w->part, w->path) != 0)
        st = hwi_fail_errno(err, errno, "cannot rename %s to %s", w->part, w->path);
    if (st == HW_OK && w->part) { /* renamed: nothing left for discard to remove */
        hwi_free(w->part);
        w->part = NULL;
    }
    hwi_writer_discard(w);
    return st;
}

void
hwi_writer_discard(hwi_writer *w)
{
    if (w == NULL) return;
    if (w->file && w->file != stdout) fclose(w->file);
    if (w->file && w->part) unlink(w->part);
    hwi_buf_release(&w->row);
    hwi_free(w->path);
    hwi_free(w->part);
    hwi_free(w);
}
