/* fuzz_sound.c - any bytes are a sound, or an error: read from a file, described. */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "embed/sound.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    hwi_sound sound;
    float v[HWI_LOGMEL_DIM];
    hw_error err;
    snprintf(path, sizeof path, "fuzz_sound.%ld", (long)getpid());
    FILE *f = fopen(path, "wb");
    if (!f) return 0;
    fwrite(data, 1, size, f);
    fclose(f);
    if (hwi_sound_read(path, &sound, &err) == HW_OK) {
        HWI_ASSERT(hwi_sound_logmel(&sound, v, &err) == HW_OK);
        for (size_t i = 0; i < HWI_LOGMEL_DIM; i++) HWI_ASSERT(isfinite(v[i]));
        hwi_sound_release(&sound);
    }
    remove(path);
    return 0;
}
