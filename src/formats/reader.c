/* reader.c - opening a file of any format, and the batch of rows that readers fill.
 *
 *     rows      [row 0][row 1][row 2] ...           one per point
 *                  |       \_______
 *     vectors   [v][v]            [v] ...           one per named vector of a point
 *                |   \
 *     values    [1.5 2.5 ...][0.25 ...]             all numbers of the batch, back to back
 *     indices   [3 17 ...]                          those of sparse vectors, likewise
 *
 * The three arrays grow while a batch is read and so may move; until the batch is complete a row
 * keeps only how many vectors it has, and a vector how many numbers. seal() walks once and turns
 * counts into pointers. A batch ends at HWI_BATCH_BYTES, so memory stays bounded.
 */
#include "reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/json.h"

const char hwi_formats_read[] = "idx|npy|fvecs|bvecs|ivecs|jsonl|csv|hdf5";

static const hwi_reader_ops *const formats[] = {
    &hwi_idx_reader,   &hwi_npy_reader,   &hwi_fvecs_reader, &hwi_bvecs_reader,
    &hwi_ivecs_reader, &hwi_jsonl_reader, &hwi_csv_reader,   &hwi_hdf5_reader};

static const char *const element_names[] = {"u8",  "i8",  "i16", "i32", "i64",
                                            "f16", "f32", "f64", "text"};
static const size_t element_bytes[] = {1, 1, 2, 4, 8, 2, 4, 8, 0};

const char *
hwi_element_text(hwi_element element)
{
    return element_names[element];
}

size_t
hwi_element_bytes(hwi_element element)
{
    return element_bytes[element];
}

/* ---- which format */

static const hwi_reader_ops *
format_by_name(const char *name)
{
    for (size_t i = 0; i < HWI_COUNT(formats); i++)
        if (strcmp(formats[i]->name, name) == 0) return formats[i];
    return NULL;
}

static bool
ends_with(const char *text, size_t bytes, const char *suffix)
{
    size_t n = strlen(suffix);
    return bytes >= n && strncasecmp(text + bytes - n, suffix, n) == 0;
}

static const hwi_reader_ops *
format_by_path(const char *path)
{
    static const struct {
        const char *suffix;
        const hwi_reader_ops *ops;
    } suffixes[] = {{".npy", &hwi_npy_reader},     {".fvecs", &hwi_fvecs_reader},
                    {".bvecs", &hwi_bvecs_reader}, {".ivecs", &hwi_ivecs_reader},
                    {".jsonl", &hwi_jsonl_reader}, {".ndjson", &hwi_jsonl_reader},
                    {".csv", &hwi_csv_reader},     {".hdf5", &hwi_hdf5_reader},
                    {".h5", &hwi_hdf5_reader},     {".idx", &hwi_idx_reader},
                    {"-ubyte", &hwi_idx_reader}};
    size_t bytes = strlen(path);

    if (ends_with(path, bytes, ".gz")) bytes -= 3;
    for (size_t i = 0; i < HWI_COUNT(suffixes); i++)
        if (ends_with(path, bytes, suffixes[i].suffix)) return suffixes[i].ops;
    return NULL;
}

/* Files with a mark of their own at the start, whatever they are called. */
static const hwi_reader_ops *
format_by_content(const char *path)
{
    uint8_t head[8] = {0};
    FILE *f = fopen(path, "rb");
    size_t got = f ? fread(head, 1, sizeof head, f) : 0;

    if (f) fclose(f);
    if (got >= 6 && memcmp(head, "\x93NUMPY", 6) == 0) return &hwi_npy_reader;
    if (got >= 8 && memcmp(head, "\x89HDF\r\n\x1a\n", 8) == 0) return &hwi_hdf5_reader;
    if (got >= 4 && head[0] == 0 && head[1] == 0 && head[2] >= 8 && head[2] <= 14)
        return &hwi_idx_reader;
    if (got >= 1 && head[0] == '{') return &hwi_jsonl_reader;
    return NULL;
}

/* "data.hdf5:test" names a dataset; a colon anywhere else belongs to the file's name. */
static hw_status
split_path(hwi_reader *r, const char *path, hw_error *err)
{
    size_t bytes = strlen(path);
    const char *colon = strrchr(path, ':');
    bool names_dataset = colon && (ends_with(path, (size_t)(colon - path), ".hdf5") ||
                                   ends_with(path, (size_t)(colon - path), ".h5"));

    r->path = hwi_alloc(bytes + 1);
    if (r->path == NULL) return hwi_nomem(err, bytes + 1);
    memcpy(r->path, path, bytes + 1);
    if (names_dataset) {
        r->path[colon - path] = 0;
        r->dataset = r->path + (colon - path) + 1;
    }
    return HW_OK;
}

static hw_status
pick_format(hwi_reader *r, const char *format, hw_error *err)
{
    if (format) {
        r->ops = format_by_name(format);
        if (r->ops == NULL)
            return hwi_fail(err, HW_EINVAL, "unknown format `%s`, expected one of %s", format,
                            hwi_formats_read);
        return HW_OK;
    }
    r->ops = format_by_path(r->path);
    if (r->ops == NULL) r->ops = format_by_content(r->path);
    if (r->ops == NULL && access(r->path, R_OK) != 0)
        return hwi_fail(err, HW_ENOTFOUND, "cannot open %s: no such file, or not readable",
                        r->path);
    if (r->ops == NULL)
        return hwi_fail(err, HW_EINVAL, "%s: cannot tell the format, name it with one of %s",
                        r->path, hwi_formats_read);
    return HW_OK;
}

hw_status
hwi_reader_open(const char *path, const char *format, hwi_reader **out, hw_error *err)
{
    hwi_reader *r = hwi_alloc_zero(sizeof *r);
    hw_status st;

    *out = NULL;
    if (r == NULL) return hwi_nomem(err, sizeof *r);
    st = split_path(r, path, err);
    if (st == HW_OK) st = pick_format(r, format, err);
    if (st == HW_OK && !r->ops->opens_itself) st = hwi_source_open(r->path, &r->source, err);
    if (st == HW_OK) {
        r->info.format = r->ops->name;
        r->info.rows = HWI_ROWS_UNKNOWN;
        st = r->ops->open(r, err);
    }
    if (st != HW_OK) {
        hwi_reader_close(r);
        return st;
    }
    *out = r;
    return HW_OK;
}

void
hwi_reader_close(hwi_reader *r)
{
    if (r == NULL) return;
    if (r->ops && r->ops->close) r->ops->close(r);
    hwi_source_close(r->source);
    hwi_arena_release(&r->arena);
    hwi_free(r->rows);
    hwi_free(r->vectors);
    hwi_free(r->values);
    hwi_free(r->indices);
    hwi_free(r->raw);
    hwi_free(r->path);
    hwi_free(r);
}

const hwi_reader_info *
hwi_reader_about(const hwi_reader *r)
{
    return &r->info;
}

uint64_t
hwi_reader_row(const hwi_reader *r)
{
    return r->row_at;
}

/* ---- the batch */

/* Grows the array that the pointer at array_at points to, to hold `need` elements, doubling. The
 * pointer is copied as bytes, since it may be of any type. */
static hw_status
grow(void *array_at, size_t *room, size_t need, size_t element, hw_error *err)
{
    size_t target = HWI_MAX(need, *room * 2);
    size_t bytes = hwi_size_mul(target, element);
    void *array;

    if (need <= *room) return HW_OK;
    memcpy(&array, array_at, sizeof array);
    array = hwi_realloc(array, bytes);
    if (array == NULL) return hwi_nomem(err, bytes);
    memcpy(array_at, &array, sizeof array);
    *room = target;
    return HW_OK;
}

hw_status
hwi_batch_add_row(hwi_reader *r, hwi_row **out, hw_error *err)
{
    HWI_TRY(grow(&r->rows, &r->row_room, r->row_count + 1, sizeof *r->rows, err));
    *out = &r->rows[r->row_count++];
    **out = (hwi_row){0};
    return HW_OK;
}

hw_status
hwi_batch_room(hwi_reader *r, size_t more, float **out, hw_error *err)
{
    HWI_TRY(grow(&r->values, &r->value_room, r->value_count + more, sizeof *r->values, err));
    *out = r->values + r->value_count;
    return HW_OK;
}

hw_status
hwi_batch_add_vector(hwi_reader *r, const char *name, uint32_t dim, hw_error *err)
{
    HWI_ASSERT(r->row_count > 0);
    HWI_TRY(grow(&r->vectors, &r->vector_room, r->vector_count + 1, sizeof *r->vectors, err));
    r->vectors[r->vector_count++] = (hw_vector){.name = name, .dim = dim};
    r->rows[r->row_count - 1].vector_count++;
    r->value_count += dim;
    return HW_OK;
}

hw_status
hwi_batch_add_rows(hwi_reader *r, const char *name, uint32_t dim, uint32_t rows, hw_error *err)
{
    HWI_TRY(hwi_batch_add_vector(r, name, dim, err));
    r->vectors[r->vector_count - 1].rows = rows;
    r->value_count += (size_t)dim * (rows - 1);
    return HW_OK;
}

hw_status
hwi_batch_index_room(hwi_reader *r, size_t more, uint32_t **out, hw_error *err)
{
    HWI_TRY(grow(&r->indices, &r->index_room, r->index_count + more, sizeof *r->indices, err));
    *out = r->indices + r->index_count;
    return HW_OK;
}

hw_status
hwi_batch_add_sparse(hwi_reader *r, const char *name, uint32_t dim, hw_error *err)
{
    HWI_TRY(hwi_batch_add_vector(r, name, dim, err));
    r->vectors[r->vector_count - 1].indices = r->indices; /* any; seal() finds its own */
    r->index_count += dim;
    return HW_OK;
}

hw_status
hwi_batch_text(hwi_reader *r, const char *text, size_t bytes, const char **out, hw_error *err)
{
    *out = hwi_arena_text(&r->arena, text, bytes);
    if (*out == NULL) return hwi_nomem(err, bytes + 1);
    r->text_bytes += bytes;
    return HW_OK;
}

bool
hwi_batch_is_full(const hwi_reader *r)
{
    return r->value_count * sizeof(float) + r->text_bytes + r->row_count * 64 >= HWI_BATCH_BYTES;
}

static void
seal(hwi_reader *r)
{
    hw_vector *v = r->vectors;
    const float *values = r->values;
    const uint32_t *indices = r->indices;

    for (size_t i = 0; i < r->row_count; i++) {
        r->rows[i].vectors = v;
        for (size_t j = 0; j < r->rows[i].vector_count; j++, v++) {
            v->values = values;
            values += (size_t)v->dim * HWI_MAX(v->rows, 1u);
            if (!v->indices) continue;
            v->indices = indices;
            indices += v->dim;
        }
    }
}

hw_status
hwi_reader_next(hwi_reader *r, size_t want, hwi_rows *rows, hw_error *err)
{
    hw_status st;

    *rows = (hwi_rows){0};
    r->row_count = r->vector_count = r->value_count = r->index_count = 0;
    hwi_arena_release(&r->arena);
    r->text_bytes = 0;
    if (want == 0) return HW_OK;
    st = r->ops->next ? r->ops->next(r, want, err) : hwi_dense_next(r, want, err);
    if (st != HW_OK) return st;
    seal(r);
    r->row_at += r->row_count;
    rows->rows = r->rows;
    rows->count = r->row_count;
    if (r->info.element != HWI_ELEMENT_TEXT) rows->dense = r->values;
    return HW_OK;
}

hw_status
hwi_reader_next_ints(hwi_reader *r, int64_t *out, size_t room, size_t *count, hw_error *err)
{
    *count = 0;
    if (r->info.element == HWI_ELEMENT_TEXT)
        return hwi_fail(err, HW_EINVAL, "%s: %s has no rows of integers", r->path, r->info.format);
    if (r->info.dim > room)
        return hwi_fail(err, HW_EINVAL, "%s: rows have %u integers, room for %zu", r->path,
                        r->info.dim, room);
    if (r->ops->next_ints) return r->ops->next_ints(r, out, room, count, err);
    return hwi_dense_next_ints(r, out, room, count, err);
}

/* ---- lines */

struct hwi_lines {
    hwi_source *source;
    hwi_buf line;
    uint64_t at;
};

hw_status
hwi_lines_open(const char *path, hwi_lines **out, hw_error *err)
{
    hwi_lines *l = hwi_alloc_zero(sizeof *l);
    hw_status st;

    *out = NULL;
    if (l == NULL) return hwi_nomem(err, sizeof *l);
    st = hwi_source_open(path, &l->source, err);
    if (st != HW_OK) {
        hwi_lines_close(l);
        return st;
    }
    *out = l;
    return HW_OK;
}

hw_status
hwi_lines_next(hwi_lines *l, const char **line, size_t *bytes, hw_error *err)
{
    bool more;

    *line = NULL;
    *bytes = 0;
    HWI_TRY(hwi_source_line(l->source, &l->line, &more, err));
    if (!more) return HW_OK;
    l->at++;
    *line = (const char *)l->line.data;
    *bytes = l->line.size;
    return HW_OK;
}

uint64_t
hwi_lines_at(const hwi_lines *l)
{
    return l->at;
}

void
hwi_lines_close(hwi_lines *l)
{
    if (l == NULL) return;
    hwi_source_close(l->source);
    hwi_buf_release(&l->line);
    hwi_free(l);
}
