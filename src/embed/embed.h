/* embed.h - files in, vectors out: what turns a picture or a sound into floats.
 *
 *     hwi_embedder_open (a model's file, or the name of built-in features)
 *        prepare   one file -> its input (decode, turn, resize): any number of threads at once
 *        run       inputs -> vectors (the model): one batch at a time, any thread
 *
 * Two steps, because they differ: the first is many small jobs for all cores, the second one large
 * job that knows how to use them. Vectors come out finite and of unit length (a vector of zeros is
 * an error), so cosine and dot product agree.
 */
#ifndef HWI_EMBED_H
#define HWI_EMBED_H

#include "embed/image.h"
#include "embed/sound.h"

typedef enum hwi_media { HWI_MEDIA_IMAGE, HWI_MEDIA_SOUND } hwi_media;

#define HWI_START_BYTES 16u /* of a file, which tell what it is */

typedef struct hwi_embedder hwi_embedder; /* immutable once open; safe to share */

typedef struct hwi_embedder_opts {
    const char *model;    /* an ONNX file; its card beside it (FILE.json) is optional */
    const char *features; /* or one of hwi_features_names */
    uint32_t threads;     /* for the model; 0: one per processor */
} hwi_embedder_opts;

/* "pixels|colour-histogram|logmel" */
extern const char hwi_features_names[];

/* HW_EUNSUPPORTED when ONNX Runtime is not installed (the message says what to install), HW_ENOTFOUND,
 * HW_EINVAL: no such features, a model or card that does not fit. */
HW_CHECKED hw_status hwi_embedder_open(const hwi_embedder_opts *opts, hwi_embedder **out,
                                       hw_error *err);
void hwi_embedder_close(hwi_embedder *e); /* NULL is fine */

typedef struct hwi_embedder_info {
    const char *name;   /* "pixels", or the model's file name */
    const char *digest; /* equal where equal files get equal vectors: of the model and its card; of
                           built-in features the revision */
    hwi_media media;
    uint32_t dim;       /* floats in a vector */
    size_t input_count; /* floats in an input */
    uint32_t batch;     /* inputs that run takes at once */
    size_t bytes_max;   /* of a file */
} hwi_embedder_info;
const hwi_embedder_info *hwi_embedder_about(const hwi_embedder *e);

/* Whether a file found in a folder is meant for it: by its first bytes (HWI_START_BYTES are enough), or, so that a damaged one is
 * told and not passed over, by the ending of its name. */
bool hwi_embedder_wants(const hwi_embedder *e, const char *path, hw_bytes content);

/* A file, and what is wanted of it beside its input. The file itself is not touched. */
typedef struct hwi_media_file {
    const char *name; /* its ending tells what has no header; or NULL */
    hw_bytes content;
    const hwi_media_limits *limits; /* or NULL */
    uint32_t thumbnail_side;        /* pixels; 0: none */
    uint32_t preview_seconds;       /* sounds; 0: none */
} hwi_media_file;

/* What was learnt of a file on the way, and what it cost. */
typedef struct hwi_media_facts {
    uint32_t width, height;   /* pictures: upright, as stored in the file */
    double seconds;           /* sounds */
    hwi_buf thumbnail;        /* when wanted: a JPEG, of a sound its spectrum */
    hwi_buf preview;          /* sounds, when wanted: some seconds to listen to, */
    const char *preview_type; /* "audio/mpeg" */
    uint64_t decode_ns, fit_ns,
        preview_ns; /* processor time; fit: descriptors too; preview: both */
} hwi_media_facts;
void hwi_media_facts_release(hwi_media_facts *facts); /* thumbnail and preview */

/* Decodes a file into `input` (input_count floats). HW_EINVAL, HW_ELIMIT, HW_ETIMEOUT: a bad file;
 * the caller goes on with the next. */
HW_CHECKED hw_status hwi_embedder_prepare(const hwi_embedder *e, const hwi_media_file *file,
                                          float *input, hwi_media_facts *facts, hw_error *err);

/* count (up to `batch`) inputs back to back -> count vectors of dim floats. Thread-safe. */
HW_CHECKED hw_status hwi_embedder_run(const hwi_embedder *e, const float *inputs, size_t count,
                                      float *vectors, hw_error *err);

/* ---- features.c: descriptors without a model; the input is the vector already */
HW_CHECKED hw_status hwi_features_pixels(const hwi_image *image, float *out, hw_error *err);
HW_CHECKED hw_status hwi_features_histogram(const hwi_image *image, float *out, hw_error *err);
#define HWI_PIXELS_SIDE 16u
#define HWI_PIXELS_DIM (HWI_PIXELS_SIDE * HWI_PIXELS_SIDE * 3)
#define HWI_HISTOGRAM_DIM 216u

/* ---- onnx.c: a model behind ONNX Runtime, opened with dlopen */
typedef struct hwi_onnx hwi_onnx;
typedef struct hwi_onnx_shape {
    int64_t dims[8]; /* -1: any */
    size_t rank;
} hwi_onnx_shape;
HW_CHECKED hw_status hwi_onnx_open(const char *path, uint32_t threads, hwi_onnx **out,
                                   hw_error *err);
void hwi_onnx_close(hwi_onnx *m); /* NULL is fine */
const hwi_onnx_shape *hwi_onnx_input(const hwi_onnx *m);
const hwi_onnx_shape *hwi_onnx_output(const hwi_onnx *m);
/* Runs `input` of the given shape; *output (of *output_count floats) is valid until hwi_onnx_done.
 * Safe from several threads, each with its own `run`. */
typedef struct hwi_onnx_run {
    void *in, *out;
} hwi_onnx_run;
HW_CHECKED hw_status hwi_onnx_start(const hwi_onnx *m, const float *input,
                                    const hwi_onnx_shape *shape, hwi_onnx_run *run,
                                    const float **output, size_t *output_count, hw_error *err);
void hwi_onnx_done(const hwi_onnx *m, hwi_onnx_run *run);

/* ---- card.c: what a model wants, from the JSON beside it */
typedef struct hwi_card {
    hwi_media media;
    bool channels_first; /* NCHW instead of NHWC; told from the model when the card is silent */
    bool layout_is_known;
    uint32_t width, height; /* 0: from the model */
    hwi_fit fit;
    double crop_scale;
    float scale, mean[3], deviation[3]; /* value = (byte / 255 * scale - mean) / deviation */
    uint32_t samples;                   /* sounds: in one window; 0: from the model */
    float sample_scale;                 /* sounds: 1, or 32768 for models that want integers */
} hwi_card;
/* path NULL: defaults. HW_ENOTFOUND when the file is absent. */
HW_CHECKED hw_status hwi_card_read(const char *path, hwi_card *out, hw_error *err);

#endif
