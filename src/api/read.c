/* read.c - search, batch, why, get, count, scroll: each takes the current view, asks the query
 * layer, and turns slots into a result.
 *
 * Scrolling goes along the id entries, which lie in id order, a chunk at a time: the slots of a
 * chunk are noted first and then tested, since the store must not be asked for payloads from
 * inside a scan. The payload indexes give the slots that may match and those that surely do; only
 * the rest have their payload read, and only those on this page and the gaps between. */
#include "api/api.h"
#include "query/filtering.h"

#define SCROLL_CHUNK 512u
#define STEPS_AT_ONCE 256u /* before a look at the clock */
#define SCROLL_LIMIT_MAX 1000000u

/* ---- Search ---- */

hw_status
hwi_query_full(const hw_query *query, hw_query *out, hw_error *err)
{
    if (!query) return hwi_fail(err, HW_EINVAL, "query is NULL");
    *out = HW_QUERY_INIT;
    memcpy(out, query, HWI_MIN(query->size, sizeof *out));
    out->size = sizeof *out;
    return HW_OK;
}

static hw_status
search_view(hw_db *db, hwi_view *view, const hw_query *query, hw_result **out, hw_error *err)
{
    hwi_answer answer = {0};
    hw_query q;
    *out = NULL;
    HWI_TRY(hwi_query_full(query, &q, err));
    hw_status st = hwi_search(view, &q, &answer, err);
    if (st == HW_OK) {
        st = hwi_result_new(view, NULL, answer.hits, answer.count, q.with, &answer, out, err);
    }
    if (st == HW_OK) hwi_metrics_search(db, &q, &answer);
    hwi_answer_release(&answer);
    return st;
}

hw_status
hw_collection_search(hw_collection *c, const hw_query *query, hw_result **out, hw_error *err)
{
    HWI_FAR(c, hwi_search_far(c, query, out, err));
    hwi_view *view;
    uint32_t attempt = 0;
    hw_status st;
    *out = NULL;
    do {
        st = hwi_reading_begin(c, &view, err);
        if (st == HW_OK) st = search_view(c->db, view, query, out, err);
        hwi_reading_end(c, view);
    } while (hwi_reading_again(c, st, &attempt));
    return st;
}

/* ---- Batch ---- */

typedef struct batch {
    hw_db *db;
    hwi_view *view;
    const hw_query *queries;
    hw_result **out;
    pthread_mutex_t lock; /* guards failed_at, status and error */
    size_t failed_at;
    hw_status status;
    hw_error error;
    atomic_bool stop; /* set once with the failure; a hint to the others */
} batch;

static void
search_one(void *arg, size_t i)
{
    batch *b = arg;
    hw_error error = {0};
    if (atomic_load_explicit(&b->stop, memory_order_relaxed)) return;
    hw_status st = search_view(b->db, b->view, &b->queries[i], &b->out[i], &error);
    if (st == HW_OK) return;
    pthread_mutex_lock(&b->lock);
    if (b->status == HW_OK || i < b->failed_at) {
        b->failed_at = i;
        b->status = st;
        b->error = error;
    }
    pthread_mutex_unlock(&b->lock);
    atomic_store_explicit(&b->stop, true, memory_order_relaxed);
}

static hw_status
run_batch(batch *b, size_t count, uint32_t threads, hw_error *err)
{
    pthread_mutex_init(&b->lock, NULL);
    hwi_parallel_for(threads, count, search_one, b);
    pthread_mutex_destroy(&b->lock);
    if (b->status == HW_OK) return HW_OK;
    for (size_t i = 0; i < count; i++) {
        hw_result_free(b->out[i]);
        b->out[i] = NULL;
    }
    return hwi_fail(err, b->status, "query %zu: %s", b->failed_at, b->error.message);
}

hw_status
hw_collection_search_batch(hw_collection *c, const hw_query *queries, size_t count,
                           uint32_t threads, hw_result **out, hw_error *err)
{
    HWI_FAR(c, hwi_search_batch_far(c, queries, count, out, err));
    for (size_t i = 0; i < count; i++) out[i] = NULL;
    if (count == 0) return HW_OK;
    if (!queries) return hwi_fail(err, HW_EINVAL, "queries is NULL, count is %zu", count);
    size_t stride = queries[0].size;
    if (stride != sizeof(hw_query)) {
        return hwi_fail(err, HW_EINVAL, "queries of %zu bytes, this library's have %zu", stride,
                        sizeof(hw_query));
    }
    uint32_t attempt = 0;
    hw_status st;
    do {
        batch b = {.db = c->db, .queries = queries, .out = out};
        st = hwi_reading_begin(c, &b.view, err);
        if (st == HW_OK) st = run_batch(&b, count, threads, err);
        hwi_reading_end(c, b.view);
    } while (hwi_reading_again(c, st, &attempt));
    return st;
}

/* ---- Why ---- */

hw_status
hw_collection_why(hw_collection *c, const hw_query *query, const hw_id *id, char **json,
                  hw_error *err)
{
    HWI_FAR(c, hwi_why_far(c, query, id, json, err));
    hwi_view *view;
    hwi_buf text = {0};
    hw_query q;
    *json = NULL;
    HWI_TRY(hwi_query_full(query, &q, err));
    if (!id) return hwi_fail(err, HW_EINVAL, "id is NULL");
    HWI_TRY(hwi_reading_begin(c, &view, err));
    hw_status st = hwi_why(view, &q, id, &text, err);
    hwi_reading_end(c, view);
    if (st == HW_OK) return hwi_buf_take_text(&text, json, err);
    hwi_buf_release(&text);
    return st;
}

/* ---- Get ---- */

static hw_status
get_slots(hwi_view *view, const hw_id *ids, size_t count, uint32_t *slots, size_t *found,
          hw_error *err)
{
    *found = 0;
    for (size_t i = 0; i < count; i++) {
        if (i % STEPS_AT_ONCE == 0) HWI_TRY(hwi_stop_check(view->stop, err));
        hw_status st = hwi_id_slot(view->txn, view->conf, &ids[i], &slots[*found], NULL, err);
        if (st == HW_OK) {
            (*found)++;
        } else if (st != HW_ENOTFOUND) {
            return st;
        }
    }
    return HW_OK;
}

hw_status
hwi_view_get(hwi_view *view, const hw_id *ids, size_t count, uint32_t with, hw_result **out,
             hw_error *err)
{
    size_t found, bytes = hwi_size_mul(count, sizeof(uint32_t));
    *out = NULL;
    uint32_t *slots = hwi_alloc(bytes);
    if (!slots) return hwi_nomem(err, bytes);
    hw_status st = get_slots(view, ids, count, slots, &found, err);
    if (st == HW_OK) st = hwi_result_new(view, slots, NULL, found, with, NULL, out, err);
    hwi_free(slots);
    return st;
}

hw_status
hw_collection_get(hw_collection *c, const hw_id *ids, size_t count, uint32_t with, hw_result **out,
                  hw_error *err)
{
    hwi_view *view;
    *out = NULL;
    if (!ids && count) return hwi_fail(err, HW_EINVAL, "ids is NULL, count is %zu", count);
    HWI_FAR(c, hwi_get_far(c, ids, count, with, out, err));
    uint32_t attempt = 0;
    hw_status st;
    do {
        st = hwi_reading_begin(c, &view, err);
        if (st == HW_OK) st = hwi_view_get(view, ids, count, with, out, err);
        hwi_reading_end(c, view);
    } while (hwi_reading_again(c, st, &attempt));
    return st;
}

/* ---- Count ---- */

static hw_status
count_matches(hwi_view *view, const char *filter, size_t bytes, uint64_t *count, hw_error *err)
{
    roaring_bitmap_t *slots = NULL;
    char *warning = NULL;
    if (!filter) {
        *count = view->counts.points;
        return HW_OK;
    }
    HWI_TRY(hwi_match(view, filter, bytes, &slots, &warning, err));
    *count = roaring_bitmap_get_cardinality(slots);
    roaring_bitmap_free(slots);
    hwi_free(warning);
    return HW_OK;
}

hw_status
hw_collection_count(hw_collection *c, const char *filter, size_t filter_bytes, uint64_t *count,
                    hw_error *err)
{
    HWI_FAR(c, hwi_far_count(c->far, filter, filter_bytes, count, err));
    hwi_view *view;
    uint32_t attempt = 0;
    hw_status st;
    *count = 0;
    do {
        st = hwi_reading_begin(c, &view, err);
        if (st == HW_OK) st = count_matches(view, filter, filter_bytes, count, err);
        hwi_reading_end(c, view);
    } while (hwi_reading_again(c, st, &attempt));
    return st;
}

/* ---- Scroll ---- */

typedef struct scroll {
    hwi_view *view;
    hwi_filtering filtering;
    uint32_t *slots; /* found so far; room for limit */
    uint32_t count, limit;
    hwi_sub sub; /* of the entries that `from` is among */
    hwi_key from;
    uint32_t skip; /* places of the entry at `from` that come before the first id asked for */
    uint32_t chunk[SCROLL_CHUNK + HWI_ID_BLOCK - 1];
    uint32_t chunk_count;
    hwi_key last; /* key of the chunk's last entry */
    hw_status st;
    hw_error *err;
} scroll;

static bool
note_entry(void *arg, hw_bytes key, hw_bytes value)
{
    scroll *s = arg;
    hwi_id_entry entry;
    s->st = hwi_id_entry_read(s->view->conf, key, value, &entry, s->err);
    if (s->st != HW_OK) return false;
    bool is_first = key.size == s->from.size && memcmp(key.data, s->from.data, key.size) == 0;
    for (uint32_t i = is_first ? s->skip : 0; i < HWI_ID_BLOCK; i++)
        if (entry.which >> i & 1) s->chunk[s->chunk_count++] = entry.slots[i];
    hwi_key_init(&s->last);
    hwi_key_raw(&s->last, key);
    return s->chunk_count < SCROLL_CHUNK;
}

/* Goes on until `limit` slots are found and one more is known, or the entries end. *beyond is that one. */
static hw_status
find_among(scroll *s, uint32_t *beyond)
{
    hwi_key prefix, end;
    *beyond = HWI_SLOT_NONE;
    hwi_key_sub(&prefix, s->sub, s->view->conf->coll);
    end = hwi_key_range_end(&prefix);
    do {
        s->chunk_count = 0;
        HWI_TRY(hwi_stop_check(s->view->stop, s->err));
        HWI_TRY(hwi_store_scan(s->view->txn, hwi_key_view(&s->from), hwi_key_view(&end), false,
                               note_entry, s, s->err));
        HWI_TRY(s->st);
        for (uint32_t i = 0; i < s->chunk_count; i++) {
            bool yes;
            HWI_TRY(hwi_filtering_matches(&s->filtering, s->chunk[i], &yes, s->err));
            if (!yes) continue;
            if (s->count == s->limit) {
                *beyond = s->chunk[i];
                return HW_OK;
            }
            s->slots[s->count++] = s->chunk[i];
        }
        s->from = s->last;
        s->from.data[s->from.size++] = 0; /* the next key in byte order */
    } while (s->chunk_count >= SCROLL_CHUNK);
    return HW_OK;
}

/* Blocks of integers come before ids with entries of their own. */
static hw_status
find_page(scroll *s, uint32_t *beyond)
{
    HWI_TRY(find_among(s, beyond));
    if (*beyond != HWI_SLOT_NONE || s->sub == HWI_SUB_ID) return HW_OK;
    s->sub = HWI_SUB_ID;
    hwi_key_sub(&s->from, s->sub, s->view->conf->coll);
    return find_among(s, beyond);
}

static hw_status
begin_scroll(scroll *s, const char *filter, size_t filter_bytes, const hw_id *from)
{
    const hwi_conf *conf = s->view->conf;
    bool in_blocks = conf->id_blocks && (!from || from->kind == HW_ID_KIND_U64);
    s->sub = in_blocks ? HWI_SUB_IDS : HWI_SUB_ID;
    if (from) {
        s->skip = hwi_id_key(&s->from, conf, from);
    } else {
        hwi_key_sub(&s->from, s->sub, conf->coll);
    }
    size_t bytes = (size_t)s->limit * sizeof *s->slots;
    s->slots = hwi_alloc(bytes);
    if (!s->slots) return hwi_nomem(s->err, bytes);
    return hwi_filtering_open(&s->filtering, s->view, filter, filter_bytes, NULL, 0, s->err);
}

static hw_status
scroll_result(scroll *s, uint32_t beyond, uint32_t with, hw_result **out, bool *more, hw_id *next)
{
    hw_result *r;
    HWI_TRY(hwi_result_new(s->view, s->slots, NULL, s->count, with, NULL, &r, s->err));
    hw_status st = HW_OK;
    if (beyond != HWI_SLOT_NONE && next) {
        st = hwi_view_id(s->view, beyond, next, s->err);
        if (st == HW_OK) st = hwi_result_keep_id(r, next, s->err);
    }
    if (st != HW_OK) {
        hw_result_free(r);
        return st == HW_ENOTFOUND ? hwi_fail(s->err, HW_ECORRUPT, "an id entry points to free slot")
                                  : st;
    }
    hwi_result_take_warning(r, s->filtering.warning);
    s->filtering.warning = NULL;
    *out = r;
    if (more) *more = beyond != HWI_SLOT_NONE;
    return HW_OK;
}

static hw_status
scroll_view(hwi_view *view, const char *filter, size_t filter_bytes, const hw_id *from,
            uint32_t limit, uint32_t with, hw_result **out, bool *more, hw_id *next, hw_error *err)
{
    uint32_t beyond;
    scroll *s = hwi_alloc_zero(sizeof *s);
    if (!s) return hwi_nomem(err, sizeof *s);
    s->view = view;
    s->err = err;
    s->limit = limit;
    hw_status st = begin_scroll(s, filter, filter_bytes, from);
    if (st == HW_OK) st = find_page(s, &beyond);
    if (st == HW_OK) st = scroll_result(s, beyond, with, out, more, next);
    hwi_filtering_release(&s->filtering);
    hwi_free(s->slots);
    hwi_free(s);
    return st;
}

hw_status
hw_collection_scroll(hw_collection *c, const char *filter, size_t filter_bytes, const hw_id *from,
                     uint32_t limit, uint32_t with, hw_result **out, bool *more, hw_id *next,
                     hw_error *err)
{
    HWI_FAR(c, hwi_scroll_far(c, filter, filter_bytes, from, limit, with, out, more, next, err));
    hwi_view *view;
    uint32_t attempt = 0;
    hw_status st;
    *out = NULL;
    if (more) *more = false;
    if (limit == 0 || limit > SCROLL_LIMIT_MAX) {
        return hwi_fail(err, HW_EINVAL, "limit %u is not in 1 to %u", limit, SCROLL_LIMIT_MAX);
    }
    do {
        st = hwi_reading_begin(c, &view, err);
        if (st == HW_OK)
            st = scroll_view(view, filter, filter_bytes, from, limit, with, out, more, next, err);
        hwi_reading_end(c, view);
    } while (hwi_reading_again(c, st, &attempt));
    return st;
}
