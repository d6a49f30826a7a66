/* Numbers as bytes, random numbers, checksums, UTF-8. */
#include "support/hwt.h"

#include <math.h>

static void
numbers_are_little_endian_at_any_alignment(void **state)
{
    (void)state;
    uint8_t raw[12] = {0};
    hwi_put_u64(raw + 1, 0x0123456789ABCDEFu);
    assert_int_equal(raw[1], 0xEF);
    assert_int_equal(raw[8], 0x01);
    assert_true(hwi_get_u64(raw + 1) == 0x0123456789ABCDEFu);
    hwi_put_u32(raw + 3, 0xFFFFFFFEu);
    assert_int_equal(hwi_get_u32(raw + 3), 0xFFFFFFFEu);
    hwi_put_u16(raw + 5, 0xFE01);
    assert_int_equal(hwi_get_u16(raw + 5), 0xFE01);
    hwi_put_f32(raw + 7, -1.5f);
    assert_true(hwi_get_f32(raw + 7) == -1.5f);
}

/* The reference values were computed with an implementation of the published algorithms of its own,
 * in another language. */
static void
one_seed_gives_one_stream_everywhere(void **state)
{
    (void)state;
    hwi_rng r;
    hwi_rng_init(&r, 1);
    assert_true(hwi_rng_next(&r) == UINT64_C(0xb3f2af6d0fc710c5));
    assert_true(hwi_rng_next(&r) == UINT64_C(0x853b559647364cea));
    hwi_rng_init(&r, 1);
    assert_true(hwi_rng_normal(&r) == 0x1.e368961549833p-4);
    assert_true(hwi_rng_normal(&r) == -0x1.c042690cbca9fp-2);
}

static void
random_numbers_stay_in_range_and_fill_it(void **state)
{
    (void)state;
    hwi_rng r;
    unsigned seen[6] = {0};
    hwi_rng_init(&r, 7);
    for (int i = 0; i < 60000; i++) {
        uint64_t n = hwi_rng_below(&r, 6);
        assert_true(n < 6);
        seen[n]++;
        double u = hwi_rng_unit(&r);
        assert_true(u >= 0 && u < 1);
    }
    for (size_t i = 0; i < 6; i++) assert_in_range(seen[i], 9500, 10500);
    assert_true(hwi_rng_below(&r, 1) == 0);
    assert_true(hwi_rng_below(&r, UINT64_MAX) < UINT64_MAX);
}

static void
normal_deviates_have_the_moments_of_the_normal_distribution(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    hwi_rng r;
    double sum = 0, square = 0, fourth = 0;
    hwi_rng_init(&r, 3);
    for (int i = 0; i < COUNT; i++) {
        double x = hwi_rng_normal(&r);
        sum += x, square += x * x, fourth += x * x * x * x;
    }
    assert_true(fabs(sum / COUNT) < 0.01);
    assert_true(fabs(square / COUNT - 1) < 0.02);
    assert_true(fabs(fourth / COUNT - 3) < 0.1);
}

static void
checksums_are_xxh3(void **state)
{
    (void)state;
    assert_true(hwi_checksum("", 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(hwi_checksum("a", 1) != hwi_checksum("b", 1));
}

static void
the_clock_does_not_go_back(void **state)
{
    (void)state;
    uint64_t before = hwi_clock_us();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = hwi_clock_us();
        assert_true(now >= before);
        before = now;
    }
}

static void
only_well_formed_utf8_is_valid(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "abc",
                                       "\xC3\xA9",
                                       "\xE2\x82\xAC",
                                       "\xED\x9F\xBF",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x9F\x98\x80",
                                       "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {"\x80",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xC3",
                                      "\xC3(",
                                      "\xE0\x9F\xBF",
                                      "\xED\xA0\x80",
                                      "\xE2\x82",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xFF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80"};
    for (size_t i = 0; i < HWI_COUNT(good); i++)
        assert_true(hwi_utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < HWI_COUNT(bad); i++)
        assert_false(hwi_utf8_valid(bad[i], strlen(bad[i])));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_little_endian_at_any_alignment),
        cmocka_unit_test(one_seed_gives_one_stream_everywhere),
        cmocka_unit_test(random_numbers_stay_in_range_and_fill_it),
        cmocka_unit_test(normal_deviates_have_the_moments_of_the_normal_distribution),
        cmocka_unit_test(checksums_are_xxh3),
        cmocka_unit_test(the_clock_does_not_go_back),
        cmocka_unit_test(only_well_formed_utf8_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
