/* reader.h - what the readers of this folder share; not for others.
 *
 * Two families. *Dense* files (idx, npy, fvecs, bvecs, ivecs) are a header and rows of numbers at a
 * fixed stride: the format's open fills in `layout` and dense.c does the reading. *Text* files
 * (jsonl, csv) have records of any size: the format's `next` fills the batch itself. hdf5 is read
 * through its library, which converts to floats on the way.
 */
#ifndef HWI_READER_H
#define HWI_READER_H

#include "formats.h"
#include "source.h"

#define HWI_BATCH_BYTES ((size_t)4 << 20) /* about what one batch of rows may take in memory */

/* Where the numbers of a dense file lie. */
typedef struct hwi_layout {
    size_t prefix;   /* bytes before the numbers of each row: 4, the dimension, in *vecs */
    bool big_endian; /* idx; npy with '>' */
} hwi_layout;

typedef struct hwi_reader_ops {
    const char *name;
    /* Reads the header: fills r->info and, if dense, r->layout. r->source is open (not for hdf5).
     */
    hw_status (*open)(hwi_reader *r, hw_error *err);
    /* NULL for dense files. Text: appends up to `want` rows with hwi_batch_*. */
    hw_status (*next)(hwi_reader *r, size_t want, hw_error *err);
    hw_status (*next_ints)(hwi_reader *r, int64_t *out, size_t room, size_t *count, hw_error *err);
    void (*close)(hwi_reader *r); /* frees r->state; may be NULL */
    bool opens_itself;            /* no hwi_source: hdf5 */
} hwi_reader_ops;

extern const hwi_reader_ops hwi_idx_reader, hwi_npy_reader, hwi_fvecs_reader, hwi_bvecs_reader,
    hwi_ivecs_reader, hwi_jsonl_reader, hwi_csv_reader, hwi_hdf5_reader;

struct hwi_reader {
    const hwi_reader_ops *ops;
    hwi_reader_info info;
    hwi_source *source;
    char *path;    /* without the dataset */
    char *dataset; /* hdf5; NULL: the default */
    hwi_layout layout;
    void *state;
    uint64_t row_at; /* rows returned */

    /* the batch last returned */
    hwi_row *rows;
    hw_vector *vectors;
    float *values;
    uint32_t *indices;                                    /* of sparse vectors */
    size_t row_room, vector_room, value_room, index_room; /* allocated */
    size_t row_count, vector_count, value_count, index_count;
    uint8_t *raw; /* dense: bytes as in the file */
    size_t raw_room;
    hwi_arena arena;   /* text: ids, names, payloads */
    size_t text_bytes; /* taken from it */
};

/* Dense: fills the batch with up to `want` rows as floats. */
HW_CHECKED hw_status hwi_dense_next(hwi_reader *r, size_t want, hw_error *err);
HW_CHECKED hw_status hwi_dense_next_ints(hwi_reader *r, int64_t *out, size_t room, size_t *count,
                                         hw_error *err);
/* Checks dim against HW_DIM_MAX and the rows claimed against the bytes that a plain file has left;
 * call at the end of open. */
HW_CHECKED hw_status hwi_dense_check_size(const hwi_reader *r, uint64_t dim, hw_error *err);

/* Text: building a batch. Pointers into `values` move while it grows, so rows note positions by
 * offset until hwi_batch_seal. */
HW_CHECKED hw_status hwi_batch_add_row(hwi_reader *r, hwi_row **out, hw_error *err);
/* Room for `more` floats at the end of the batch. */
HW_CHECKED hw_status hwi_batch_room(hwi_reader *r, size_t more, float **out, hw_error *err);
/* The last `dim` of those floats become a vector of the row last added. */
HW_CHECKED hw_status hwi_batch_add_vector(hwi_reader *r, const char *name, uint32_t dim,
                                          hw_error *err);
/* The same for a multi-vector: rows x dim floats; and for a sparse one: as many floats and indices. */
HW_CHECKED hw_status hwi_batch_add_rows(hwi_reader *r, const char *name, uint32_t dim,
                                        uint32_t rows, hw_error *err);
HW_CHECKED hw_status hwi_batch_index_room(hwi_reader *r, size_t more, uint32_t **out,
                                          hw_error *err);
HW_CHECKED hw_status hwi_batch_add_sparse(hwi_reader *r, const char *name, uint32_t dim,
                                          hw_error *err);
/* Copies text into the batch, NUL-terminated. */
HW_CHECKED hw_status hwi_batch_text(hwi_reader *r, const char *text, size_t bytes, const char **out,
                                    hw_error *err);
/* Parses a vector of any kind (shapes.c) into a vector of the row last added. */
HW_CHECKED hw_status hwi_batch_add_json(hwi_reader *r, const char *name, const char *text,
                                        size_t bytes, hw_error *err);
/* Whether a JSON object is a sparse vector: it has `indices` and `values`, and nothing else. */
bool hwi_is_sparse_json(const char *text, size_t bytes);
/* True when the batch holds HWI_BATCH_BYTES or more. */
bool hwi_batch_is_full(const hwi_reader *r);

#endif
