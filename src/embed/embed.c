/* embed.c - one embedder: features of our own, or a model with its card.
 *
 *     file --decode--> picture --fit--> 224 x 224 --scale, order--> input --model--> vector --length 1-->
 *     file --decode--> sound   --cut--> windows   ------------------> input --model--> mean of windows
 *
 * Built-in features are an embedder whose model is the identity. */
#include "embed/files.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define BATCH 16u
#define SIDE_MAX 4096
#define FEATURES_REVISION "1" /* raised when any of our own would come out otherwise */
#define SOUND_WINDOWS 8u      /* of a sound, evenly spread; shorter sounds repeat */

const char hwi_features_names[] = "pixels|colour-histogram|logmel";

typedef enum source { SOURCE_PIXELS, SOURCE_HISTOGRAM, SOURCE_LOGMEL, SOURCE_MODEL } source;

struct hwi_embedder {
    hwi_embedder_info info;
    source source;
    hwi_card card;
    hwi_onnx *model;
    bool model_takes_batches;
    char *name;
    char digest[HWI_DIGEST_ROOM];
};

/* ---- Opening ---- */

static size_t
bytes_max(hwi_media media)
{
    return media == HWI_MEDIA_IMAGE ? HWI_IMAGE_BYTES_MAX : HWI_SOUND_BYTES_MAX;
}

static hw_status
open_features(hwi_embedder *e, const char *name, hw_error *err)
{
    static const struct {
        const char *name;
        source source;
        hwi_media media;
        uint32_t dim;
    } known[] = {{"pixels", SOURCE_PIXELS, HWI_MEDIA_IMAGE, HWI_PIXELS_DIM},
                 {"colour-histogram", SOURCE_HISTOGRAM, HWI_MEDIA_IMAGE, HWI_HISTOGRAM_DIM},
                 {"logmel", SOURCE_LOGMEL, HWI_MEDIA_SOUND, HWI_LOGMEL_DIM}};
    for (size_t i = 0; i < HWI_COUNT(known); i++) {
        if (strcmp(known[i].name, name) != 0) continue;
        e->source = known[i].source;
        e->info = (hwi_embedder_info){.name = known[i].name,
                                      .digest = FEATURES_REVISION,
                                      .media = known[i].media,
                                      .dim = known[i].dim,
                                      .input_count = known[i].dim,
                                      .bytes_max = bytes_max(known[i].media),
                                      .batch = BATCH};
        return HW_OK;
    }
    return hwi_fail(err, HW_EINVAL, "features `%s` are unknown: one of %s", name,
                    hwi_features_names);
}

/* The card beside the model, when there is one; and the digest of both. */
static hw_status
read_card(hwi_embedder *e, const char *model, hw_error *err)
{
    size_t bytes = strlen(model) + sizeof ".json";
    char *path = hwi_alloc(bytes);
    if (!path) return hwi_nomem(err, bytes);
    snprintf(path, bytes, "%s.json", model);
    bool has_card = access(path, F_OK) == 0;
    const char *const files[] = {model, path};
    hw_status st = hwi_card_read(has_card ? path : NULL, &e->card, err);
    if (st == HW_OK) st = hwi_files_digest(files, has_card ? 2 : 1, e->digest, err);
    e->info.digest = e->digest;
    hwi_free(path);
    return st;
}

/* Takes an axis of the model: it must be free, or agree with what the card says. */
static hw_status
settle(const char *what, int64_t axis, uint32_t *value, hw_error *err)
{
    if (axis <= 0 && *value == 0) {
        return hwi_fail(err, HW_EINVAL, "the model leaves its %s open: say it in the card", what);
    }
    if (axis > 0 && *value != 0 && axis != *value) {
        return hwi_fail(err, HW_EINVAL, "the model's %s is %lld, the card says %u", what,
                        (long long)axis, *value);
    }
    if (axis > 0) *value = (uint32_t)HWI_MIN(axis, (int64_t)UINT32_MAX);
    return HW_OK;
}

static hw_status
fit_image_model(hwi_embedder *e, const hwi_onnx_shape *in, hw_error *err)
{
    hwi_card *c = &e->card;
    if (in->rank != 4) {
        return hwi_fail(err, HW_EINVAL, "the model's input has %zu axes, a picture's has 4",
                        in->rank);
    }
    if (!c->layout_is_known) c->channels_first = in->dims[1] == 3 && in->dims[3] != 3;
    int at = c->channels_first ? 2 : 1;
    int64_t channels = in->dims[c->channels_first ? 1 : 3];
    if (channels > 0 && channels != 3) {
        return hwi_fail(err, HW_EINVAL, "the model's input has %lld channels, expected 3",
                        (long long)channels);
    }
    HWI_TRY(settle("height", in->dims[at], &c->height, err));
    HWI_TRY(settle("width", in->dims[at + 1], &c->width, err));
    if (c->height > SIDE_MAX || c->width > SIDE_MAX) {
        return hwi_fail(err, HW_EINVAL, "the model wants %u x %u pixels, at most %d a side",
                        c->width, c->height, SIDE_MAX);
    }
    e->info.input_count = (size_t)c->width * c->height * 3;
    return HW_OK;
}

static hw_status
fit_sound_model(hwi_embedder *e, const hwi_onnx_shape *in, hw_error *err)
{
    if (in->rank != 2) {
        return hwi_fail(err, HW_EINVAL,
                        "the model's input has %zu axes, a sound's has 2: batch and samples",
                        in->rank);
    }
    HWI_TRY(settle("number of samples", in->dims[1], &e->card.samples, err));
    if (e->card.samples > HWI_SOUND_RATE * HWI_SOUND_SECONDS_MAX) {
        return hwi_fail(err, HW_EINVAL, "the model wants %u samples", e->card.samples);
    }
    e->info.input_count = (size_t)e->card.samples * SOUND_WINDOWS;
    return HW_OK;
}

/* Floats of one vector: what the output has beside the batch axis. */
static hw_status
fit_output(hwi_embedder *e, const hwi_onnx_shape *out, hw_error *err)
{
    uint64_t dim = 1;
    for (size_t i = 1; i < out->rank; i++) {
        if (out->dims[i] <= 0 || dim * (uint64_t)out->dims[i] > HW_DIM_MAX) {
            return hwi_fail(err, HW_EINVAL,
                            "the model's output has no fixed size of at most %u floats",
                            HW_DIM_MAX);
        }
        dim *= (uint64_t)out->dims[i];
    }
    e->info.dim = (uint32_t)dim;
    return HW_OK;
}

static hw_status
open_model(hwi_embedder *e, const hwi_embedder_opts *opts, hw_error *err)
{
    const char *slash = strrchr(opts->model, '/');
    if (access(opts->model, R_OK) != 0) {
        return hwi_fail_errno(err, errno, "cannot read the model %s", opts->model);
    }
    HWI_TRY(read_card(e, opts->model, err));
    HWI_TRY(hwi_onnx_open(opts->model, opts->threads, &e->model, err));
    const hwi_onnx_shape *in = hwi_onnx_input(e->model);
    e->source = SOURCE_MODEL;
    e->info.media = e->card.media;
    e->info.bytes_max = bytes_max(e->card.media);
    HWI_TRY(e->card.media == HWI_MEDIA_IMAGE ? fit_image_model(e, in, err)
                                             : fit_sound_model(e, in, err));
    HWI_TRY(fit_output(e, hwi_onnx_output(e->model), err));
    e->model_takes_batches = in->dims[0] <= 0 && e->card.media == HWI_MEDIA_IMAGE;
    e->info.batch = e->model_takes_batches ? BATCH : 1;
    e->name = hwi_alloc(strlen(opts->model) + 1);
    if (!e->name) return hwi_nomem(err, strlen(opts->model));
    strcpy(e->name, slash ? slash + 1 : opts->model);
    e->info.name = e->name;
    return HW_OK;
}

hw_status
hwi_embedder_open(const hwi_embedder_opts *opts, hwi_embedder **out, hw_error *err)
{
    *out = NULL;
    if (!opts->model == !opts->features) {
        return hwi_fail(err, HW_EINVAL, "give either a model or the name of features");
    }
    hwi_embedder *e = hwi_alloc_zero(sizeof *e);
    if (!e) return hwi_nomem(err, sizeof *e);
    hw_status st = opts->model ? open_model(e, opts, err) : open_features(e, opts->features, err);
    if (st != HW_OK) {
        hwi_embedder_close(e);
        return st;
    }
    *out = e;
    return HW_OK;
}

void
hwi_embedder_close(hwi_embedder *e)
{
    if (!e) return;
    hwi_onnx_close(e->model);
    hwi_free(e->name);
    hwi_free(e);
}

const hwi_embedder_info *
hwi_embedder_about(const hwi_embedder *e)
{
    return &e->info;
}

bool
hwi_embedder_wants(const hwi_embedder *e, const char *path, hw_bytes content)
{
    static const char *const pictures[] = {".jpg", ".jpeg", ".png", ".webp"};
    static const char *const sounds[] = {".wav", ".flac", ".ogg", ".opus", ".mp3",
                                         ".aif", ".aiff", ".au",  ".gsm"};
    bool image = e->info.media == HWI_MEDIA_IMAGE;
    const char *dot = strrchr(path, '.');
    if (image ? hwi_image_is_one(content) : hwi_sound_is_one(content)) return true;
    const char *const *endings = image ? pictures : sounds;
    size_t count = image ? HWI_COUNT(pictures) : HWI_COUNT(sounds);
    for (size_t i = 0; dot && i < count; i++) {
        if (strcasecmp(dot, endings[i]) == 0) return true;
    }
    return false;
}

/* ---- Preparing: pictures ---- */

static void
lay_out(const hwi_card *c, const hwi_image *image, float *input)
{
    size_t pixels = (size_t)image->width * image->height;
    for (int colour = 0; colour < 3; colour++) {
        const uint8_t *from = image->rgb + colour;
        float *to = input + (c->channels_first ? pixels * (size_t)colour : (size_t)colour);
        size_t step = c->channels_first ? 1 : 3;
        float by = c->scale / 255 / c->deviation[colour];
        float less = c->mean[colour] / c->deviation[colour];
        for (size_t i = 0; i < pixels; i++) to[i * step] = from[i * 3] * by - less;
    }
}

static hw_status
image_input(const hwi_embedder *e, const hwi_image *image, float *input, hw_error *err)
{
    const hwi_card *c = &e->card;
    hwi_image fitted;
    if (e->source == SOURCE_PIXELS) return hwi_features_pixels(image, input, err);
    if (e->source == SOURCE_HISTOGRAM) return hwi_features_histogram(image, input, err);
    HWI_TRY(hwi_image_fit(image, c->fit, c->crop_scale, c->width, c->height, &fitted, err));
    lay_out(c, &fitted, input);
    hwi_image_release(&fitted);
    return HW_OK;
}

static hw_status
make_thumbnail(const hwi_image *image, uint32_t side, hwi_buf *out, hw_error *err)
{
    uint32_t longer = HWI_MAX(image->width, image->height);
    hwi_image small;
    if (longer <= side) return hwi_image_jpeg(image, 85, out, err);
    double by = (double)side / longer;
    uint32_t width = HWI_MAX((uint32_t)(image->width * by + 0.5), 1u);
    uint32_t height = HWI_MAX((uint32_t)(image->height * by + 0.5), 1u);
    HWI_TRY(hwi_image_resize(image, width, height, &small, err));
    hw_status st = hwi_image_jpeg(&small, 85, out, err);
    hwi_image_release(&small);
    return st;
}

/* Of this thread, and since *at, which moves on. */
static uint64_t
cpu_ns_since(uint64_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec, took = ns - *at;
    *at = ns;
    return took;
}

static hw_status
prepare_sized(const hwi_embedder *e, const hwi_media_file *file, const hwi_media_limits *limits,
              float *input, hwi_media_facts *facts, hw_error *err)
{
    uint32_t side = e->source == SOURCE_MODEL ? HWI_MAX(e->card.width, e->card.height) : 64;
    uint64_t at = 0;
    hwi_image image;
    cpu_ns_since(&at);
    HWI_TRY(
        hwi_image_decode(file->content, HWI_MAX(side, file->thumbnail_side), limits, &image, err));
    facts->decode_ns = cpu_ns_since(&at);
    facts->width = image.file_width;
    facts->height = image.file_height;
    hw_status st = image_input(e, &image, input, err);
    facts->fit_ns = cpu_ns_since(&at);
    if (st == HW_OK && file->thumbnail_side) {
        st = make_thumbnail(&image, file->thumbnail_side, &facts->thumbnail, err);
    }
    facts->preview_ns = cpu_ns_since(&at);
    hwi_image_release(&image);
    return st;
}

/* Large pictures take turns, so that what a run needs does not grow by the largest picture with each
 * core: a folder of them on 64 cores would fill any memory. */
static hw_status
prepare_image(const hwi_embedder *e, const hwi_media_file *file, float *input,
              hwi_media_facts *facts, hw_error *err)
{
    static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
    hwi_media_limits limits = file->limits ? *file->limits : (hwi_media_limits){0};
    uint32_t most = limits.pixels_max ? limits.pixels_max : HWI_IMAGE_PIXELS_MAX;
    limits.pixels_max = HWI_MIN(most, HWI_IMAGE_PIXELS_LARGE);
    hw_status st = prepare_sized(e, file, &limits, input, facts, err);
    if (st != HW_ELIMIT || most <= HWI_IMAGE_PIXELS_LARGE) return st;
    if (err) *err = (hw_error){0};
    limits.pixels_max = most;
    pthread_mutex_lock(&turn);
    st = prepare_sized(e, file, &limits, input, facts, err);
    pthread_mutex_unlock(&turn);
    return st;
}

/* ---- Preparing: sounds ---- */

/* SOUND_WINDOWS windows from the beginning to the end, overlapping as they must; a sound shorter
 * than a window is followed by silence. */
static void
cut_windows(const hwi_embedder *e, const hwi_sound *s, float *input)
{
    size_t window = e->card.samples, last = s->count > window ? s->count - window : 0;
    for (size_t w = 0; w < SOUND_WINDOWS; w++) {
        size_t start = last * w / (SOUND_WINDOWS - 1), n = HWI_MIN(window, s->count - start);
        float *to = input + w * window;
        for (size_t i = 0; i < n; i++) to[i] = s->samples[start + i] * e->card.sample_scale;
        memset(to + n, 0, (window - n) * sizeof *to);
    }
}

static hw_status
picture_sound(const hwi_mel *mel, uint32_t side, hwi_buf *out, hw_error *err)
{
    hwi_image picture;
    HWI_TRY(hwi_mel_picture(mel, side, HWI_MAX(side * 5 / 8, 1u), &picture, err));
    hw_status st = hwi_image_jpeg(&picture, 85, out, err);
    hwi_image_release(&picture);
    return st;
}

static hw_status
prepare_sound(const hwi_embedder *e, const hwi_media_file *file, float *input,
              hwi_media_facts *facts, hw_error *err)
{
    uint64_t at = 0;
    hwi_sound sound;
    hwi_mel *mel = NULL;
    hw_status st = HW_OK;
    cpu_ns_since(&at);
    HWI_TRY(hwi_sound_decode(file->content, file->name, file->limits, &sound, err));
    facts->decode_ns = cpu_ns_since(&at);
    facts->seconds = sound.seconds;
    if (e->source == SOURCE_LOGMEL) {
        st = hwi_mel_new(&sound, &mel, err);
        if (st == HW_OK) hwi_mel_describe(mel, input);
    } else {
        cut_windows(e, &sound, input);
    }
    facts->fit_ns = cpu_ns_since(&at);
    if (file->thumbnail_side) {
        if (st == HW_OK && !mel) st = hwi_mel_new(&sound, &mel, err);
        if (st == HW_OK) st = picture_sound(mel, file->thumbnail_side, &facts->thumbnail, err);
    }
    if (st == HW_OK && file->preview_seconds) {
        st = hwi_sound_preview(&sound, file->preview_seconds, &facts->preview, &facts->preview_type,
                               err);
    }
    facts->preview_ns = cpu_ns_since(&at);
    hwi_mel_free(mel);
    hwi_sound_release(&sound);
    return st;
}

void
hwi_media_facts_release(hwi_media_facts *facts)
{
    hwi_buf_release(&facts->thumbnail);
    hwi_buf_release(&facts->preview);
}

hw_status
hwi_embedder_prepare(const hwi_embedder *e, const hwi_media_file *file, float *input,
                     hwi_media_facts *facts, hw_error *err)
{
    *facts = (hwi_media_facts){0};
    hw_status st = e->info.media == HWI_MEDIA_IMAGE ? prepare_image(e, file, input, facts, err)
                                                    : prepare_sound(e, file, input, facts, err);
    if (st != HW_OK) hwi_media_facts_release(facts);
    return st;
}

/* ---- Running ---- */

static hw_status
to_unit_length(float *v, uint32_t dim, hw_error *err)
{
    double squares = 0;
    for (uint32_t i = 0; i < dim; i++) squares += (double)v[i] * v[i];
    if (!(squares > 0) || !isfinite(squares)) {
        return hwi_fail(err, HW_EINVAL, "the vector has length %g", sqrt(squares));
    }
    for (uint32_t i = 0; i < dim; i++) v[i] = (float)(v[i] / sqrt(squares));
    return HW_OK;
}

/* One call of the model: `rows` inputs, as many vectors added to `out` (all to the first when
 * `summed`). */
static hw_status
call_model(const hwi_embedder *e, const float *inputs, size_t rows, bool summed, float *out,
           hw_error *err)
{
    hwi_onnx_shape shape = *hwi_onnx_input(e->model);
    hwi_onnx_run run;
    const float *got;
    size_t count, dim = e->info.dim;
    const hwi_card *c = &e->card;
    shape.dims[0] = (int64_t)rows;
    if (c->media == HWI_MEDIA_SOUND) {
        shape.dims[1] = c->samples;
    } else {
        int at = c->channels_first ? 2 : 1;
        shape.dims[c->channels_first ? 1 : 3] = 3;
        shape.dims[at] = c->height;
        shape.dims[at + 1] = c->width;
    }
    HWI_TRY(hwi_onnx_start(e->model, inputs, &shape, &run, &got, &count, err));
    hw_status st = HW_OK;
    if (count != rows * dim) {
        st = hwi_fail(err, HW_EINVAL, "the model gave %zu floats, expected %zu", count, rows * dim);
    }
    for (size_t i = 0; st == HW_OK && i < count; i++) out[summed ? i % dim : i] += got[i];
    hwi_onnx_done(e->model, &run);
    return st;
}

static hw_status
run_model(const hwi_embedder *e, const float *inputs, size_t count, float *vectors, hw_error *err)
{
    memset(vectors, 0, count * e->info.dim * sizeof *vectors);
    if (e->model_takes_batches) return call_model(e, inputs, count, false, vectors, err);
    size_t windows = e->card.media == HWI_MEDIA_SOUND ? SOUND_WINDOWS : 1;
    size_t step = e->info.input_count / windows;
    for (size_t i = 0; i < count * windows; i++) {
        float *to = vectors + i / windows * e->info.dim;
        HWI_TRY(call_model(e, inputs + i * step, 1, true, to, err));
    }
    return HW_OK;
}

hw_status
hwi_embedder_run(const hwi_embedder *e, const float *inputs, size_t count, float *vectors,
                 hw_error *err)
{
    uint32_t dim = e->info.dim;
    if (e->model) {
        HWI_TRY(run_model(e, inputs, count, vectors, err));
    } else {
        memcpy(vectors, inputs, count * dim * sizeof *vectors);
    }
    for (size_t i = 0; i < count; i++) HWI_TRY(to_unit_length(vectors + i * dim, dim, err));
    return HW_OK;
}
