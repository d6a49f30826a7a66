/* Tuple keys: byte order is tuple order, what is written reads back, any bytes are safe to read. */
#include "support/hwt_store.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- random tuples, and their order by the definition and not by bytes */

typedef enum item_kind {
    ITEM_NULL,
    ITEM_BYTES,
    ITEM_TEXT,
    ITEM_INT,
    ITEM_F64,
    ITEM_BOOL,
    ITEM_UUID
} item_kind;

typedef struct item {
    item_kind kind; /* in the order of the type codes */
    int64_t integer;
    double number;
    size_t bytes;
    uint8_t data[16];
} item;

typedef struct tuple {
    size_t count;
    item items[4];
} tuple;

static int64_t
random_int(hwi_rng *rng)
{
    static const int64_t edges[] = {0,         1,         -1,        255,      256,
                                    -255,      -256,      65535,     65536,    -65536,
                                    INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    if (hwi_rng_below(rng, 2)) return edges[hwi_rng_below(rng, HWI_COUNT(edges))];
    return (int64_t)(hwi_rng_next(rng) >> hwi_rng_below(rng, 64)) *
           (hwi_rng_below(rng, 2) ? 1 : -1);
}

static double
random_f64(hwi_rng *rng)
{
    static const double edges[] = {0.0,      -0.0,    1.0,      -1.0,     DBL_MIN,
                                   -DBL_MIN, DBL_MAX, -DBL_MAX, INFINITY, -INFINITY};
    if (hwi_rng_below(rng, 2)) return edges[hwi_rng_below(rng, HWI_COUNT(edges))];
    return hwi_rng_normal(rng) * pow(10, (double)hwi_rng_below(rng, 40) - 20);
}

static item
random_item(hwi_rng *rng)
{
    item it = {.kind = (item_kind)hwi_rng_below(rng, 7)};

    it.integer = random_int(rng);
    it.number = random_f64(rng);
    it.bytes = hwi_rng_below(rng, 5);
    if (it.kind == ITEM_UUID) it.bytes = 16;
    if (it.kind == ITEM_BOOL) it.integer = (int64_t)hwi_rng_below(rng, 2);
    for (size_t i = 0; i < it.bytes; i++) /* few values, so that prefixes and zeros are common */
        it.data[i] = (uint8_t[]){0, 1, 'a', 0xff}[hwi_rng_below(rng, 4)];
    return it;
}

static tuple
random_tuple(hwi_rng *rng)
{
    tuple t = {.count = hwi_rng_below(rng, 5)};
    for (size_t i = 0; i < t.count; i++) t.items[i] = random_item(rng);
    return t;
}

static int
order_f64(double a, double b)
{
    if (a != b) return a < b ? -1 : 1;
    return (signbit(b) != 0) - (signbit(a) != 0); /* -0 sorts before 0 */
}

static int
order_items(const item *a, const item *b)
{
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    switch (a->kind) {
    case ITEM_NULL:
        return 0;
    case ITEM_INT:
    case ITEM_BOOL:
        return (a->integer > b->integer) - (a->integer < b->integer);
    case ITEM_F64:
        return order_f64(a->number, b->number);
    case ITEM_BYTES:
    case ITEM_TEXT:
    case ITEM_UUID:
        break;
    }
    int order = memcmp(a->data, b->data, HWI_MIN(a->bytes, b->bytes));
    return order ? order : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

static int
order_tuples(const tuple *a, const tuple *b)
{
    for (size_t i = 0; i < HWI_MIN(a->count, b->count); i++) {
        int order = order_items(&a->items[i], &b->items[i]);
        if (order) return order;
    }
    return (a->count > b->count) - (a->count < b->count);
}

static void
append(hwi_key *k, const item *it)
{
    switch (it->kind) {
    case ITEM_NULL:
        hwi_key_null(k);
        break;
    case ITEM_BYTES:
        hwi_key_bytes(k, it->data, it->bytes);
        break;
    case ITEM_TEXT:
        hwi_key_text(k, (const char *)it->data, it->bytes);
        break;
    case ITEM_INT:
        hwi_key_int(k, it->integer);
        break;
    case ITEM_F64:
        hwi_key_f64(k, it->number);
        break;
    case ITEM_BOOL:
        hwi_key_bool(k, it->integer != 0);
        break;
    case ITEM_UUID:
        hwi_key_uuid(k, it->data);
        break;
    }
}

static hwi_key
encode(const tuple *t)
{
    hwi_key k;
    hwi_key_init(&k);
    for (size_t i = 0; i < t->count; i++) append(&k, &t->items[i]);
    return k;
}

static int
sign(int v)
{
    return (v > 0) - (v < 0);
}

static int
order_keys(const hwi_key *a, const hwi_key *b)
{
    int order = memcmp(a->data, b->data, HWI_MIN(a->size, b->size));
    return order ? sign(order) : (a->size > b->size) - (a->size < b->size);
}

static void
byte_order_is_tuple_order(void **state)
{
    hwi_rng rng;

    (void)state;
    hwi_rng_init(&rng, 11);
    for (int i = 0; i < 200000; i++) {
        tuple a = random_tuple(&rng), b = random_tuple(&rng);
        if (hwi_rng_below(&rng, 2)) { /* a common start, else all differ in their first element */
            b = a;
            if (b.count) b.items[hwi_rng_below(&rng, b.count)] = random_item(&rng);
        }
        hwi_key x = encode(&a), y = encode(&b);
        assert_int_equal(order_keys(&x, &y), sign(order_tuples(&a, &b)));
    }
}

/* Everything that begins with a tuple lies in its range, and nothing else does. */
static void
a_range_holds_the_tuples_that_begin_with_its_prefix(void **state)
{
    hwi_rng rng;

    (void)state;
    hwi_rng_init(&rng, 12);
    for (int i = 0; i < 100000; i++) {
        tuple prefix = random_tuple(&rng), other = random_tuple(&rng);
        if (hwi_rng_below(&rng, 2))
            for (size_t e = 0; e < HWI_MIN(prefix.count, other.count); e++)
                other.items[e] = prefix.items[e];
        bool begins = other.count >= prefix.count;
        for (size_t e = 0; begins && e < prefix.count; e++)
            begins = order_items(&prefix.items[e], &other.items[e]) == 0;

        hwi_key from = encode(&prefix), end = hwi_key_range_end(&from), k = encode(&other);
        bool inside = order_keys(&from, &k) <= 0 && (end.size == 0 || order_keys(&k, &end) < 0);
        assert_int_equal(inside, begins);
    }
}

static void
assert_item_reads(hwi_key_reader *r, const item *it)
{
    uint8_t data[16];
    size_t bytes;
    int64_t integer;
    double number;
    bool truth;

    switch (it->kind) {
    case ITEM_NULL:
        assert_int_equal(hwi_key_skip(r, NULL), HW_OK);
        break;
    case ITEM_BYTES:
        assert_int_equal(hwi_key_read_bytes(r, data, sizeof data, &bytes, NULL), HW_OK);
        assert_int_equal(bytes, it->bytes);
        assert_memory_equal(data, it->data, bytes);
        break;
    case ITEM_TEXT:
        assert_int_equal(hwi_key_read_text(r, (char *)data, sizeof data, &bytes, NULL), HW_OK);
        assert_int_equal(bytes, it->bytes);
        assert_memory_equal(data, it->data, bytes);
        break;
    case ITEM_INT:
        assert_int_equal(hwi_key_read_int(r, &integer, NULL), HW_OK);
        assert_true(integer == it->integer);
        break;
    case ITEM_F64:
        assert_int_equal(hwi_key_read_f64(r, &number, NULL), HW_OK);
        assert_memory_equal(&number, &it->number, sizeof number);
        break;
    case ITEM_BOOL:
        assert_int_equal(hwi_key_read_bool(r, &truth, NULL), HW_OK);
        assert_int_equal(truth, it->integer);
        break;
    case ITEM_UUID:
        assert_int_equal(hwi_key_read_uuid(r, data, NULL), HW_OK);
        assert_memory_equal(data, it->data, 16);
        break;
    }
}

static void
what_is_written_reads_back(void **state)
{
    hwi_rng rng;
    hwi_key_reader r;

    (void)state;
    hwi_rng_init(&rng, 13);
    for (int i = 0; i < 50000; i++) {
        tuple t = random_tuple(&rng);
        hwi_key k = encode(&t);
        hwi_key_reader_init(&r, hwi_key_view(&k));
        for (size_t e = 0; e < t.count; e++) assert_item_reads(&r, &t.items[e]);
        assert_int_equal(hwi_key_read_end(&r, NULL), HW_OK);

        hwi_key_reader_init(&r, hwi_key_view(&k));
        for (size_t e = 0; e < t.count; e++) assert_int_equal(hwi_key_skip(&r, NULL), HW_OK);
        assert_int_equal(hwi_key_peek(&r), HWI_KEY_END);
    }
}

/* Bytes as FoundationDB's own bindings encode them (its tuple.md). */
static void
encoding_matches_foundationdb(void **state)
{
    static const struct {
        const char *hex;
        item it;
    } cases[] = {
        {"00", {.kind = ITEM_NULL}},
        {"01666f6f00ff62617200", {.kind = ITEM_BYTES, .bytes = 7, .data = "foo\0bar"}},
        {"0246c3b400ff62617200", {.kind = ITEM_TEXT, .bytes = 7, .data = "F\xc3\xb4\0bar"}},
        {"14", {.kind = ITEM_INT, .integer = 0}},
        {"1501", {.kind = ITEM_INT, .integer = 1}},
        {"13fe", {.kind = ITEM_INT, .integer = -1}},
        {"1300", {.kind = ITEM_INT, .integer = -255}},
        {"12feff", {.kind = ITEM_INT, .integer = -256}},
        {"11abdb7b", {.kind = ITEM_INT, .integer = -5514372}},
        {"160100", {.kind = ITEM_INT, .integer = 256}},
        {"1c7fffffffffffffff", {.kind = ITEM_INT, .integer = INT64_MAX}},
        {"0c7fffffffffffffff", {.kind = ITEM_INT, .integer = INT64_MIN}},
        {"21c045000000000000", {.kind = ITEM_F64, .number = 42.0}},
        {"213fbaffffffffffff", {.kind = ITEM_F64, .number = -42.0}},
        {"26", {.kind = ITEM_BOOL, .integer = 0}},
        {"27", {.kind = ITEM_BOOL, .integer = 1}},
    };

    (void)state;
    for (size_t i = 0; i < HWI_COUNT(cases); i++) {
        char hex[64] = "";
        hwi_key k;
        hwi_key_init(&k);
        append(&k, &cases[i].it);
        for (size_t b = 0; b < k.size; b++) snprintf(hex + 2 * b, 3, "%02x", k.data[b]);
        assert_string_equal(hex, cases[i].hex);
    }
}

static void
unsigned_numbers_above_the_signed_range_keep_their_order(void **state)
{
    static const uint64_t numbers[] = {INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
    hwi_key before, k;
    hwi_key_reader r;
    uint64_t u;
    int64_t n;

    (void)state;
    hwi_key_init(&before);
    for (size_t i = 0; i < HWI_COUNT(numbers); i++) {
        hwi_key_init(&k);
        hwi_key_uint(&k, numbers[i]);
        assert_true(order_keys(&before, &k) < 0);
        before = k;
        hwi_key_reader_init(&r, hwi_key_view(&k));
        assert_int_equal(hwi_key_read_int(&r, &n, NULL), i == 0 ? HW_OK : HW_ECORRUPT);
        hwi_key_reader_init(&r, hwi_key_view(&k));
        assert_int_equal(hwi_key_read_uint(&r, &u, NULL), HW_OK);
        assert_true(u == numbers[i]);
    }
}

/* ---- ids */

static hw_id
random_id(hwi_rng *rng, char text[HW_ID_TEXT_MAX])
{
    hw_id id = {.kind = (hw_id_kind)hwi_rng_below(rng, 3)};

    if (id.kind == HW_ID_KIND_U64) id.as.u64 = hwi_rng_next(rng) >> hwi_rng_below(rng, 64);
    if (id.kind == HW_ID_KIND_UUID)
        for (int i = 0; i < 16; i++) id.as.uuid[i] = (uint8_t)hwi_rng_next(rng);
    if (id.kind == HW_ID_KIND_TEXT) {
        id.text_bytes =
            1 + (uint32_t)hwi_rng_below(rng, hwi_rng_below(rng, 2) ? 4 : HW_ID_TEXT_MAX);
        for (uint32_t i = 0; i < id.text_bytes; i++) text[i] = (char)('a' + hwi_rng_below(rng, 3));
        id.as.text = text;
    }
    return id;
}

static void
ids_sort_as_hw_id_compare_says_and_read_back(void **state)
{
    char text_a[HW_ID_TEXT_MAX], text_b[HW_ID_TEXT_MAX], text[HW_ID_TEXT_MAX];
    hwi_key_reader r;
    hwi_key x, y;
    hwi_rng rng;
    hw_id back;

    (void)state;
    hwi_rng_init(&rng, 14);
    for (int i = 0; i < 50000; i++) {
        hw_id a = random_id(&rng, text_a), b = random_id(&rng, text_b);
        hwi_key_id(&x, 3, &a);
        hwi_key_id(&y, 3, &b);
        assert_int_equal(order_keys(&x, &y), sign(hw_id_compare(&a, &b)));
        hwi_key_reader_init(&r, hwi_key_view(&x));
        assert_int_equal(hwi_key_skip(&r, NULL), HW_OK);
        assert_int_equal(hwi_key_skip(&r, NULL), HW_OK);
        assert_int_equal(hwi_key_read_point_id(&r, &back, text, NULL), HW_OK);
        assert_int_equal(hw_id_compare(&a, &back), 0);
        assert_int_equal(hwi_key_read_end(&r, NULL), HW_OK);
    }
}

static void
the_longest_id_fits_a_key(void **state)
{
    char text[HW_ID_TEXT_MAX];
    hw_id id = {.kind = HW_ID_KIND_TEXT, .text_bytes = HW_ID_TEXT_MAX, .as = {.text = text}};
    hwi_key k;

    (void)state;
    memset(text, 'x', sizeof text);
    hwi_key_id(&k, UINT32_MAX, &id);
    assert_true(k.size <= HWI_STORE_KEY_MAX);
    memset(text, 0, sizeof text); /* each byte is escaped: too long for a store, not for us */
    hwi_key_id(&k, UINT32_MAX, &id);
    assert_true(k.size > HWI_STORE_KEY_MAX && k.size < HWI_KEY_ROOM);
}

/* ---- hostile */

static void
a_key_that_outgrows_its_room_becomes_too_long_for_any_store(void **state)
{
    static char text[2000];
    hwi_key k;

    (void)state;
    for (size_t bytes = 1010; bytes <= sizeof text; bytes += 5) {
        hwi_key_init(&k);
        hwi_key_uint(&k, 7);
        hwi_key_text(&k, text, bytes);
        hwi_key_uuid(&k, (const uint8_t *)text);
        hwi_key_raw(&k, hwi_bytes(text, bytes));
        hwi_key_int(&k, INT64_MIN);
        assert_int_equal(k.size, HWI_KEY_ROOM);
    }
    hwi_key end = hwi_key_range_end(&k);
    assert_int_equal(end.size, HWI_KEY_ROOM);
}

static void
malformed_keys_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"\x15", 1},               /* an integer without its byte */
        {"\x1c\1\2\3\4\5\6\7", 8}, /* one byte short */
        {"\x16\0\1", 3},           /* padded */
        {"\x12\xff\xfe", 3},       /* padded, negative */
        {"\2ab", 3},               /* text without its end */
        {"\2ab\0\xff", 5},         /* ends in an escape */
        {"\1", 1},                 /* bytes without their end */
        {"\x21\0\0\0\0\0\0\0", 8}, /* short double */
        {"\x30"
         "0123456789abcde",
         16},        /* short UUID */
        {"\x05", 1}, /* nested tuple: not ours */
        {"\xff", 1},
        {"\x1d\1\2\3", 4}, /* big integer: not ours */
    };
    hwi_key_reader r;

    (void)state;
    for (size_t i = 0; i < HWI_COUNT(cases); i++) {
        hw_error err = {0};
        hwi_key_reader_init(&r, hwi_bytes(cases[i].bytes, cases[i].size));
        assert_int_equal(hwi_key_skip(&r, &err), HW_ECORRUPT);
        assert_true(err.message[0] != 0);
    }
}

static void
reading_the_wrong_kind_or_too_much_moves_nothing(void **state)
{
    char text[4], id_text[HW_ID_TEXT_MAX];
    hwi_key_reader r;
    hw_error err = {0};
    hwi_key k;
    uint64_t u;
    uint32_t u32;
    size_t bytes;
    hw_id id;

    (void)state;
    hwi_key_init(&k);
    hwi_key_uint(&k, (uint64_t)UINT32_MAX + 1);
    hwi_key_text(&k, "hello", 5);
    hwi_key_reader_init(&r, hwi_key_view(&k));
    assert_int_equal(hwi_key_read_text(&r, text, sizeof text, &bytes, &err), HW_ECORRUPT);
    assert_string_equal(err.message, "key holds integer where text is expected");
    assert_int_equal(hwi_key_read_u32(&r, &u32, &err), HW_ECORRUPT);
    assert_string_equal(err.message, "key holds 4294967296, above 32 bits");
    assert_int_equal(hwi_key_read_point_id(&r, &id, id_text, &err), HW_ECORRUPT);
    assert_int_equal(hwi_key_read_uint(&r, &u, &err), HW_OK);
    assert_int_equal(hwi_key_read_text(&r, text, sizeof text, &bytes, &err), HW_ECORRUPT);
    assert_int_equal(hwi_key_read_end(&r, &err), HW_ECORRUPT);
    assert_string_equal(err.message, "key goes on for 7 bytes after its last element");
}

static void
keys_print_as_people_read_them(void **state)
{
    char out[64], tiny[8];
    hwi_key k;

    (void)state;
    hwi_key_leaf(&k, 3, 0, 2, 17, 1);
    hwi_key_print(hwi_key_view(&k), out, sizeof out);
    assert_string_equal(out, "leaf(3, 0, 2, 17, 1)");
    hwi_key_name(&k, "a\"\n", 3);
    hwi_key_print(hwi_key_view(&k), out, sizeof out);
    assert_string_equal(out, "name(\"a\\x22\\x0a\")");
    assert_int_equal(hwi_key_print(hwi_key_view(&k), tiny, sizeof tiny), 7);
    assert_string_equal(tiny, "name(\"a");
    hwi_key_print(hwi_bytes("\xfe\1", 2), out, sizeof out);
    assert_string_equal(out, "0xfe01");
    hwi_key_print(hwi_bytes("\x15\4\x15\1\x30x", 6), out, sizeof out);
    assert_string_equal(out, "rec(1, 0x3078)");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_order_is_tuple_order),
        cmocka_unit_test(a_range_holds_the_tuples_that_begin_with_its_prefix),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(encoding_matches_foundationdb),
        cmocka_unit_test(unsigned_numbers_above_the_signed_range_keep_their_order),
        cmocka_unit_test(ids_sort_as_hw_id_compare_says_and_read_back),
        cmocka_unit_test(the_longest_id_fits_a_key),
        cmocka_unit_test(a_key_that_outgrows_its_room_becomes_too_long_for_any_store),
        cmocka_unit_test(malformed_keys_are_refused),
        cmocka_unit_test(reading_the_wrong_kind_or_too_much_moves_nothing),
        cmocka_unit_test(keys_print_as_people_read_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
