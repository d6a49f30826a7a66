/* slots.c - chunks of slots to and from Roaring's portable format.
 *
 *     no runs   u32 12346, u32 containers      per container: u16 key, u16 count - 1
 *               u32 offset per container       then the containers
 *     runs      u32 12347 | (containers - 1) << 16, bit per container: is it runs?
 *               per container: u16 key, u16 count - 1; u32 offsets only from 4 containers on
 *
 *     array     up to 4,096 slots: u16 each, ascending
 *     bitmap    8,192 bytes
 *     runs      u16 number, then u16 first and u16 length - 1 each
 *
 * All little-endian. Sets are gathered in plain bitmaps: adding a slot is one OR, whatever the
 * order, where inserting into a Roaring array would move the rest of it; at the end each chunk is
 * counted once and written in its smallest form. */
#include "payload/slots.h"

#define COOKIE_PLAIN 12346u
#define COOKIE_RUNS 12347u
#define PLAIN_HEADER 16u
#define RUNS_HEADER 9u
#define ARRAY_MAX 4096u
#define BITMAP_BYTES 8192u
#define OFFSETS_FROM 4u

/* ---- counting */

typedef struct census {
    uint32_t count, runs;
} census;

static inline __attribute__((always_inline)) census
census_of(const uint64_t *words, size_t count)
{
    census c = {0, 0};
    uint64_t before = 0; /* highest bit of the word before */

    for (size_t i = 0; i < count; i++) {
        uint64_t w = words[i], starts = w & ~(w << 1 | before);
        c.count += (uint32_t)__builtin_popcountll(w);
        c.runs += (uint32_t)__builtin_popcountll(starts);
        before = w >> 63;
    }
    return c;
}

#if defined(__x86_64__)
/* The instruction is not in the baseline; without it counting is the dearest part of a lookup. */
__attribute__((target("popcnt"))) static census
census_popcnt(const uint64_t *words, size_t count)
{
    return census_of(words, count);
}

static census
take_census(const uint64_t *words, size_t count)
{
    return __builtin_cpu_supports("popcnt") ? census_popcnt(words, count) : census_of(words, count);
}
#else
static census
take_census(const uint64_t *words, size_t count)
{
    return census_of(words, count);
}
#endif

uint32_t
hwi_bits_count(const uint64_t *words, size_t count)
{
    return take_census(words, count).count;
}

/* ---- reading a stored chunk */

typedef struct header {
    bool runs;
    uint32_t key, count;
    const uint8_t *body;
    size_t body_bytes;
} header;

static hw_status
damaged(hw_error *err, const char *what)
{
    return hwi_fail(err, HW_ECORRUPT, "payload index bitmap: %s", what);
}

static hw_status
read_header(hw_bytes value, uint32_t chunk, header *h, hw_error *err)
{
    const uint8_t *p = value.data;

    if (value.size < RUNS_HEADER) return damaged(err, "too short");
    uint32_t cookie = hwi_get_u32(p);
    h->runs = cookie == COOKIE_RUNS;
    size_t head = h->runs ? RUNS_HEADER : PLAIN_HEADER;
    if (cookie != COOKIE_PLAIN && !h->runs) return damaged(err, "unknown cookie");
    if (value.size < head) return damaged(err, "too short");
    if (h->runs ? p[4] != 1 : hwi_get_u32(p + 4) != 1 || hwi_get_u32(p + 12) != PLAIN_HEADER)
        return damaged(err, "not one container");
    const uint8_t *entry = p + (h->runs ? 5 : 8);
    h->key = hwi_get_u16(entry);
    h->count = hwi_get_u16(entry + 2) + 1u;
    h->body = p + head;
    h->body_bytes = value.size - head;
    if (h->key != chunk) return damaged(err, "of another chunk");
    return HW_OK;
}

static hw_status
read_array(const header *h, uint64_t *words, hw_error *err)
{
    uint32_t before = 0;

    if (h->body_bytes != (size_t)h->count * 2) return damaged(err, "wrong length");
    for (uint32_t i = 0; i < h->count; i++) {
        uint32_t v = hwi_get_u16(h->body + (size_t)i * 2);
        if (i > 0 && v <= before) return damaged(err, "not ascending");
        words[v >> 6] |= (uint64_t)1 << (v & 63);
        before = v;
    }
    return HW_OK;
}

static hw_status
read_bitmap(const header *h, uint64_t *words, hw_error *err)
{
    if (h->body_bytes != BITMAP_BYTES) return damaged(err, "wrong length");
    for (size_t i = 0; i < HWI_CHUNK_WORDS; i++) words[i] |= hwi_get_u64(h->body + i * 8);
    return HW_OK;
}

static void
set_run(uint64_t *words, uint32_t from, uint32_t to) /* inclusive */
{
    size_t first = from >> 6, last = to >> 6;
    uint64_t head = ~(uint64_t)0 << (from & 63), tail = ~(uint64_t)0 >> (63 - (to & 63));

    if (first == last) {
        words[first] |= head & tail;
        return;
    }
    words[first] |= head;
    for (size_t i = first + 1; i < last; i++) words[i] = ~(uint64_t)0;
    words[last] |= tail;
}

static hw_status
read_runs(const header *h, uint64_t *words, hw_error *err)
{
    uint32_t total = 0, next = 0;

    if (h->body_bytes < 2) return damaged(err, "too short");
    uint32_t runs = hwi_get_u16(h->body);
    if (h->body_bytes != 2 + (size_t)runs * 4) return damaged(err, "wrong length");
    for (uint32_t i = 0; i < runs; i++) {
        uint32_t from = hwi_get_u16(h->body + 2 + (size_t)i * 4);
        uint32_t to = from + hwi_get_u16(h->body + 4 + (size_t)i * 4);
        if (from < next || to > 0xffff) return damaged(err, "runs overlap");
        set_run(words, from, to);
        total += to - from + 1;
        next = to + 1;
    }
    return total == h->count ? HW_OK : damaged(err, "wrong count");
}

hw_status
hwi_chunk_read(hw_bytes value, uint32_t chunk, uint64_t *words, hw_error *err)
{
    header h;

    HWI_TRY(read_header(value, chunk, &h, err));
    if (h.runs) return read_runs(&h, words, err);
    return h.count <= ARRAY_MAX ? read_array(&h, words, err) : read_bitmap(&h, words, err);
}

hw_status
hwi_chunk_count(hw_bytes value, uint32_t chunk, uint32_t *count, hw_error *err)
{
    header h;

    HWI_TRY(read_header(value, chunk, &h, err));
    *count = h.count;
    return HW_OK;
}

static uint32_t
count_array(const header *h, const uint64_t *words)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < h->count; i++) {
        uint32_t v = hwi_get_u16(h->body + (size_t)i * 2);
        n += (uint32_t)(words[v >> 6] >> (v & 63)) & 1;
    }
    return n;
}

hw_status
hwi_chunk_count_among(hw_bytes value, uint32_t chunk, const uint64_t *words, uint32_t *count,
                      hw_error *err)
{
    uint64_t both[HWI_CHUNK_WORDS];
    header h;

    HWI_TRY(read_header(value, chunk, &h, err));
    if (!h.runs && h.count <= ARRAY_MAX) { /* most values of a field with many */
        if (h.body_bytes != (size_t)h.count * 2) return damaged(err, "wrong length");
        *count = count_array(&h, words);
        return HW_OK;
    }
    memset(both, 0, sizeof both);
    HWI_TRY(h.runs ? read_runs(&h, both, err) : read_bitmap(&h, both, err));
    for (size_t i = 0; i < HWI_CHUNK_WORDS; i++) both[i] &= words[i];
    *count = hwi_bits_count(both, HWI_CHUNK_WORDS);
    return HW_OK;
}

/* ---- writing containers */

typedef enum form { ARRAY, BITMAP, RUNS } form;

static form
smallest_form(census c, size_t *bytes)
{
    size_t runs = 2 + (size_t)c.runs * 4;
    size_t plain = c.count <= ARRAY_MAX ? (size_t)c.count * 2 : BITMAP_BYTES;

    *bytes = HWI_MIN(runs, plain);
    if (runs < plain) return RUNS;
    return c.count <= ARRAY_MAX ? ARRAY : BITMAP;
}

static void
write_array(const uint64_t *words, uint8_t *out)
{
    for (size_t i = 0; i < HWI_CHUNK_WORDS; i++)
        for (uint64_t w = words[i]; w; w &= w - 1, out += 2)
            hwi_put_u16(out, (uint16_t)(i * 64 + (unsigned)__builtin_ctzll(w)));
}

/* First bit at or after `at` that is `set`, 65536 if there is none. */
static uint32_t
next_bit(const uint64_t *words, uint32_t at, bool set)
{
    while (at < 65536) {
        uint64_t w = (set ? words[at >> 6] : ~words[at >> 6]) >> (at & 63);
        if (w) return at + (uint32_t)__builtin_ctzll(w);
        at = (at | 63) + 1;
    }
    return 65536;
}

static void
write_runs(const uint64_t *words, uint32_t runs, uint8_t *out)
{
    uint32_t at = next_bit(words, 0, true);

    hwi_put_u16(out, (uint16_t)runs);
    for (out += 2; at < 65536; out += 4) {
        uint32_t end = next_bit(words, at, false);
        hwi_put_u16(out, (uint16_t)at);
        hwi_put_u16(out + 2, (uint16_t)(end - at - 1));
        at = next_bit(words, end, true);
    }
}

static void
write_body(const uint64_t *words, form f, census c, uint8_t *out)
{
    if (f == ARRAY)
        write_array(words, out);
    else if (f == RUNS)
        write_runs(words, c.runs, out);
    else
        for (size_t i = 0; i < HWI_CHUNK_WORDS; i++) hwi_put_u64(out + i * 8, words[i]);
}

size_t
hwi_chunk_write(const uint64_t *words, uint32_t chunk, uint8_t *out)
{
    census c = take_census(words, HWI_CHUNK_WORDS);
    size_t bytes;

    if (c.count == 0) return 0;
    form f = smallest_form(c, &bytes);
    uint8_t *entry = out + 8;
    if (f == RUNS) {
        hwi_put_u32(out, COOKIE_RUNS);
        out[4] = 1;
        entry = out + 5;
    } else {
        hwi_put_u32(out, COOKIE_PLAIN);
        hwi_put_u32(out + 4, 1);
        hwi_put_u32(out + 12, PLAIN_HEADER);
    }
    hwi_put_u16(entry, (uint16_t)chunk);
    hwi_put_u16(entry + 2, (uint16_t)(c.count - 1));
    size_t head = f == RUNS ? RUNS_HEADER : PLAIN_HEADER;
    write_body(words, f, c, out + head);
    return head + bytes;
}

/* ---- gathering */

static bool
grow_chunks(hwi_slots *s, size_t need)
{
    size_t count = HWI_MAX(need, s->count * 2);
    uint64_t **chunks = hwi_realloc(s->chunks, count * sizeof *chunks);

    if (!chunks) return false;
    memset(chunks + s->count, 0, (count - s->count) * sizeof *chunks);
    s->chunks = chunks;
    s->count = count;
    return true;
}

uint64_t *
hwi_slots_chunk(hwi_slots *s, uint32_t chunk)
{
    if (s->failed) return NULL;
    if (chunk >= s->count && !grow_chunks(s, (size_t)chunk + 1)) s->failed = true;
    if (!s->failed && !s->chunks[chunk]) {
        s->chunks[chunk] = hwi_alloc_zero(HWI_CHUNK_WORDS * 8);
        s->failed = !s->chunks[chunk];
    }
    return s->failed ? NULL : s->chunks[chunk];
}

static bool
add_one(uint32_t slot, void *arg)
{
    hwi_slots *s = arg;
    hwi_slots_add(s, slot);
    return !s->failed;
}

hw_status
hwi_slots_add_all(hwi_slots *s, const roaring_bitmap_t *bitmap, hw_error *err)
{
    roaring_iterate(bitmap, add_one, s);
    return s->failed ? hwi_nomem(err, HWI_CHUNK_WORDS * 8) : HW_OK;
}

void
hwi_slots_release(hwi_slots *s)
{
    for (size_t i = 0; i < s->count; i++) hwi_free(s->chunks[i]);
    hwi_free(s->chunks);
    *s = (hwi_slots){0};
}

typedef struct container {
    uint32_t chunk;
    form form;
    census census;
    size_t bytes;
} container;

static size_t
list_containers(const hwi_slots *s, container *out, bool *runs, size_t *bytes)
{
    size_t n = 0;

    for (size_t i = 0; i < s->count; i++) {
        if (!s->chunks[i]) continue;
        census c = take_census(s->chunks[i], HWI_CHUNK_WORDS);
        if (c.count == 0) continue;
        out[n] = (container){.chunk = (uint32_t)i, .census = c};
        out[n].form = smallest_form(c, &out[n].bytes);
        *runs = *runs || out[n].form == RUNS;
        *bytes += out[n++].bytes;
    }
    return n;
}

/* Everything in front of the containers; returns its bytes. */
static size_t
write_front(const container *list, size_t n, bool runs, uint8_t *out)
{
    uint8_t *p = out;

    if (runs) {
        hwi_put_u32(p, COOKIE_RUNS | (uint32_t)(n - 1) << 16);
        memset(p + 4, 0, (n + 7) / 8);
        for (size_t i = 0; i < n; i++)
            if (list[i].form == RUNS) p[4 + i / 8] |= (uint8_t)(1u << (i % 8));
        p += 4 + (n + 7) / 8;
    } else {
        hwi_put_u32(p, COOKIE_PLAIN);
        hwi_put_u32(p + 4, (uint32_t)n);
        p += 8;
    }
    for (size_t i = 0; i < n; i++, p += 4) {
        hwi_put_u16(p, (uint16_t)list[i].chunk);
        hwi_put_u16(p + 2, (uint16_t)(list[i].census.count - 1));
    }
    if (runs && n < OFFSETS_FROM) return (size_t)(p - out);
    size_t at = (size_t)(p - out) + n * 4;
    for (size_t i = 0; i < n; i++, p += 4) {
        hwi_put_u32(p, (uint32_t)at);
        at += list[i].bytes;
    }
    return (size_t)(p - out);
}

static roaring_bitmap_t *
build_bitmap(const hwi_slots *s, const container *list, size_t n, bool runs, size_t bytes)
{
    uint8_t *buffer = hwi_alloc(8 + n * 9 + bytes);
    if (!buffer) return NULL;

    size_t at = write_front(list, n, runs, buffer);
    for (size_t i = 0; i < n; i++) {
        write_body(s->chunks[list[i].chunk], list[i].form, list[i].census, buffer + at);
        at += list[i].bytes;
    }
    roaring_bitmap_t *b = roaring_bitmap_portable_deserialize_safe((const char *)buffer, at);
    hwi_free(buffer);
    return b;
}

hw_status
hwi_slots_bitmap(const hwi_slots *s, roaring_bitmap_t **out, hw_error *err)
{
    size_t bytes = 0;
    bool runs = false;

    *out = NULL;
    if (s->failed) return hwi_nomem(err, HWI_CHUNK_WORDS * 8);
    container *list = hwi_alloc(s->count * sizeof *list);
    if (!list) return hwi_nomem(err, s->count * sizeof *list);
    size_t n = list_containers(s, list, &runs, &bytes);
    *out = n == 0 ? roaring_bitmap_create() : build_bitmap(s, list, n, runs, bytes);
    hwi_free(list);
    return *out ? HW_OK : hwi_nomem(err, bytes);
}
