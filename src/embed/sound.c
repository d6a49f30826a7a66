/* sound.c - decoding by libsndfile, resampling by libsamplerate, a block at a time; and a few seconds
 * encoded again, to listen to.
 *
 *     file -> block of frames -> mean of the channels -> resampled -> samples
 *
 * Memory is bounded by HWI_SOUND_SECONDS_MAX whatever the file claims to be long, time by
 * HWI_SOUND_VALUES_MAX: two megabytes can be ten minutes of silence in eight channels at any rate. */
#include "embed/sound.h"

#include <math.h>
#include <samplerate.h>
#include <sndfile.h>
#include <stdio.h>
#include <strings.h>

#define BLOCK_FRAMES 4096
#define LOUDEST 1e6F /* floats of integer size are common; powers of more overflow */
#define FILE_RATE_MIN 1000
#define FILE_RATE_MAX 768000

typedef struct reading {
    hw_bytes bytes; /* the file */
    size_t at;
    const char *name;
    const hwi_media_limits *limits;
    SNDFILE *file;
    SF_INFO info;
    SRC_STATE *converter;
    double ratio;
    float *frames; /* BLOCK_FRAMES x channels */
    float mono[BLOCK_FRAMES];
    size_t room;
    hwi_sound *out;
    hw_error *err;
} reading;

void
hwi_sound_release(hwi_sound *sound)
{
    hwi_free(sound->samples);
    *sound = (hwi_sound){0};
}

bool
hwi_sound_is_one(hw_bytes start)
{
    static const struct {
        size_t at;
        const char *magic;
        size_t bytes;
    } kinds[] = {{8, "WAVE", 4},     {0, "fLaC", 4},     {0, "OggS", 4}, {8, "AIFF", 4},
                 {8, "AIFC", 4},     {0, ".snd", 4},     {0, "ID3", 3},  {0, "\xFF\xFB", 2},
                 {0, "\xFF\xF3", 2}, {0, "\xFF\xFA", 2}, {0, "RF64", 4}};
    for (size_t i = 0; i < HWI_COUNT(kinds); i++) {
        if (start.size < kinds[i].at + kinds[i].bytes) continue;
        const uint8_t *there = (const uint8_t *)start.data + kinds[i].at;
        if (memcmp(there, kinds[i].magic, kinds[i].bytes) == 0) return true;
    }
    return false;
}

/* ---- The file in memory, as libsndfile wants to see it ---- */

static sf_count_t
file_bytes(void *arg)
{
    return (sf_count_t)((reading *)arg)->bytes.size;
}

static sf_count_t
file_seek(sf_count_t offset, int whence, void *arg)
{
    reading *r = arg;
    sf_count_t size = file_bytes(arg), base = whence == SEEK_SET   ? 0
                                              : whence == SEEK_CUR ? (sf_count_t)r->at
                                                                   : size;
    if (offset < -base || offset > size - base) return -1;
    r->at = (size_t)(base + offset);
    return (sf_count_t)r->at;
}

static sf_count_t
file_read(void *to, sf_count_t count, void *arg)
{
    reading *r = arg;
    size_t n = HWI_MIN((size_t)HWI_MAX(count, (sf_count_t)0), r->bytes.size - r->at);
    if (n > 0) memcpy(to, (const uint8_t *)r->bytes.data + r->at, n);
    r->at += n;
    return (sf_count_t)n;
}

static sf_count_t
file_tell(void *arg)
{
    return (sf_count_t)((reading *)arg)->at;
}

static bool
is_bare_gsm(const reading *r)
{
    const char *dot = r->name ? strrchr(r->name, '.') : NULL;
    return dot && strcasecmp(dot, ".gsm") == 0 && !hwi_sound_is_one(r->bytes);
}

static hw_status
open_file(reading *r)
{
    SF_VIRTUAL_IO io = {
        .get_filelen = file_bytes, .seek = file_seek, .read = file_read, .tell = file_tell};
    if (is_bare_gsm(r)) {
        r->info = (SF_INFO){
            .samplerate = 8000, .channels = 1, .format = SF_FORMAT_RAW | SF_FORMAT_GSM610};
    }
    r->file = sf_open_virtual(&io, SFM_READ, &r->info, r);
    if (!r->file) return hwi_fail(r->err, HW_EINVAL, "%s", sf_strerror(NULL));
    if (r->info.samplerate < FILE_RATE_MIN || r->info.samplerate > FILE_RATE_MAX) {
        return hwi_fail(r->err, HW_EINVAL, "%d samples a second is not in %d to %d",
                        r->info.samplerate, FILE_RATE_MIN, FILE_RATE_MAX);
    }
    if (r->info.channels < 1 || r->info.channels > (int)HWI_SOUND_CHANNELS_MAX) {
        return hwi_fail(r->err, HW_EINVAL, "%d channels are not in 1 to %u", r->info.channels,
                        HWI_SOUND_CHANNELS_MAX);
    }
    return HW_OK;
}

static hw_status
prepare(reading *r)
{
    int code;
    HWI_TRY(open_file(r));
    r->ratio = (double)HWI_SOUND_RATE / r->info.samplerate;
    r->converter = src_new(SRC_SINC_FASTEST, 1, &code);
    size_t bytes = BLOCK_FRAMES * (size_t)r->info.channels * sizeof *r->frames;
    r->frames = hwi_alloc(bytes);
    return r->converter && r->frames ? HW_OK : hwi_nomem(r->err, bytes);
}

static size_t
read_mono(reading *r)
{
    sf_count_t got = sf_readf_float(r->file, r->frames, BLOCK_FRAMES);
    int channels = r->info.channels;
    for (sf_count_t i = 0; i < got; i++) {
        float sum = 0;
        for (int c = 0; c < channels; c++) sum += r->frames[i * channels + c];
        float mean = sum / (float)channels;
        r->mono[i] = fabsf(mean) <= LOUDEST ? mean : 0; /* float files may hold anything */
    }
    return got > 0 ? (size_t)got : 0;
}

static hw_status
make_room(reading *r, size_t more)
{
    hwi_sound *s = r->out;
    if (s->count + more <= r->room) return HW_OK;
    size_t room = HWI_MAX(r->room * 2, s->count + more);
    float *grown = hwi_realloc(s->samples, room * sizeof *grown);
    if (!grown) return hwi_nomem(r->err, room * sizeof *grown);
    s->samples = grown;
    r->room = room;
    return HW_OK;
}

/* Resamples one block; an empty one flushes what the converter still holds. */
static hw_status
convert(reading *r, size_t frames)
{
    SRC_DATA d = {.data_in = r->mono,
                  .input_frames = (long)frames,
                  .src_ratio = r->ratio,
                  .end_of_input = frames == 0};
    do {
        HWI_TRY(make_room(r, BLOCK_FRAMES));
        d.data_out = r->out->samples + r->out->count;
        d.output_frames = (long)(r->room - r->out->count);
        int code = src_process(r->converter, &d);
        if (code) return hwi_fail(r->err, HW_EINVAL, "%s", src_strerror(code));
        r->out->count += (size_t)d.output_frames_gen;
        d.data_in += d.input_frames_used;
        d.input_frames -= d.input_frames_used;
    } while (d.input_frames > 0 || (d.end_of_input && d.output_frames_gen > 0));
    return HW_OK;
}

static hw_status
read_all(reading *r)
{
    const hwi_media_limits *l = r->limits;
    size_t limit = (size_t)HWI_SOUND_SECONDS_MAX * HWI_SOUND_RATE, frames, values = 0;
    HWI_TRY(prepare(r));
    do {
        if (l && l->is_over && l->is_over(l->arg))
            return hwi_fail(r->err, HW_ETIMEOUT, "decoding took too long");
        frames = read_mono(r);
        HWI_TRY(convert(r, frames));
        values += frames * (size_t)r->info.channels;
    } while (frames > 0 && r->out->count < limit && values < HWI_SOUND_VALUES_MAX);
    r->out->count = HWI_MIN(r->out->count, limit);
    r->out->seconds = (double)r->info.frames / r->info.samplerate;
    if (r->out->count == 0) return hwi_fail(r->err, HW_EINVAL, "the sound has no samples");
    return HW_OK;
}

hw_status
hwi_sound_decode(hw_bytes file, const char *name, const hwi_media_limits *limits, hwi_sound *out,
                 hw_error *err)
{
    *out = (hwi_sound){0};
    reading *r = hwi_alloc_zero(sizeof *r);
    if (!r) return hwi_nomem(err, sizeof *r);
    r->bytes = file;
    r->name = name;
    r->limits = limits;
    r->out = out;
    r->err = err;
    hw_status st = read_all(r);
    if (r->file) sf_close(r->file);
    if (r->converter) src_delete(r->converter);
    hwi_free(r->frames);
    hwi_free(r);
    if (st != HW_OK) hwi_sound_release(out);
    return st;
}

/* ---- A preview ---- */

/* A file that grows in memory, behind what was in the buffer. */
typedef struct writing {
    hwi_buf *to;
    size_t start, at;
} writing;

static sf_count_t
written_bytes(void *arg)
{
    const writing *w = arg;
    return (sf_count_t)(w->to->size - w->start);
}

static sf_count_t
written_seek(sf_count_t offset, int whence, void *arg)
{
    writing *w = arg;
    sf_count_t base = whence == SEEK_SET   ? 0
                      : whence == SEEK_CUR ? (sf_count_t)w->at
                                           : written_bytes(w);
    if (offset < -base || offset > written_bytes(w) - base) return -1;
    w->at = (size_t)(base + offset);
    return (sf_count_t)w->at;
}

static sf_count_t
written_read(void *to, sf_count_t count, void *arg)
{
    writing *w = arg;
    size_t left = w->to->size - w->start - w->at;
    size_t n = HWI_MIN((size_t)HWI_MAX(count, (sf_count_t)0), left);
    if (n > 0) memcpy(to, w->to->data + w->start + w->at, n);
    w->at += n;
    return (sf_count_t)n;
}

static sf_count_t
written_write(const void *from, sf_count_t count, void *arg)
{
    writing *w = arg;
    if (count <= 0) return 0;
    size_t n = (size_t)count, end = w->start + w->at + n;
    if (end > w->to->size) hwi_buf_fill(w->to, 0, end - w->to->size);
    if (w->to->failed) return 0;
    memcpy(w->to->data + w->start + w->at, from, n);
    w->at += n;
    return count;
}

static sf_count_t
written_tell(void *arg)
{
    return (sf_count_t)((writing *)arg)->at;
}

/* MP3, which every browser plays, of about 3 kB a second; without an encoder for it a WAV of one byte
 * a sample. */
static SNDFILE *
open_preview(writing *w, const char **type)
{
    SF_VIRTUAL_IO io = {written_bytes, written_seek, written_read, written_write, written_tell};
    const int mp3 = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III;
    SF_INFO info = {.samplerate = HWI_SOUND_RATE, .channels = 1, .format = mp3};
    double level = 0.8; /* 0 the largest, 1 the smallest */
    *type = "audio/mpeg";
    if (!sf_format_check(&info)) {
        info.format = SF_FORMAT_WAV | SF_FORMAT_PCM_U8;
        *type = "audio/wav";
    }
    SNDFILE *file = sf_open_virtual(&io, SFM_WRITE, &info, w);
    if (file && info.format == mp3)
        sf_command(file, SFC_SET_COMPRESSION_LEVEL, &level, sizeof level);
    return file;
}

hw_status
hwi_sound_preview(const hwi_sound *sound, uint32_t seconds, hwi_buf *out, const char **type,
                  hw_error *err)
{
    writing w = {.to = out, .start = out->size};
    size_t most = (size_t)HWI_MIN(seconds, HWI_PREVIEW_SECONDS_MAX) * HWI_SOUND_RATE;
    sf_count_t count = (sf_count_t)HWI_MIN(sound->count, most);
    SNDFILE *file = open_preview(&w, type);
    if (!file) return hwi_fail(err, HW_EIO, "no preview: %s", sf_strerror(NULL));
    bool is_written = sf_write_float(file, sound->samples, count) == count;
    is_written &= sf_close(file) == 0;
    if (out->failed) return hwi_nomem(err, out->size);
    return is_written ? HW_OK : hwi_fail(err, HW_EIO, "no preview: it could not be written");
}
