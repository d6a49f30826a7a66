/* Pictures: decoding, turning upright, making them fit, thumbnails. The files are those of the fuzz
 * corpus. */
#include "embed/embed.h"
#include "embed/files.h"
#include <stdio.h>
#include <stdlib.h>

#include "support/hwt_db.h"

static hwi_image
decode(const char *name)
{
    char path[512];
    hwi_buf file = {0};
    hwi_image image;
    hw_error err = {0};
    snprintf(path, sizeof path, HWT_SOURCE_DIR "/tests/fuzz/corpus/image/%s", name);
    hwt_ok(hwi_file_read(path, HWI_IMAGE_BYTES_MAX, &file, &err), &err);
    hwt_ok(hwi_image_decode(hwi_buf_bytes(&file), 0, NULL, &image, &err), &err);
    hwi_buf_release(&file);
    return image;
}

static hw_status
decode_status(const char *name, char *message)
{
    char path[512];
    hwi_buf file = {0};
    hwi_image image;
    hw_error err = {0};
    snprintf(path, sizeof path, HWT_SOURCE_DIR "/tests/fuzz/corpus/image/%s", name);
    hwt_ok(hwi_file_read(path, HWI_IMAGE_BYTES_MAX, &file, &err), &err);
    hw_status st = hwi_image_decode(hwi_buf_bytes(&file), 0, NULL, &image, &err);
    snprintf(message, sizeof err.message, "%s", err.message);
    hwi_buf_release(&file);
    if (st == HW_OK) hwi_image_release(&image);
    return st;
}

static const uint8_t *
pixel(const hwi_image *image, uint32_t x, uint32_t y)
{
    return image->rgb + ((size_t)y * image->width + x) * 3;
}

/* The corpus' pictures are 20 x 12, red growing to the right and green downwards. */
static void
every_kind_of_file_gives_the_same_picture(void **state)
{
    (void)state;
    const char *const names[] = {"progressive.jpg", "cmyk.jpg", "still.webp", "alpha.webp",
                                 "moving.webp"};
    for (size_t i = 0; i < HWI_COUNT(names); i++) {
        hwi_image image = decode(names[i]);
        assert_int_equal(image.width, 20);
        assert_int_equal(image.height, 12);
        assert_in_range(pixel(&image, 18, 1)[0], 180, 250);
        assert_in_range(pixel(&image, 1, 10)[0], 0, 50);
        assert_in_range(pixel(&image, 1, 10)[1], 160, 240);
        hwi_image_release(&image);
    }
}

static void
a_picture_taken_sideways_is_turned_upright(void **state)
{
    (void)state;
    hwi_image image = decode("turned.jpg"); /* orientation 6: a quarter to the right */
    assert_int_equal(image.width, 12);
    assert_int_equal(image.height, 20);
    assert_in_range(pixel(&image, 11, 18)[0], 180, 250); /* red grows downwards now */
    assert_in_range(pixel(&image, 1, 1)[1], 160, 240);   /* and green to the left */
    hwi_image_release(&image);
}

static void
what_is_transparent_is_white(void **state)
{
    (void)state;
    hwi_image image = decode("rgba.png");
    assert_int_equal(image.width, 6);
    const uint8_t *corner = pixel(&image, 0, 0); /* alpha 0 */
    assert_int_equal(corner[0] + corner[1] + corner[2], 3 * 255);
    hwi_image_release(&image);
}

static void
damaged_and_oversized_files_are_refused_with_the_reason(void **state)
{
    (void)state;
    char message[512];
    assert_int_equal(decode_status("cut.png", message), HW_EINVAL);
    assert_non_null(strstr(message, "damaged PNG"));
    assert_int_equal(decode_status("cut.jpg", message), HW_EINVAL);
    assert_non_null(strstr(message, "damaged JPEG"));
    assert_int_equal(decode_status("huge.png", message), HW_ELIMIT);
    assert_non_null(strstr(message, "65000 x 65000"));
    hwi_image image;
    hw_error err;
    assert_int_equal(hwi_image_decode(hwi_bytes("hello", 5), 0, NULL, &image, &err), HW_EINVAL);
}

/* A mean over the pixels below: a board of black and white becomes grey, a ramp stays a ramp. */
static void
smaller_is_a_mean_and_not_a_choice_of_pixels(void **state)
{
    (void)state;
    hwi_image board, small;
    hw_error err = {0};
    hwt_ok(hwi_image_new(64, 64, &board, &err), &err);
    for (uint32_t y = 0; y < 64; y++) {
        for (uint32_t x = 0; x < 64; x++) {
            memset(board.rgb + (y * 64 + x) * 3, (x + y) % 2 ? 255 : 0, 3);
        }
    }
    hwt_ok(hwi_image_resize(&board, 8, 8, &small, &err), &err);
    for (size_t i = 0; i < 8 * 8 * 3; i++) assert_in_range(small.rgb[i], 126, 129);
    hwi_image_release(&small);
    for (uint32_t i = 0; i < 64 * 64; i++) memset(board.rgb + i * 3, (int)(i % 64 * 4), 3);
    hwt_ok(hwi_image_resize(&board, 16, 16, &small, &err), &err);
    for (uint32_t x = 1; x < 15; x++) {
        assert_in_range(pixel(&small, x, 3)[0], x * 16 + 5, x * 16 + 7);
    }
    hwi_image_release(&small);
    hwi_image_release(&board);
}

/* PIL 10, Image.resize((3, 2), BILINEAR), of the 6 x 4 picture whose value is 10 x + 40 y. */
static void
resizing_gives_what_pil_gives(void **state)
{
    (void)state;
    static const uint8_t expected[2][3] = {{36, 54, 72}, {98, 116, 134}};
    hwi_image image, small;
    hw_error err = {0};
    hwt_ok(hwi_image_new(6, 4, &image, &err), &err);
    for (uint32_t y = 0; y < 4; y++) {
        for (uint32_t x = 0; x < 6; x++) {
            memset(image.rgb + (y * 6 + x) * 3, (int)(10 * x + 40 * y), 3);
        }
    }
    hwt_ok(hwi_image_resize(&image, 3, 2, &small, &err), &err);
    for (uint32_t y = 0; y < 2; y++) {
        for (uint32_t x = 0; x < 3; x++) {
            assert_int_equal(pixel(&small, x, y)[0], expected[y][x]);
        }
    }
    hwi_image_release(&small);
    hwi_image_release(&image);
}

static void
fitting_keeps_the_whole_or_the_middle(void **state)
{
    (void)state;
    hwi_image image, out;
    hw_error err = {0};
    hwt_ok(hwi_image_new(40, 20, &image, &err), &err);
    memset(image.rgb, 0, 40 * 20 * 3);
    for (uint32_t y = 0; y < 20; y++) memset(image.rgb + y * 120 + 45, 200, 30); /* the middle */
    hwt_ok(hwi_image_fit(&image, HWI_FIT_LETTERBOX, 1, 16, 16, &out, &err), &err);
    assert_int_equal(pixel(&out, 8, 1)[0], 255); /* white above */
    assert_int_equal(pixel(&out, 0, 8)[0], 0);
    hwi_image_release(&out);
    hwt_ok(hwi_image_fit(&image, HWI_FIT_CROP, 1, 16, 16, &out, &err), &err);
    assert_int_equal(pixel(&out, 8, 0)[0], 200);
    hwi_image_release(&out);
    hwi_image_release(&image);
}

static void
a_thumbnail_reads_back(void **state)
{
    (void)state;
    hwi_image image = decode("still.webp"), back;
    hwi_buf file = {0};
    hw_error err = {0};
    hwt_ok(hwi_image_jpeg(&image, 90, &file, &err), &err);
    hwt_ok(hwi_image_decode(hwi_buf_bytes(&file), 0, NULL, &back, &err), &err);
    assert_int_equal(back.width, image.width);
    int far = 0;
    for (size_t i = 0; i < 20 * 12 * 3; i++) far += abs(back.rgb[i] - image.rgb[i]) > 40;
    assert_in_range(far, 0, 20);
    hwi_image_release(&back);
    hwi_image_release(&image);
    hwi_buf_release(&file);
}

static bool
at_once(void *arg)
{
    ++*(int *)arg;
    return true;
}

static void
a_caller_may_ask_for_less(void **state)
{
    (void)state;
    int asked = 0;
    const hwi_media_limits few = {.pixels_max = 20 * 12 - 1};
    const hwi_media_limits over = {.is_over = at_once, .arg = &asked};
    const char *const names[] = {"progressive.jpg", "cmyk.jpg", "still.webp", "alpha.webp"};
    for (size_t i = 0; i < HWI_COUNT(names); i++) {
        char path[512];
        hwi_buf file = {0};
        hwi_image image;
        hw_error err = {0};
        snprintf(path, sizeof path, HWT_SOURCE_DIR "/tests/fuzz/corpus/image/%s", names[i]);
        hwt_ok(hwi_file_read(path, HWI_IMAGE_BYTES_MAX, &file, &err), &err);
        hw_status st = hwi_image_decode(hwi_buf_bytes(&file), 0, &few, &image, &err);
        assert_int_equal(st, HW_ELIMIT);
        assert_non_null(strstr(err.message, "maximum of 239 pixels"));
        if (i == 0) {
            st = hwi_image_decode(hwi_buf_bytes(&file), 0, &over, &image, &err);
            assert_int_equal(st, HW_ETIMEOUT);
        }
        hwi_buf_release(&file);
    }
    assert_int_equal(asked, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_file_gives_the_same_picture),
        cmocka_unit_test(a_picture_taken_sideways_is_turned_upright),
        cmocka_unit_test(what_is_transparent_is_white),
        cmocka_unit_test(damaged_and_oversized_files_are_refused_with_the_reason),
        cmocka_unit_test(smaller_is_a_mean_and_not_a_choice_of_pixels),
        cmocka_unit_test(resizing_gives_what_pil_gives),
        cmocka_unit_test(fitting_keeps_the_whole_or_the_middle),
        cmocka_unit_test(a_thumbnail_reads_back),
        cmocka_unit_test(a_caller_may_ask_for_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
