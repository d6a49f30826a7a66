/* Single bytes of a database file are flipped where collection `b` keeps something: check finds
 * each of them and says it is in `b`; collections `a` and `c` open and answer as before.
 *
 * Only what our own values hold is flipped. The pages of LMDB around them are not ours to verify.
 */
#include "support/hwt_db.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"

enum { POINTS = 80, DIM = 8 };

typedef struct file {
    uint8_t *data;
    size_t size;
    char path[HWT_PATH + 128];
} file;

static const float mark = 1234.5f; /* a value that only b's vectors hold */

static void
fill(hw_db *db, const char *name, float scale, const char *word)
{
    hw_id ids[POINTS];
    float rows[POINTS][DIM];
    char text[POINTS][64];
    const char *payloads[POINTS];
    hw_error err;
    hw_collection *c = hwt_collection(
        db, name,
        "{\"dim\":8,\"metric\":\"l2\",\"index\":{\"flat_below\":40,\"leaf_size\":16},"
        "\"payload_indexes\":{\"word\":\"keyword\"}}");
    for (int i = 0; i < POINTS; i++) {
        ids[i] = HW_ID_U64((uint64_t)i);
        for (int j = 0; j < DIM; j++) rows[i][j] = scale + (float)((i * 31 + j * 17) % 101);
        rows[i][0] = scale;
        snprintf(text[i], sizeof *text, "{\"word\":\"%s\",\"i\":%d}", word, i);
        payloads[i] = text[i];
    }
    hwt_ok(hw_collection_upsert(c, ids, &rows[0][0], POINTS, payloads, &err), &err);
    hw_collection_close(c);
}

static void
read_file(file *f)
{
    FILE *in = fopen(f->path, "rb");
    assert_non_null(in);
    fseek(in, 0, SEEK_END);
    f->size = (size_t)ftell(in);
    rewind(in);
    f->data = malloc(f->size);
    assert_int_equal(f->size, fread(f->data, 1, f->size, in));
    fclose(in);
}

/* Old copies of pages stay in a file until they are used again; a compact copy has none. */
static void
compact(hwt_db *d, file *f)
{
    hw_error err;
    snprintf(d->place.name, sizeof d->place.name, "%s/copy", d->place.scratch);
    hwt_ok(hw_db_compact(d->db, d->place.name, NULL, NULL, &err), &err);
    hw_db_close(d->db);
    snprintf(f->path, sizeof f->path, "%s/data.mdb", d->place.name);
    read_file(f);
}

static void
write_byte(const file *f, size_t at, uint8_t value)
{
    FILE *out = fopen(f->path, "r+b");
    assert_non_null(out);
    fseek(out, (long)at, SEEK_SET);
    assert_int_equal(1, fwrite(&value, 1, 1, out));
    fclose(out);
}

typedef struct findings {
    int in_b, elsewhere;
} findings;

static void
note(void *arg, const char *where, const char *what)
{
    findings *f = arg;
    (void)what;
    if (strncmp(where, "b: ", 3) == 0) {
        f->in_b++;
    } else {
        f->elsewhere++;
    }
}

static void
others_still_answer(hw_db *db, bool has_others)
{
    hw_error err;
    hw_collection *c;
    hw_result *r;
    for (const char *name = has_others ? "ac" : ""; *name; name++) {
        char one[2] = {*name, 0};
        hw_query q = HW_QUERY_INIT;
        q.vector = (float[DIM]){0};
        q.dim = DIM;
        q.with = HW_WITH_PAYLOAD;
        hwt_ok(hw_collection_open(db, one, &c, &err), &err);
        hwt_ok(hw_collection_search(c, &q, &r, &err), &err);
        assert_int_equal(10, hw_result_count(r));
        hw_result_free(r);
        hw_collection_close(c);
    }
}

/* Damaged or not, b may fail, and cleanly. */
static void
b_does_not_crash(hw_db *db)
{
    hw_error err;
    hw_collection *c;
    hw_result *r;
    if (hw_collection_open(db, "b", &c, &err) != HW_OK) return;
    hw_query q = HW_QUERY_INIT;
    q.vector = (float[DIM]){0};
    q.dim = DIM;
    q.k = POINTS;
    q.with = HW_WITH_PAYLOAD | HW_WITH_VECTOR;
    if (hw_collection_search(c, &q, &r, &err) == HW_OK) hw_result_free(r);
    hw_collection_close(c);
}

static void
flip(hwt_db *d, const file *f, size_t at, uint8_t bits, const char *what, bool has_others)
{
    findings found = {0};
    hw_error err;
    write_byte(f, at, f->data[at] ^ bits);
    hwt_ok(hw_db_open(d->place.name, &d->opts, &d->db, &err), &err);
    hw_status st = hw_db_check(d->db, NULL, note, &found, &err);
    if (st != HW_ECORRUPT || found.in_b == 0 || found.elsewhere) {
        fail_msg("byte %zu (%s): status %d, %d damages in b, %d elsewhere", at, what, (int)st,
                 found.in_b, found.elsewhere);
    }
    others_still_answer(d->db, has_others);
    b_does_not_crash(d->db);
    hw_db_close(d->db);
    write_byte(f, at, f->data[at]);
}

/* At every place where the bytes occur, up to a few. */
static int
flip_all(hwt_db *d, const file *f, const void *bytes, size_t count, size_t shift, const char *what)
{
    int found = 0;
    for (size_t i = 0; i + count <= f->size && found < 6; i++) {
        if (memcmp(f->data + i, bytes, count) != 0) continue;
        flip(d, f, i + shift, (uint8_t)(1u << (found + 1)), what, true);
        found++;
        i += 200;
    }
    return found;
}

static void
flipped_bytes_are_found_and_hurt_nobody_else(void **state)
{
    (void)state;
    hwt_db d;
    hw_error err;
    file f = {0};
    hwt_db_open(&d, true);
    fill(d.db, "a", 0, "apple");
    fill(d.db, "b", mark, "needle");
    fill(d.db, "c", 1, "cherry");
    compact(&d, &f);

    assert_true(flip_all(&d, &f, "\"needle\"", 8, 2, "payload") > 0);
    assert_true(flip_all(&d, &f, "{\"format\":2,\"coll\":1", 20, 12, "settings") > 0);
    assert_true(flip_all(&d, &f, &mark, sizeof mark, 2, "vector") > 0);
    free(f.data);
    hwt_ok(hw_db_open(d.place.name, &d.opts, &d.db, &err), &err);
    hwt_db_check(d.db);
    hwt_db_close(&d);
}

/* Every kind of page of the one collection of a database, by its magic: a byte in its middle. */
static void
every_kind_of_page_is_covered(void **state)
{
    (void)state;
    static const uint32_t kinds[] = {HWI_PAGE_MAGIC_VEC, HWI_PAGE_MAGIC_RUN, HWI_PAGE_MAGIC_LOC,
                                     HWI_PAGE_MAGIC_LEAF, HWI_PAGE_MAGIC_REF};
    hwt_db d;
    file f = {0};
    hwt_db_open(&d, true);
    fill(d.db, "b", mark, "needle");
    compact(&d, &f);
    for (size_t k = 0; k < HWI_COUNT(kinds); k++) {
        uint8_t magic[6] = {0, 0, 0, 0, 1, 0}; /* and format 1 */
        hwi_put_u32(magic, kinds[k]);
        size_t at = 0;
        while (at + 64 < f.size && memcmp(f.data + at, magic, sizeof magic) != 0) at++;
        assert_true(at + 64 < f.size);
        print_message("  %.4s page at %zu\n", (const char *)magic, at);
        flip(&d, &f, at + HWI_PAGE_HEADER + 9, 0x20, "page", false);
        flip(&d, &f, at + 8, 0x01, "checksum", false);
    }
    free(f.data);
    hwt_scratch_remove(d.place.scratch);
}

/* ---- Through the store: any byte of any value ---- */

typedef struct pick {
    uint64_t skip; /* keys to pass by */
    hwi_key key;
    hwi_buf value;
} pick;

static bool
take_key(void *arg, hw_bytes key, hw_bytes value)
{
    pick *p = arg;
    if (p->skip-- > 0) return true;
    hwi_key_init(&p->key);
    hwi_key_raw(&p->key, key);
    hwi_buf_clear(&p->value);
    hwi_buf_add(&p->value, value.data, value.size);
    return false;
}

static bool
count_key(void *arg, hw_bytes key, hw_bytes value)
{
    (void)key, (void)value;
    ++*(uint64_t *)arg;
    return true;
}

static void
put_value(hw_store *store, const pick *p)
{
    hw_error err;
    hw_store_txn *t = hwt_begin(store, HW_TXN_WRITE);
    hwt_ok(hwi_store_put(t, hwi_key_view(&p->key), hwi_buf_bytes(&p->value), &err), &err);
    hwt_commit(t);
}

/* Whether a bit of a block of ids belongs to a version: all behind the numbers of slots, and how many bytes a
 * version takes (records/ids.c). */
static bool
is_of_a_version(const uint8_t *value, size_t at, uint8_t bit)
{
    size_t ids = (size_t)__builtin_popcount(hwi_get_u16(value + 1));
    return at == 0 ? bit >= 16 : at >= 7 + ids * (value[0] & 15u);
}

/* A version in an id entry may be any up to the collection's, which fits its first byte here. The counters
 * of versions and of changes since a calibration, and the mark of a listed group carry no meaning to
 * verify; the next free collection number may be any; the log only tells a view which nodes to read
 * again. */
static bool
may_hold_anything(const pick *p, size_t at, uint8_t bit)
{
    hwi_key_reader r;
    uint64_t sub, second;
    hwi_key_reader_init(&r, hwi_key_view(&p->key));
    if (hwi_key_read_uint(&r, &sub, NULL) != HW_OK) return false;
    if (sub == HWI_SUB_ID) return at == 4;
    if (sub == HWI_SUB_IDS) return is_of_a_version(p->value.data, at, bit);
    if (sub == HWI_SUB_LOG) return true;
    if (sub == HWI_SUB_META) return hwi_key_read_uint(&r, &second, NULL) == HW_OK;
    if (hwi_key_skip(&r, NULL) != HW_OK) return false;
    if (sub == HWI_SUB_STATE)
        return hwi_key_skip(&r, NULL) == HW_OK && hwi_key_read_uint(&r, &second, NULL) == HW_OK &&
               second == 2;
    return sub == HWI_SUB_COUNT && hwi_key_read_uint(&r, &second, NULL) == HW_OK && second <= 2;
}

static void
flip_in_store(hw_db *db, pick *p, hwi_rng *rng)
{
    hw_error err;
    findings found = {0};
    char where[160];
    size_t at = (size_t)hwi_rng_below(rng, p->value.size);
    uint8_t bit = (uint8_t)(1u << hwi_rng_below(rng, 8));
    if (may_hold_anything(p, at, bit)) return;
    p->value.data[at] ^= bit;
    put_value(db->store, p);
    hw_status st = hw_db_check(db, NULL, note, &found, &err);
    if (st != HW_ECORRUPT && st != HW_EVERSION) {
        hwi_key_print(hwi_key_view(&p->key), where, sizeof where);
        fail_msg("byte %zu of %s, bit %u: check says %s", at, where, bit, hw_status_text(st));
    }
    b_does_not_crash(db);
    p->value.data[at] ^= bit;
    put_value(db->store, p);
}

/* Any bit of any value, index and settings included: check notices, and searching does not crash.
 */
static void
every_stored_byte_is_verified(void **state)
{
    (void)state;
    hw_db *db;
    hw_error err;
    hwi_rng rng;
    uint64_t keys = 0;
    pick p = {0};
    const char *rounds = getenv("HASHWOOD_TEST_ROUNDS");
    hwi_rng_init(&rng, 5);
    hwt_ok(hw_db_open("mem:", NULL, &db, &err), &err);
    fill(db, "b", mark, "needle");
    hw_store_txn *t = hwt_begin(db->store, HW_TXN_READ);
    hwt_ok(hwi_store_scan(t, (hw_bytes){0}, (hw_bytes){0}, false, count_key, &keys, &err), &err);
    hwi_store_abort(t);
    for (int i = 0; i < (rounds ? 400 * atoi(rounds) : 400); i++) {
        p.skip = hwi_rng_below(&rng, keys);
        t = hwt_begin(db->store, HW_TXN_READ);
        hwt_ok(hwi_store_scan(t, (hw_bytes){0}, (hw_bytes){0}, false, take_key, &p, &err), &err);
        hwi_store_abort(t);
        if (p.value.size) flip_in_store(db, &p, &rng);
    }
    hwt_db_check(db);
    hwi_buf_release(&p.value);
    hw_db_close(db);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flipped_bytes_are_found_and_hurt_nobody_else),
        cmocka_unit_test(every_kind_of_page_is_covered),
        cmocka_unit_test(every_stored_byte_is_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
