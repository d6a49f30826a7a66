/* sound.h - sounds of files as samples, and the log-mel descriptor made of them.
 */
#ifndef HWI_SOUND_H
#define HWI_SOUND_H

#include "embed/image.h" /* hwi_media_limits */

#define HWI_SOUND_RATE 16000u           /* samples a second after decoding */
#define HWI_SOUND_SECONDS_MAX 600u      /* of a file; what comes after is left away */
#define HWI_SOUND_VALUES_MAX (1u << 28) /* decoded, of all channels; likewise */
#define HWI_SOUND_CHANNELS_MAX 64u
#define HWI_SOUND_BYTES_MAX ((size_t)512 << 20) /* bytes in a sound file */
#define HWI_LOGMEL_DIM 120u                     /* floats in a descriptor */

typedef struct hwi_sound {
    float *samples; /* mono, -1 to 1, HWI_SOUND_RATE a second; hwi_alloc'ed */
    size_t count;
    double seconds; /* of the whole file */
} hwi_sound;
void hwi_sound_release(hwi_sound *sound);

/* Decodes what libsndfile does: wav, flac, ogg, opus, mp3, aiff, au ... Channels are averaged, the
 * rate is converted. `name` (NULL: none) tells kinds that have no beginning of their own: .gsm is
 * GSM 06.10 at 8 kHz. limits NULL: those that always hold. HW_EINVAL: no sound, damaged, or without
 * samples; HW_ETIMEOUT; HW_ENOMEM. */
HW_CHECKED hw_status hwi_sound_decode(hw_bytes file, const char *name,
                                      const hwi_media_limits *limits, hwi_sound *out,
                                      hw_error *err);

/* True when the file's first bytes are of a kind of sound that is read. */
bool hwi_sound_is_one(hw_bytes start);

/* The first seconds as a small file of the kind that *type then names: "audio/mpeg", or, where
 * libsndfile cannot write that, "audio/wav". Appended to out. HW_ENOMEM, HW_EIO. */
HW_CHECKED hw_status hwi_sound_preview(const hwi_sound *sound, uint32_t seconds, hwi_buf *out,
                                       const char **type, hw_error *err);
#define HWI_PREVIEW_SECONDS_MAX 15u

/* ---- logmel.c: how loud a sound is, by time and pitch. Measured once, as that takes longer than
 * what is made of it. Immutable. */
typedef struct hwi_mel hwi_mel;
HW_CHECKED hw_status hwi_mel_new(const hwi_sound *sound, hwi_mel **out, hw_error *err);
void hwi_mel_free(hwi_mel *m); /* NULL is fine */

/* The descriptor: HWI_LOGMEL_DIM floats of unit length, to be compared by cosine. */
void hwi_mel_describe(const hwi_mel *m, float *out);

/* A picture: time to the right, pitch upwards, loud is bright. */
HW_CHECKED hw_status hwi_mel_picture(const hwi_mel *m, uint32_t width, uint32_t height,
                                     hwi_image *out, hw_error *err);

#endif
