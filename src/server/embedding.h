/* embedding.h - vectors of files that callers send, for searches by a file.
 *
 * The server knows neither pictures nor sounds. The command hands it a table of functions that do;
 * which embedder serves which collection is said by embedding.collections:
 *
 *     photos=colour-histogram, goods:image=/models/resnet18.onnx, auto
 *
 * COLLECTION[:VECTOR]=WHAT, first fit first; COLLECTION `*` is any that fits; `auto` stands for the
 * built-in features where the collection's metadata says that they made its vectors. Empty: off.
 *
 * All embedders are opened at the start, so a model that is missing is told then. Files are
 * strangers': size, pixels, time, and how many are in work at once are bounded.
 */
#ifndef HWI_EMBEDDING_H
#define HWI_EMBEDDING_H

#include "server.h"
#include "wire.h"

/* ---- What the command gives */

typedef struct hwi_embedding_about {
    const char *name, *digest; /* as the metadata of collections has them */
    const char *media;         /* "image" or "sound" */
    uint32_t dim;
} hwi_embedding_about;

typedef struct hwi_embedding_file {
    const char *name; /* as the caller named it, or NULL */
    hw_bytes content;
    uint32_t pixels_max;
    bool (*is_over)(void *arg); /* asked now and then: stop */
    void *arg;
} hwi_embedding_file;

/* Embedders may be used by any number of threads. */
struct hwi_embedding {
    const char *builtin; /* "a|b|c": what needs no file */
    hw_status (*open)(const char *what, void **out, hw_error *err);
    void (*close)(void *embedder);
    void (*about)(const void *embedder, hwi_embedding_about *out);
    /* HW_EINVAL, HW_ELIMIT: the file is bad; HW_ETIMEOUT */
    hw_status (*embed)(const void *embedder, const hwi_embedding_file *file, float *out,
                       hw_error *err);
};

/* ---- For the server */

typedef struct hwi_embedders hwi_embedders; /* safe to share */

/* Opens what embedding.collections names. HW_EINVAL names the entry; with == NULL: there is nothing
 * to embed with, which is an error unless the setting is empty. */
HW_CHECKED hw_status hwi_embedders_new(const hwi_config *config, const hwi_embedding *with,
                                       hwi_embedders **out, hw_error *err);
void hwi_embedders_free(hwi_embedders *e); /* NULL is fine */

typedef struct hwi_embedders_counts {
    uint64_t done, refused, failed, us; /* refused: too many at once; us: time of those done */
    uint32_t active;
} hwi_embedders_counts;
hwi_embedders_counts hwi_embedders_count(const hwi_embedders *e);

/* ---- For handlers */

typedef struct hwi_embedding_choice {
    const void *embedder;
    const hwi_shape_field *field;
    hwi_embedding_about about;
} hwi_embedding_choice;

/* The embedder for a vector of the collection in the path; using NULL: for the first vector that has
 * one. HW_EUNSUPPORTED when there is none, HW_EINVAL when there is one and it does not fit. */
HW_CHECKED hw_status hwi_embedding_choose(const hwi_request *r, const hwi_shape *shape,
                                          const char *using, hwi_embedding_choice *out,
                                          hw_error *err);

/* The vector of a file, about.dim floats. Refuses with 503 when too many are in work. */
bool hwi_embedding_run(hwi_request *r, const hwi_embedding_choice *choice, const char *name,
                       hw_bytes content, float *out);

#endif
