/* sound.h - sounds of files as samples, and the log-mel descriptor made of them.
 */
#ifndef HWI_SOUND_H
#define HWI_SOUND_H

#include "base/base.h"

#define HWI_SOUND_RATE 16000u      /* samples a second after decoding */
#define HWI_SOUND_SECONDS_MAX 600u /* of a file; what comes after is left away */
#define HWI_SOUND_CHANNELS_MAX 64u
#define HWI_LOGMEL_DIM 120u /* floats in a descriptor */

typedef struct hwi_sound {
    float *samples; /* mono, -1 to 1, HWI_SOUND_RATE a second; hwi_alloc'ed */
    size_t count;
    double seconds; /* of the whole file */
} hwi_sound;
void hwi_sound_release(hwi_sound *sound);

/* Reads what libsndfile does: wav, flac, ogg, opus, mp3, aiff, au, gsm ... Channels are averaged,
 * the rate is converted. HW_EINVAL: no sound, damaged, or without samples; HW_ENOTFOUND; HW_EIO. */
HW_CHECKED hw_status hwi_sound_read(const char *path, hwi_sound *out, hw_error *err);

/* True when the file's first bytes are of a kind of sound that is read. */
bool hwi_sound_is_one(hw_bytes start);

/* The descriptor of a sound (logmel.c): HWI_LOGMEL_DIM floats of unit length, to be compared by
 * cosine. */
HW_CHECKED hw_status hwi_sound_logmel(const hwi_sound *sound, float *out, hw_error *err);

#endif
