/* fdb_log.c - the database's version, which keys each commit changed, and what became of a commit.
 *
 * A commit sets STAMP and adds its entry to the LOG by versionstamp, both blindly: commits that
 * changed different keys stay free of conflicts. Whoever wants the newest version reads the log from
 * the version its cache is at; STAMP and FLOOR lie behind it, so this is one range read, of two
 * small values when nothing has changed:
 *
 *     P 1 <5> [..]   P 1 <7> [a c]   P 1 <8> [d..f]   P 2 0 = 5   P 2 1 = 8
 *                    ^ from here on for a cache at 5 or 6
 *
 * Once in a while a commit clears entries older than LOG_KEPT and raises FLOOR. A cache that is
 * older than FLOOR, or too far behind to be worth it, forgets everything instead.
 *
 * An entry is a list of keys in order, each as what it shares with the one before and the rest:
 *
 *     u8 kind   u16 shared   u16 rest   rest        KEY, or the beginning of a RANGE
 *     RANGE:    u16 bytes    bytes                  its end; none: the end of all keys
 *     ALL                                           too many to name
 *
 * and is cut into parts when it is long. Keys put with a stamp are not named: they are new, so no
 * cache has them.
 *
 * What became of a commit whose answer was lost is seen in the session's mark, which every commit
 * sets to its number and has a read conflict on. Setting it to another number thus settles the
 * matter: a commit that is not in by then fails ever after. */
#include <stdio.h>
#include <time.h>

#include "store/fdb.h"

enum { KEY = 1, RANGE = 2, ALL = 3 };

#define ENTRY_HEADER 5u
#define PART_BYTES 80000u
#define PARTS_MAX 8u       /* above, an entry says ALL */
#define CHUNKS_MAX 12u     /* of 80 kB of the log; a cache further behind forgets */
#define LOG_KEPT 60000000u /* versions: a minute */
#define TRIM_EVERY 64u     /* commits of one session */
#define FLOOR_KEY 0u
#define STAMP_KEY 1u
#define VERSIONSTAMP_BYTES 10u

static hwi_key
now_key(const hwi_fdb *s, uint64_t which)
{
    hwi_key k;
    hwi_fdb_key_init(s, &k, HWI_FDB_NOW);
    hwi_key_uint(&k, which);
    return k;
}

static hwi_key
session_key(const hwi_fdb *s)
{
    hwi_key k;
    hwi_fdb_key_init(s, &k, HWI_FDB_SESSIONS);
    hwi_key_raw(&k, hwi_bytes(s->session, sizeof s->session));
    return k;
}

static void
put_version(uint8_t out[8], uint64_t version)
{
    for (int i = 0; i < 8; i++) out[i] = (uint8_t)(version >> (56 - 8 * i));
}

static uint64_t
get_version(const uint8_t *at)
{
    uint64_t version = 0;
    for (int i = 0; i < 8; i++) version = version << 8 | at[i];
    return version;
}

/* The place in the log before every entry of `version`. */
static hwi_key
log_key(const hwi_fdb *s, uint64_t version)
{
    uint8_t bytes[8];
    hwi_key k;
    put_version(bytes, version);
    hwi_fdb_key_init(s, &k, HWI_FDB_LOG);
    hwi_key_raw(&k, hwi_bytes(bytes, sizeof bytes));
    return k;
}

/* ---- entries: reading */

/* The next key of an entry, completed from the one before in `key`. */
static bool
take_key(hw_bytes *in, hwi_key *key)
{
    const uint8_t *at = in->data;
    if (in->size < ENTRY_HEADER) return false;
    size_t shared = hwi_get_u16(at + 1), rest = hwi_get_u16(at + 3);
    if (shared > key->size || rest > in->size - ENTRY_HEADER || shared + rest > HWI_STORE_KEY_MAX)
        return false;
    key->size = shared;
    hwi_key_raw(key, hwi_bytes(at + ENTRY_HEADER, rest));
    *in = hwi_bytes(at + ENTRY_HEADER + rest, in->size - ENTRY_HEADER - rest);
    return true;
}

static bool
take_bytes(hw_bytes *in, hw_bytes *out)
{
    const uint8_t *at = in->data;
    if (in->size < 2 || hwi_get_u16(at) > in->size - 2) return false;
    *out = hwi_bytes(at + 2, hwi_get_u16(at));
    *in = hwi_bytes(at + 2 + out->size, in->size - 2 - out->size);
    return true;
}

/* Tells the cache of one part of an entry; one that cannot be read may have meant anything. */
static void
apply(hwi_fdb_cache *c, hw_bytes part, uint64_t version)
{
    hwi_key key;
    hw_bytes to;

    hwi_key_init(&key);
    while (part.size > 0) {
        uint8_t kind = *(const uint8_t *)part.data;
        bool is_sound = (kind == KEY || kind == RANGE) && take_key(&part, &key);
        if (is_sound && kind == RANGE) is_sound = take_bytes(&part, &to);
        if (!is_sound) {
            hwi_fdb_cache_forget(c, version);
            return;
        }
        if (kind == KEY)
            hwi_fdb_cache_changed(c, hwi_key_view(&key), version);
        else
            hwi_fdb_cache_ranged(c, hwi_key_view(&key), to, version);
    }
}

/* ---- learning */

/* What a range read over log and NOW brought. */
typedef struct news {
    FDBFuture *chunks[CHUNKS_MAX];
    size_t count;
    bool is_whole; /* of the log */
    uint64_t floor, stamp;
} news;

static void
news_release(hwi_fdb *s, news *n)
{
    for (size_t i = 0; i < n->count; i++) s->api->future_destroy(n->chunks[i]);
    n->count = 0;
}

static void
take_now(const hwi_fdb *s, const hwi_fdb_keyvalue *kv, news *n)
{
    hwi_key floor = now_key(s, FLOOR_KEY), stamp = now_key(s, STAMP_KEY);
    hw_bytes key = {kv->key, (size_t)kv->key_bytes};
    if (kv->value_bytes < 8) return;
    if (hwi_fdb_compare(key, hwi_key_view(&floor)) == 0)
        n->floor = hwi_get_u64(kv->value);
    else if (hwi_fdb_compare(key, hwi_key_view(&stamp)) == 0)
        n->stamp = get_version(kv->value);
}

/* Reads from `begin` to the end of NOW. */
static int
fetch(hwi_fdb *s, FDBTransaction *tr, hwi_key begin, news *n)
{
    hwi_key end;
    int more = 1, code = 0;

    hwi_fdb_key_init(s, &end, HWI_FDB_SESSIONS);
    for (bool after = false; more && n->count < CHUNKS_MAX; after = true) {
        const hwi_fdb_keyvalue *kv;
        int count;
        FDBFuture *f = hwi_fdb_range(s, tr, hwi_key_view(&begin), after, hwi_key_view(&end),
                                     HWI_FDB_MODE_LARGE_CHUNK, false);
        n->chunks[n->count++] = f;
        code = hwi_fdb_wait(s, f);
        if (code == 0) code = s->api->future_get_keyvalue_array(f, &kv, &count, &more);
        if (code != 0) return code;
        if (count == 0) break;
        for (int i = HWI_MAX(0, count - 2); i < count; i++) take_now(s, &kv[i], n);
        begin.size = 0;
        hwi_key_raw(&begin, hwi_bytes(kv[count - 1].key, (size_t)kv[count - 1].key_bytes));
    }
    n->is_whole = !more;
    return 0;
}

static void
apply_news(hwi_fdb *s, const news *n, uint64_t since)
{
    hwi_key base;
    const hwi_fdb_keyvalue *kv;
    int count, more;

    hwi_fdb_key_init(s, &base, HWI_FDB_LOG);
    for (size_t c = 0; c < n->count; c++) {
        if (s->api->future_get_keyvalue_array(n->chunks[c], &kv, &count, &more) != 0) continue;
        for (int i = 0; i < count; i++) {
            if ((size_t)kv[i].key_bytes < base.size + 8 ||
                memcmp(kv[i].key, base.data, base.size) != 0)
                continue;
            uint64_t version = get_version(kv[i].key + base.size);
            if (version > since)
                apply(s->cache, hwi_bytes(kv[i].value, (size_t)kv[i].value_bytes), version);
        }
    }
}

/* Moves the cache on; `from` is the version the log was read from. */
static void
follow(hwi_fdb *s, const news *n, uint64_t from)
{
    pthread_mutex_lock(&s->learn);
    uint64_t at = hwi_fdb_cache_version(s->cache);
    if (at < n->stamp) {
        if (!n->is_whole || n->floor > from + 1)
            hwi_fdb_cache_forget(s->cache, n->stamp);
        else
            apply_news(s, n, at);
        hwi_fdb_cache_advance(s->cache, n->stamp);
    }
    pthread_mutex_unlock(&s->learn);
}

int
hwi_fdb_learn(hwi_fdb *s, FDBTransaction *tr, uint64_t *version)
{
    news n = {0};
    hwi_key begin;
    uint64_t from = hwi_fdb_cache_version(s->cache);
    bool is_first = from == 0; /* nothing is cached yet: no log is needed */

    if (is_first)
        hwi_fdb_key_init(s, &begin, HWI_FDB_NOW);
    else
        begin = log_key(s, from + 1);
    int code = fetch(s, tr, begin, &n);
    if (code == 0 && !n.is_whole) {
        news_release(s, &n);
        n = (news){0};
        hwi_fdb_key_init(s, &begin, HWI_FDB_NOW);
        code = fetch(s, tr, begin, &n);
        n.is_whole = false;
    }
    if (code == 0) {
        if (is_first) n.is_whole = false;
        follow(s, &n, from);
        *version = n.stamp;
    }
    news_release(s, &n);
    return code;
}

/* ---- entries: writing */

typedef struct writer {
    hwi_fdb_txn *t;
    hwi_buf part; /* key of the log, then the part begins at `start` */
    hwi_key before;
    uint32_t parts;
} writer;

/* Adds the part as a mutation: the key is the log's, a versionstamp, u16 number, and where the
 * versionstamp goes. */
static void
flush(writer *w)
{
    hwi_fdb *s = hwi_fdb_of(w->t->base.store);
    static const uint8_t room[VERSIONSTAMP_BYTES];
    uint8_t tail[6] = {(uint8_t)(w->parts >> 8), (uint8_t)w->parts};
    hwi_key k;

    hwi_fdb_key_init(s, &k, HWI_FDB_LOG);
    hwi_put_u32(tail + 2, (uint32_t)k.size);
    hwi_key_raw(&k, hwi_bytes(room, sizeof room));
    hwi_key_raw(&k, hwi_bytes(tail, sizeof tail));
    s->api->transaction_atomic_op(w->t->tr, k.data, (int)k.size, w->part.data, (int)w->part.size,
                                  HWI_FDB_MUTATION_STAMPED_KEY);
    hwi_buf_clear(&w->part);
    w->before.size = 0;
    w->parts++;
}

static void
write_key(writer *w, uint8_t kind, hw_bytes key)
{
    uint8_t header[ENTRY_HEADER] = {kind};
    size_t shared = 0, most = HWI_MIN(key.size, w->before.size);
    const uint8_t *data = key.data;

    while (shared < most && data[shared] == w->before.data[shared]) shared++;
    hwi_put_u16(header + 1, (uint16_t)shared);
    hwi_put_u16(header + 3, (uint16_t)(key.size - shared));
    hwi_buf_add(&w->part, header, sizeof header);
    hwi_buf_add(&w->part, data + shared, key.size - shared);
    w->before.size = shared;
    hwi_key_raw(&w->before, hwi_bytes(data + shared, key.size - shared));
}

static void
write_ranges(writer *w)
{
    const hwi_fdb_overlay *o = &w->t->overlay;
    for (size_t i = 0; i < o->range_count; i++) {
        uint8_t bytes[2];
        write_key(w, RANGE, o->ranges[i].from);
        hwi_put_u16(bytes, (uint16_t)o->ranges[i].to.size);
        hwi_buf_add(&w->part, bytes, sizeof bytes);
        hwi_buf_add(&w->part, o->ranges[i].to.data, o->ranges[i].to.size);
        if (w->part.size > PART_BYTES) flush(w);
    }
}

/* An upper bound of the entry's bytes. */
static size_t
entry_bytes(const hwi_fdb_overlay *o)
{
    size_t bytes = 0;
    for (size_t i = 0; i < o->count; i++) bytes += ENTRY_HEADER + o->writes[i]->key.size;
    for (size_t i = 0; i < o->range_count; i++)
        bytes += ENTRY_HEADER + 2 + o->ranges[i].from.size + o->ranges[i].to.size;
    return bytes;
}

static void
write_entry(writer *w)
{
    hwi_fdb_overlay *o = &w->t->overlay;
    const uint8_t all = ALL;

    hwi_fdb_overlay_sort(o);
    if (entry_bytes(o) > PARTS_MAX * PART_BYTES) {
        hwi_buf_add(&w->part, &all, 1);
    } else {
        for (size_t i = 0; i < o->count; i++) {
            write_key(w, KEY, o->writes[i]->key);
            if (w->part.size > PART_BYTES) flush(w);
        }
        write_ranges(w);
    }
    if (w->part.size > 0 && !w->part.failed) flush(w);
}

/* Old entries go; by a maximum, as another session may have gone further already. */
static void
trim(hwi_fdb_txn *t)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    uint8_t floor[8];

    if (++s->commits % TRIM_EVERY != 0 || t->version <= LOG_KEPT) return;
    uint64_t version = t->version - LOG_KEPT;
    hwi_key begin = log_key(s, 0), end = log_key(s, version), key = now_key(s, FLOOR_KEY);
    hwi_put_u64(floor, version);
    s->api->transaction_clear_range(t->tr, begin.data, (int)begin.size, end.data, (int)end.size);
    s->api->transaction_atomic_op(t->tr, key.data, (int)key.size, floor, sizeof floor,
                                  HWI_FDB_MUTATION_MAX);
}

/* u64 number of the commit, u64 seconds since 1970. */
static void
set_mark(hwi_fdb *s, FDBTransaction *tr, const hwi_key *key)
{
    uint8_t value[16];
    hwi_put_u64(value, s->sequence);
    hwi_put_u64(value + 8, (uint64_t)time(NULL));
    s->api->transaction_set(tr, key->data, (int)key->size, value, sizeof value);
}

hw_status
hwi_fdb_log_write(hwi_fdb_txn *t, hw_error *err)
{
    hwi_fdb *s = hwi_fdb_of(t->base.store);
    static const uint8_t
        stamp_value[VERSIONSTAMP_BYTES + 4]; /* room for it, and that it goes at 0 */
    hwi_key stamp = now_key(s, STAMP_KEY), mark = session_key(s);
    writer w = {.t = t};

    w.before.size = 0;
    s->sequence++;
    uint8_t after[HWI_KEY_ROOM];
    memcpy(after, mark.data, mark.size);
    after[mark.size] = 0;
    int code = s->api->transaction_add_conflict_range(t->tr, mark.data, (int)mark.size, after,
                                                      (int)mark.size + 1, HWI_FDB_CONFLICT_READ);
    if (code != 0) return hwi_fdb_fail(s, code, "commit", err);
    set_mark(s, t->tr, &mark);
    trim(t);
    write_entry(&w);
    bool failed = w.part.failed;
    hwi_buf_release(&w.part);
    if (failed) return hwi_nomem(err, PART_BYTES);
    s->api->transaction_atomic_op(t->tr, stamp.data, (int)stamp.size, stamp_value,
                                  sizeof stamp_value, HWI_FDB_MUTATION_STAMPED_VALUE);
    return HW_OK;
}

/* ---- after a commit */

void
hwi_fdb_log_own(hwi_fdb_txn *t, uint64_t version)
{
    hwi_fdb_cache *c = hwi_fdb_of(t->base.store)->cache;
    const hwi_fdb_overlay *o = &t->overlay;

    for (size_t i = 0; i < o->range_count; i++)
        hwi_fdb_cache_ranged(c, o->ranges[i].from, o->ranges[i].to, version);
    for (size_t i = 0; i < o->count; i++) {
        const hwi_fdb_write *w = o->writes[i];
        hwi_fdb_write_kind kind = hwi_fdb_overlay_outcome(o, w);
        hwi_fdb_cache_changed(c, w->key, version);
        if (kind != HWI_FDB_PUT && kind != HWI_FDB_DEL) continue;
        bool is_absent = kind == HWI_FDB_DEL;
        hw_bytes value = is_absent ? (hw_bytes){NULL, 0} : w->value;
        hwi_fdb_entry *e = hwi_fdb_entry_new(w->key, w->hash, is_absent, value, version);
        if (e) hwi_fdb_cache_put(c, e);
        hwi_fdb_entry_unref(e);
    }
}

/* One try. *found: the commit is in. Otherwise the mark has been set to another number. */
static int
settle_once(hwi_fdb *s, FDBTransaction *tr, bool *found)
{
    hwi_key mark = session_key(s);
    const uint8_t *value;
    int present, bytes;

    FDBFuture *f = s->api->transaction_get(tr, mark.data, (int)mark.size, 0);
    int code = hwi_fdb_wait(s, f);
    if (code == 0) code = s->api->future_get_value(f, &present, &value, &bytes);
    *found = code == 0 && present && bytes == 16 && hwi_get_u64(value) == s->sequence;
    s->api->future_destroy(f);
    if (code != 0 || *found) return code;

    s->sequence++;
    set_mark(s, tr, &mark);
    s->sequence--;
    f = s->api->transaction_commit(tr);
    code = hwi_fdb_wait(s, f);
    s->api->future_destroy(f);
    return code;
}

/* Tries until it is known, or FoundationDB gives up on the transaction. */
static int
settle(hwi_fdb *s, bool *found)
{
    FDBTransaction *tr;
    int code;

    if (hwi_fdb_transaction(s, &tr, NULL) != HW_OK) return HWI_FDB_TIMED_OUT;
    do {
        code = settle_once(s, tr, found);
    } while (code != 0 && hwi_fdb_on_error(s, tr, code) == 0);
    s->api->transaction_destroy(tr);
    return code;
}

hw_status
hwi_fdb_log_settle(hwi_fdb *s, hw_error *err)
{
    uint64_t deadline_us = hwi_clock_us() + HWI_FDB_TIMEOUT_S * 1000000u;
    bool found = false;
    int code;

    do {
        code = settle(s, &found);
    } while (code != 0 && hwi_clock_us() < deadline_us);
    s->sequence++; /* the number that the mark may have been set to is used */
    if (code != 0)
        return hwi_fail(
            err, HW_EUNKNOWN,
            "the FoundationDB cluster in %s stopped answering during a commit, and it is "
            "not known whether it happened",
            s->where);
    return found ? HW_OK
                 : hwi_fail(err, HW_ECONFLICT,
                            "the commit was lost on its way; nothing was "
                            "written");
}

void
hwi_fdb_log_leave(hwi_fdb *s)
{
    hwi_key mark = session_key(s);
    FDBTransaction *tr;

    if (s->sequence == 0 || hwi_fdb_transaction(s, &tr, NULL) != HW_OK) return;
    s->api->transaction_clear(tr, mark.data, (int)mark.size);
    FDBFuture *f = s->api->transaction_commit(tr);
    int code = hwi_fdb_wait(s, f);
    (void)code; /* a mark that stays is a few bytes */
    s->api->future_destroy(f);
    s->api->transaction_destroy(tr);
}
