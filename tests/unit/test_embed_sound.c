/* Sounds: the descriptor tells apart what sounds different and keeps together what sounds alike. */
#include <math.h>
#include <stdio.h>

#include "embed/files.h"
#include "support/hwt_db.h"

#define SECOND HWI_SOUND_RATE
#define PI 3.14159265358979323846

/* A tone with falling overtones, `gain` loud, after `pause` samples of silence. */
static hwi_sound
tone(double hz, double gain, size_t pause, size_t count)
{
    hwi_sound s = {.samples = hwi_alloc_zero((pause + count) * sizeof(float)),
                   .count = pause + count};
    for (size_t i = 0; i < count; i++) {
        double t = (double)i / SECOND, v = 0;
        for (int overtone = 1; overtone <= 4; overtone++) {
            v += sin(2 * PI * hz * overtone * t) / overtone;
        }
        s.samples[pause + i] = (float)(gain * v * exp(-3 * t));
    }
    return s;
}

static hwi_sound
noise(uint64_t seed, size_t count)
{
    hwi_rng rng;
    hwi_sound s = {.samples = hwi_alloc(count * sizeof(float)), .count = count};
    hwi_rng_init(&rng, seed);
    for (size_t i = 0; i < count; i++) s.samples[i] = (float)(0.1 * hwi_rng_normal(&rng));
    return s;
}

static void
describe(hwi_sound s, float *out)
{
    hw_error err = {0};
    hwi_mel *mel;
    double length = 0;
    hwt_ok(hwi_mel_new(&s, &mel, &err), &err);
    hwi_mel_describe(mel, out);
    hwi_mel_free(mel);
    for (size_t i = 0; i < HWI_LOGMEL_DIM; i++) length += (double)out[i] * out[i];
    assert_true(fabs(length - 1) < 1e-5);
    hwi_sound_release(&s);
}

static void
draw(const hwi_sound *s, uint32_t width, uint32_t height, hwi_image *out)
{
    hw_error err = {0};
    hwi_mel *mel;
    hwt_ok(hwi_mel_new(s, &mel, &err), &err);
    hwt_ok(hwi_mel_picture(mel, width, height, out, &err), &err);
    hwi_mel_free(mel);
}

static double
likeness(const float *a, const float *b)
{
    double sum = 0;
    for (size_t i = 0; i < HWI_LOGMEL_DIM; i++) sum += (double)a[i] * b[i];
    return sum;
}

static void
louder_or_later_is_the_same_sound(void **state)
{
    (void)state;
    float plain[HWI_LOGMEL_DIM], loud[HWI_LOGMEL_DIM], late[HWI_LOGMEL_DIM];
    describe(tone(220, 0.1, 0, SECOND), plain);
    describe(tone(220, 0.3, 0, SECOND), loud);
    describe(tone(220, 0.1, SECOND / 2, SECOND), late);
    assert_true(likeness(plain, loud) > 0.98);
    assert_true(likeness(plain, late) > 0.95);
}

static void
tones_are_nearer_to_tones_than_to_noise(void **state)
{
    (void)state;
    float low[HWI_LOGMEL_DIM], near[HWI_LOGMEL_DIM], high[HWI_LOGMEL_DIM], hiss[HWI_LOGMEL_DIM];
    float other_hiss[HWI_LOGMEL_DIM];
    describe(tone(220, 0.2, 0, SECOND), low);
    describe(tone(233, 0.2, 0, SECOND), near);
    describe(tone(1500, 0.2, 0, SECOND), high);
    describe(noise(1, SECOND), hiss);
    describe(noise(2, SECOND), other_hiss);
    assert_true(likeness(low, near) > likeness(low, high));
    assert_true(likeness(low, near) > likeness(low, hiss));
    assert_true(likeness(hiss, other_hiss) > 0.9);
}

static void
a_low_sound_is_bright_below_and_a_high_one_above(void **state)
{
    (void)state;
    const double hz[] = {150, 6000};
    for (int high = 0; high < 2; high++) {
        hwi_sound s = tone(hz[high], 0.2, SECOND / 2, SECOND);
        hwi_image picture;
        uint64_t light[2] = {0}; /* lower half, upper half */
        draw(&s, 64, 40, &picture);
        assert_int_equal(picture.width, 64);
        assert_int_equal(picture.height, 40);
        for (size_t i = 0; i < (size_t)64 * 40 * 3; i++) light[i < 64 * 20 * 3] += picture.rgb[i];
        assert_true(light[high] > light[!high] * 3 / 2);
        hwi_image_release(&picture);
        hwi_sound_release(&s);
    }
}

static void
silence_and_a_single_sample_have_a_descriptor_too(void **state)
{
    (void)state;
    float v[HWI_LOGMEL_DIM];
    hwi_sound silence = {.samples = hwi_alloc_zero(SECOND * sizeof(float)), .count = SECOND};
    hwi_sound click = {.samples = hwi_alloc(sizeof(float)), .count = 1};
    click.samples[0] = 1;
    hwi_image picture;
    draw(&silence, 9, 9, &picture);
    hwi_image_release(&picture);
    describe(silence, v);
    describe(click, v);
}

/* A file of the fuzz corpus. */
static hw_status
decode(const char *name, hwi_sound *out, hw_error *err)
{
    char path[512];
    hwi_buf file = {0};
    snprintf(path, sizeof path, HWT_SOURCE_DIR "/tests/fuzz/corpus/sound/%s", name);
    hwt_ok(hwi_file_read(path, HWI_SOUND_BYTES_MAX, &file, err), err);
    hw_status st = hwi_sound_decode(hwi_buf_bytes(&file), name, NULL, out, err);
    hwi_buf_release(&file);
    return st;
}

static void
files_are_read_at_one_rate_in_one_channel(void **state)
{
    (void)state;
    hwi_sound s;
    hw_error err = {0};
    hwt_ok(decode("tone.wav", &s, &err), &err);
    assert_in_range(s.count, 2900, 3100); /* 1,500 frames at 8,000 a second */
    assert_true(fabs(s.seconds - 1500.0 / 8000) < 1e-6);
    float loudest = 0;
    for (size_t i = 0; i < s.count; i++) loudest = fmaxf(loudest, fabsf(s.samples[i]));
    assert_true(loudest > 0.1F && loudest < 0.5F);
    hwi_sound_release(&s);
}

static void
headers_that_lie_are_refused(void **state)
{
    (void)state;
    hwi_sound s;
    hw_error err = {0};
    const char *const names[] = {"rate.wav", "channels.wav"};
    for (size_t i = 0; i < HWI_COUNT(names); i++) {
        assert_int_equal(decode(names[i], &s, &err), HW_EINVAL);
        assert_null(s.samples);
    }
}

/* What is heard of a preview is what the sound begins with; it is small, and never long. */
static void
a_preview_is_short_and_reads_back(void **state)
{
    (void)state;
    hwi_sound s = tone(440, 0.5, 0, 20 * SECOND), back;
    hwi_buf file = {0};
    hw_error err = {0};
    const char *type;
    hwi_buf_text(&file, "before it");
    hwt_ok(hwi_sound_preview(&s, 2, &file, &type, &err), &err);
    assert_true(strcmp(type, "audio/mpeg") == 0 || strcmp(type, "audio/wav") == 0);
    assert_memory_equal(file.data, "before it", 9);
    assert_in_range(file.size, 1000, 40000);
    hwt_ok(hwi_sound_decode(hwi_bytes(file.data + 9, file.size - 9), NULL, NULL, &back, &err),
           &err);
    assert_true(fabs(back.seconds - 2) < 0.2);
    hwi_sound_release(&back);
    hwi_buf_clear(&file);
    hwt_ok(hwi_sound_preview(&s, 1000, &file, &type, &err), &err);
    hwt_ok(hwi_sound_decode(hwi_buf_bytes(&file), NULL, NULL, &back, &err), &err);
    assert_true(back.seconds < HWI_PREVIEW_SECONDS_MAX + 1);
    hwi_sound_release(&back);
    hwi_buf_release(&file);
    hwi_sound_release(&s);
}

static bool
at_once(void *arg)
{
    ++*(int *)arg;
    return true;
}

static void
decoding_ends_when_the_time_is_up(void **state)
{
    (void)state;
    int asked = 0;
    const hwi_media_limits limits = {.is_over = at_once, .arg = &asked};
    hwi_sound s = tone(440, 0.5, 0, SECOND), back;
    hwi_buf file = {0};
    hw_error err = {0};
    const char *type;
    hwt_ok(hwi_sound_preview(&s, 1, &file, &type, &err), &err);
    assert_int_equal(hwi_sound_decode(hwi_buf_bytes(&file), NULL, &limits, &back, &err),
                     HW_ETIMEOUT);
    assert_int_equal(asked, 1);
    hwi_buf_release(&file);
    hwi_sound_release(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(louder_or_later_is_the_same_sound),
        cmocka_unit_test(tones_are_nearer_to_tones_than_to_noise),
        cmocka_unit_test(a_low_sound_is_bright_below_and_a_high_one_above),
        cmocka_unit_test(silence_and_a_single_sample_have_a_descriptor_too),
        cmocka_unit_test(files_are_read_at_one_rate_in_one_channel),
        cmocka_unit_test(headers_that_lie_are_refused),
        cmocka_unit_test(a_preview_is_short_and_reads_back),
        cmocka_unit_test(decoding_ends_when_the_time_is_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
