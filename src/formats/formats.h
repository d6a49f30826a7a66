/* formats.h - files of vectors, read and written a batch at a time.
 *
 *     hwi_reader *r;
 *     hwi_reader_open("train-images-idx3-ubyte.gz", NULL, &r, err);
 *     while (hwi_reader_next(r, 1000, &rows, err) == HW_OK && rows.count > 0) ...
 *     hwi_reader_close(r);
 *
 * Formats read: idx, npy, fvecs, bvecs, ivecs, jsonl, csv (each also compressed with gzip) and,
 * when the build found the library, hdf5. Files are strangers: sizes they claim are checked against
 * what they hold and against the limits of hashwood.h before anything is allocated, memory is
 * bounded whatever the file says, and an error names the file, the byte or line, and what was
 * expected and found.
 *
 * A reader, a writer and a lines object belong to one thread at a time.
 */
#ifndef HWI_FORMATS_H
#define HWI_FORMATS_H

#include "base/base.h"

#define HWI_ROWS_UNKNOWN UINT64_MAX

typedef enum hwi_element {
    HWI_ELEMENT_U8,
    HWI_ELEMENT_I8,
    HWI_ELEMENT_I16,
    HWI_ELEMENT_I32,
    HWI_ELEMENT_I64,
    HWI_ELEMENT_F16,
    HWI_ELEMENT_F32,
    HWI_ELEMENT_F64,
    HWI_ELEMENT_TEXT /* decimal numbers: jsonl, csv */
} hwi_element;

const char *hwi_element_text(hwi_element element); /* "u8", "f32", "text" */
size_t hwi_element_bytes(hwi_element element);     /* 0 for text */

/* ---- Reading ---- */

typedef struct hwi_reader hwi_reader;

typedef struct hwi_reader_info {
    const char *format; /* "idx" */
    hwi_element element;
    uint64_t rows; /* HWI_ROWS_UNKNOWN for text files and compressed fvecs */
    uint32_t dim;  /* 0 when only the rows can tell (jsonl, csv with JSON vectors) */
    bool has_ids, has_payload;
} hwi_reader_info;

/* One row, borrowed until the next call on its reader. */
typedef struct hwi_row {
    const hw_vector *vectors; /* one unnamed vector in most formats; jsonl may name several */
    size_t vector_count;
    bool has_id;
    hw_id id;
    const char *payload; /* JSON object, NUL-terminated; NULL for none */
    size_t payload_bytes;
} hwi_row;

typedef struct hwi_rows {
    const hwi_row *rows;
    size_t count;
    const float *dense; /* count x dim back to back; NULL for jsonl and csv */
} hwi_rows;

/* Opens a file.
 *
 * path    "FILE", or "FILE:DATASET" for hdf5 (default dataset `train`)
 * format  NULL: told from the name (.npy, .fvecs, .bvecs, .ivecs, .jsonl, .ndjson, .csv, .hdf5,
 *         .h5, idx*-ubyte, .idx; each but hdf5 also with .gz), else from its first bytes
 *
 * HW_ENOTFOUND, HW_EIO, HW_EINVAL (unknown format, damaged header), HW_EUNSUPPORTED (hdf5 in a
 * build without it), HW_ENOMEM. */
HW_CHECKED hw_status hwi_reader_open(const char *path, const char *format, hwi_reader **out,
                                     hw_error *err);
void hwi_reader_close(hwi_reader *r); /* NULL is fine */

const hwi_reader_info *hwi_reader_about(const hwi_reader *r);

/* Reads up to `want` further rows; fewer when they would take more than a few megabytes; none at
 * the end. HW_EINVAL when the file is damaged or cut short; batches before the damage have
 * been returned by then. Values are not checked for NaN: that is for whoever stores them. */
HW_CHECKED hw_status hwi_reader_next(hwi_reader *r, size_t want, hwi_rows *rows, hw_error *err);

/* Reads one row as integers (labels, neighbour lists), exact up to 64 bits; *count is its length, 0
 * at the end. HW_EINVAL for a format without numbers of its own (jsonl, csv). Do not mix with
 * hwi_reader_next. */
HW_CHECKED hw_status hwi_reader_next_ints(hwi_reader *r, int64_t *out, size_t room, size_t *count,
                                          hw_error *err);

/* Rows returned so far. */
uint64_t hwi_reader_row(const hwi_reader *r);

/* ---- Lines of text beside a file of vectors: ids, payloads ---- */

typedef struct hwi_lines hwi_lines;
HW_CHECKED hw_status hwi_lines_open(const char *path, hwi_lines **out, hw_error *err);
/* The next line without its end, NUL-terminated, borrowed until the next call; NULL at the end. */
HW_CHECKED hw_status hwi_lines_next(hwi_lines *l, const char **line, size_t *bytes, hw_error *err);
uint64_t hwi_lines_at(const hwi_lines *l); /* number of the line last returned, from 1 */
void hwi_lines_close(hwi_lines *l);

/* ---- Writing ---- */

typedef struct hwi_writer hwi_writer;

/* Creates a file of vectors.
 *
 * path    written beside as PATH.part and renamed by finish; "-" is standard output (not npy)
 * format  "jsonl", "csv", "npy", "fvecs"; NULL: told from the name
 *
 * npy and fvecs hold vectors only, of one dimension. */
HW_CHECKED hw_status hwi_writer_open(const char *path, const char *format, hwi_writer **out,
                                     hw_error *err);
HW_CHECKED hw_status hwi_writer_add(hwi_writer *w, const hw_id *id, const hw_vector *vectors,
                                    size_t vector_count, const char *payload, size_t payload_bytes,
                                    hw_error *err);
/* Writes what is left, and gives the file its name. Frees w whatever it returns. */
HW_CHECKED hw_status hwi_writer_finish(hwi_writer *w, hw_error *err);
/* Gives up: removes the part file. NULL is fine. */
void hwi_writer_discard(hwi_writer *w);

/* A vector as JSON: [1, 2], [[1, 2], [3, 4]] or {"indices": [...], "values": [...]}. */
void hwi_vector_write_json(hwi_buf *b, const hw_vector *v);

/* Names of the formats, for help and completion: "idx|npy|...". */
extern const char hwi_formats_read[];
extern const char hwi_formats_written[];

#endif
