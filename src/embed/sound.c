/* sound.c - decoding by libsndfile, resampling by libsamplerate, a block at a time.
 *
 *     file -> block of frames -> mean of the channels -> resampled -> samples
 *
 * Memory is bounded by HWI_SOUND_SECONDS_MAX whatever the file claims to be long. */
#include "embed/sound.h"

#include <errno.h>
#include <math.h>
#include <samplerate.h>
#include <sndfile.h>
#include <stdio.h>

#define BLOCK_FRAMES 4096
#define FILE_RATE_MIN 1000
#define FILE_RATE_MAX 768000

typedef struct reading {
    const char *path;
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

static hw_status
open_file(reading *r)
{
    r->file = sf_open(r->path, SFM_READ, &r->info);
    if (!r->file) {
        return hwi_fail(r->err, sf_error(NULL) == SF_ERR_SYSTEM ? HW_EIO : HW_EINVAL, "%s",
                        sf_strerror(NULL));
    }
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
        r->mono[i] = isfinite(mean) ? mean : 0; /* float files may hold anything */
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
    size_t limit = (size_t)HWI_SOUND_SECONDS_MAX * HWI_SOUND_RATE, frames;
    HWI_TRY(prepare(r));
    do {
        frames = read_mono(r);
        HWI_TRY(convert(r, frames));
    } while (frames > 0 && r->out->count < limit);
    r->out->count = HWI_MIN(r->out->count, limit);
    r->out->seconds = (double)r->info.frames / r->info.samplerate;
    if (r->out->count == 0) return hwi_fail(r->err, HW_EINVAL, "the sound has no samples");
    return HW_OK;
}

hw_status
hwi_sound_read(const char *path, hwi_sound *out, hw_error *err)
{
    *out = (hwi_sound){0};
    reading *r = hwi_alloc_zero(sizeof *r);
    if (!r) return hwi_nomem(err, sizeof *r);
    r->path = path;
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
