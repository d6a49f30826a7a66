/* fuzz_sound.c - any bytes are a sound, or an error: decoded, described, made a preview of. */
#include <math.h>

#include "embed/sound.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *name = size % 2 ? "a.gsm" : NULL;
    hwi_sound sound;
    hwi_mel *mel;
    hwi_buf preview = {0};
    const char *type;
    float v[HWI_LOGMEL_DIM];
    hw_error err;
    if (hwi_sound_decode(hwi_bytes(data, size), name, NULL, &sound, &err) != HW_OK) return 0;
    HWI_ASSERT(hwi_mel_new(&sound, &mel, &err) == HW_OK);
    hwi_mel_describe(mel, v);
    hwi_mel_free(mel);
    for (size_t i = 0; i < HWI_LOGMEL_DIM; i++) HWI_ASSERT(isfinite(v[i]));
    HWI_ASSERT(hwi_sound_preview(&sound, 1, &preview, &type, &err) == HW_OK);
    hwi_buf_release(&preview);
    hwi_sound_release(&sound);
    return 0;
}
