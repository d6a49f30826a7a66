/* sampler.c - recall, measured while the server runs.
 *
 * A share of the searches that were answered from the index is asked once more, exactly, and the two
 * answers are compared: recall@k is the share of the exact answer that the first one had. A hit that
 * scores as well as the last exact one counts as right too, so ties cost nothing.
 *
 * The request pays for a copy of its query, nothing else. One thread of the lowest priority repeats
 * searches and rests nine times as long as each took, so it uses a tenth of one processor at most;
 * what does not fit its short queue is dropped. Points written between the two searches make recall
 * look a little lower than it was.
 *
 * The same thread repeats slow searches, to explain them in the log.
 *
 * Kept by collection, day (UTC) and whether there was a filter, in memory: a restart begins anew.
 */
#include "server_impl.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PENDING_MAX 64u
#define ROWS_MAX 4096u
#define DAYS_KEPT 90
#define REST_FACTOR 9u
#define REST_US_MAX 5000000u
#define REPEAT_MS_MAX 30000u

typedef struct sample {
    struct sample *next;
    hwi_arena arena; /* of all it points to */
    const char *collection;
    hw_query query;
    hw_id id;
    bool to_explain; /* a slow one: what it found is not kept */
    char request_id[40];
    size_t count; /* found */
    hw_id *ids;
    float *scores;
} sample;

/* What was measured of one collection on one day. */
typedef struct row {
    char collection[HW_NAME_MAX + 1];
    int64_t day; /* since 1970 */
    bool is_filtered;
    uint64_t samples, k_sum, below; /* below: samples that had less than was asked */
    double recall_sum, asked_sum, worst;
} row;

struct hwi_sampler {
    hwi_server *server;
    uint64_t threshold; /* a random 32-bit number below it is sampled */
    atomic_uint_fast64_t random;
    pthread_t thread;
    bool has_thread;
    hw_cancel *cancel;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    bool is_ending;
    sample *first, *last;
    size_t pending;
    uint64_t dropped;
    row *rows;
    size_t row_count;
};

static void
free_sample(sample *s)
{
    if (s == NULL) return;
    hwi_arena_release(&s->arena);
    hwi_free(s);
}

/* ---- Offering */

/* One in so many, without a lock: a Weyl sequence through a mixer. */
static bool
is_chosen(hwi_sampler *m)
{
    uint64_t x = atomic_fetch_add(&m->random, UINT64_C(0x9e3779b97f4a7c15));

    x = (x ^ x >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
    return (x >> 32) < m->threshold;
}

/* Whether copy_query keeps all of it. */
static bool
is_plain(const hw_query *q)
{
    return q->rule == HW_RULE_NEAREST && q->among_count == 0 && q->indices == NULL &&
           q->rows <= 1 && (q->vector || q->id);
}

static bool
is_comparable(const hw_query *q)
{
    return is_plain(q) && q->offset == 0 && !q->exact && q->recall < 1 && q->time_budget_ms == 0;
}

static void *
copy(sample *s, const void *from, size_t bytes)
{
    void *to = hwi_arena_alloc(&s->arena, bytes + 1);

    if (to == NULL) return NULL;
    memcpy(to, from, bytes);
    ((char *)to)[bytes] = '\0';
    return to;
}

static bool
copy_id(sample *s, const hw_id *from, hw_id *to)
{
    *to = *from;
    if (from->kind == HW_ID_KIND_TEXT) to->as.text = copy(s, from->as.text, from->text_bytes);
    return from->kind != HW_ID_KIND_TEXT || to->as.text;
}

static bool
copy_query(sample *s, const hw_query *q)
{
    s->query = (hw_query){.size = sizeof s->query,
                          .k = q->k,
                          .offset = q->offset,
                          .exact = q->exact,
                          .recall = q->recall,
                          .dim = q->dim};
    s->query.has_score_threshold = q->has_score_threshold;
    s->query.score_threshold = q->score_threshold;
    if (q->vector_name && !(s->query.vector_name = copy(s, q->vector_name, strlen(q->vector_name))))
        return false;
    if (q->vector && !(s->query.vector = copy(s, q->vector, q->dim * sizeof *q->vector)))
        return false;
    if (q->filter && !(s->query.filter = copy(s, q->filter, q->filter_bytes))) return false;
    s->query.filter_bytes = q->filter_bytes;
    if (q->vector || q->id == NULL) return true;
    s->query.id = &s->id;
    return copy_id(s, q->id, &s->id);
}

static bool
copy_found(sample *s, const hw_result *found)
{
    s->count = hw_result_count(found);
    s->ids = hwi_arena_alloc(&s->arena, (s->count + 1) * sizeof *s->ids);
    s->scores = copy(s, hw_result_scores(found), s->count * sizeof *s->scores);
    if (s->ids == NULL || s->scores == NULL) return false;
    for (size_t i = 0; i < s->count; i++)
        if (!copy_id(s, &hw_result_ids(found)[i], &s->ids[i])) return false;
    return true;
}

/* Takes the sample over. */
static void
enqueue(hwi_sampler *m, sample *s)
{
    bool fits;

    pthread_mutex_lock(&m->lock);
    fits = m->pending < PENDING_MAX;
    if (fits) {
        *(m->last ? &m->last->next : &m->first) = s;
        m->last = s;
        m->pending++;
    } else {
        m->dropped += !s->to_explain;
    }
    pthread_mutex_unlock(&m->lock);
    pthread_cond_signal(&m->changed);
    if (!fits) free_sample(s);
}

static sample *
new_sample(const char *collection, const hw_query *query)
{
    sample *s = hwi_alloc_zero(sizeof *s);

    if (s == NULL) return NULL;
    s->collection = copy(s, collection, strlen(collection));
    if (s->collection && copy_query(s, query)) return s;
    free_sample(s);
    return NULL;
}

/* Whether the request takes long already and nothing explains why. */
static bool
is_slow(const hwi_exchange *x, const hw_result *found)
{
    uint64_t slow_us = hwi_server_slow_ms(x->request.server) * UINT64_C(1000);

    return slow_us && !x->is_explained && hwi_clock_us() - x->handle_us >= slow_us &&
           hw_result_explain(found) == NULL;
}

static void
explain_later(hwi_exchange *x, const char *collection, const hw_query *query)
{
    sample *s = new_sample(collection, query);

    if (s == NULL) return;
    x->is_explained = true;
    s->to_explain = true;
    memcpy(s->request_id, x->request.request_id, sizeof s->request_id);
    enqueue(x->request.server->sampler, s);
}

void
hwi_sampler_offer(hwi_request *r, const char *collection, const hw_query *query,
                  const hw_result *found)
{
    hwi_sampler *m = r->server->sampler;
    sample *s;

    if (!m->has_thread || !is_plain(query)) return;
    if (is_slow((hwi_exchange *)r, found)) explain_later((hwi_exchange *)r, collection, query);
    if (m->threshold == 0 || !is_comparable(query) || !is_chosen(m)) return;
    s = new_sample(collection, query);
    if (s && copy_found(s, found))
        enqueue(m, s);
    else
        free_sample(s);
}

/* ---- Measuring */

static double
recall_of(const sample *s, const hw_result *exact)
{
    size_t count = hw_result_count(exact), right = 0;
    const hw_id *ids = hw_result_ids(exact);
    const float *scores = hw_result_scores(exact);
    bool more_is_better = count < 2 || scores[0] >= scores[count - 1];

    if (count == 0) return 1;
    for (size_t i = 0; i < s->count; i++) {
        float last = scores[count - 1];
        bool is_right = more_is_better ? s->scores[i] >= last : s->scores[i] <= last;
        for (size_t j = 0; j < count && !is_right; j++)
            is_right = hw_id_compare(&s->ids[i], &ids[j]) == 0;
        right += is_right;
    }
    return (double)HWI_MIN(right, count) / (double)count;
}

/* The row to add to; the oldest day makes room. The lock is held. */
static row *
row_of(hwi_sampler *m, const char *collection, int64_t day, bool is_filtered)
{
    row *oldest = NULL;

    for (size_t i = 0; i < m->row_count; i++) {
        row *r = &m->rows[i];
        if (r->day == day && r->is_filtered == is_filtered &&
            strcmp(r->collection, collection) == 0)
            return r;
        if (oldest == NULL || r->day < oldest->day) oldest = r;
    }
    if (m->row_count < ROWS_MAX && !(oldest && oldest->day < day - DAYS_KEPT))
        oldest = &m->rows[m->row_count++];
    *oldest = (row){.day = day, .is_filtered = is_filtered, .worst = 1};
    snprintf(oldest->collection, sizeof oldest->collection, "%s", collection);
    return oldest;
}

static void
note(hwi_sampler *m, const sample *s, double recall)
{
    pthread_mutex_lock(&m->lock);
    row *r = row_of(m, s->collection, (int64_t)time(NULL) / 86400, s->query.filter != NULL);
    r->samples++;
    r->k_sum += s->query.k;
    r->recall_sum += recall;
    r->asked_sum += s->query.recall;
    r->worst = HWI_MIN(r->worst, recall);
    r->below += recall < s->query.recall;
    pthread_mutex_unlock(&m->lock);
}

static void
log_explained(hwi_sampler *m, const sample *s, const hw_result *again)
{
    const char *explain = hw_result_explain(again);

    if (explain == NULL) return;
    hwi_log_line(&m->server->log, HWI_WARN, "slow search explained",
                 (const hwi_log_field[]){{"collection", s->collection, NULL},
                                         {"id", s->request_id, NULL},
                                         {"explain", NULL, explain},
                                         {0}});
}

static void
measure(hwi_sampler *m, sample *s)
{
    hwi_opened *o;
    hw_result *again = NULL;

    if (hwi_open_get(&m->server->open, s->collection, &o, NULL) != HW_OK) return;
    s->query.exact |= !s->to_explain;
    s->query.explain = s->to_explain;
    s->query.cancel = m->cancel;
    s->query.deadline_ms = hwi_clock_us() / 1000 + REPEAT_MS_MAX;
    if (hw_collection_search(o->collection, &s->query, &again, NULL) == HW_OK) {
        if (s->to_explain)
            log_explained(m, s, again);
        else
            note(m, s, recall_of(s, again));
    }
    hw_result_free(again);
    hwi_open_put(&m->server->open, o);
}

/* Waits, with the lock held, until the sampler ends or `us` are over. */
static void
rest(hwi_sampler *m, uint64_t us)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(us / 1000000);
    until.tv_nsec += (long)(us % 1000000) * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (!m->is_ending && pthread_cond_timedwait(&m->changed, &m->lock, &until) != ETIMEDOUT)
        continue;
}

static void *
keep_measuring(void *arg)
{
    hwi_sampler *m = arg;

    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19); /* of this thread alone */
    pthread_mutex_lock(&m->lock);
    for (;;) {
        sample *s = m->first;
        uint64_t begin_us = hwi_clock_us();

        if (m->is_ending) break;
        if (s == NULL) {
            pthread_cond_wait(&m->changed, &m->lock);
            continue;
        }
        m->first = s->next;
        if (m->first == NULL) m->last = NULL;
        m->pending--;
        pthread_mutex_unlock(&m->lock);
        measure(m, s);
        free_sample(s);
        pthread_mutex_lock(&m->lock);
        rest(m, HWI_MIN((hwi_clock_us() - begin_us) * REST_FACTOR, REST_US_MAX));
    }
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

/* ---- Life */

hw_status
hwi_sampler_new(hwi_server *s, hwi_sampler **out, hw_error *err)
{
    hwi_sampler *m = hwi_alloc_zero(sizeof *m);
    hw_status st;

    *out = NULL;
    if (m == NULL) return hwi_nomem(err, sizeof *m);
    m->server = s;
    m->random = s->id_seed;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->changed, NULL);
    m->rows = hwi_alloc(ROWS_MAX * sizeof *m->rows);
    st = m->rows ? hw_cancel_new(&m->cancel, err) : hwi_nomem(err, ROWS_MAX * sizeof *m->rows);
    if (st == HW_OK &&
        (s->config.service_recall_sample > 0 || s->config.service_slow_query_secs > 0)) {
        int rc = pthread_create(&m->thread, NULL, keep_measuring, m);
        m->has_thread = rc == 0;
        if (rc != 0) st = hwi_fail_errno(err, rc, "cannot start the sampler");
        m->threshold = (uint64_t)(s->config.service_recall_sample * 4294967296.0);
    }
    if (st == HW_OK)
        *out = m;
    else
        hwi_sampler_free(m);
    return st;
}

void
hwi_sampler_free(hwi_sampler *m)
{
    if (m == NULL) return;
    pthread_mutex_lock(&m->lock);
    m->is_ending = true;
    pthread_cond_signal(&m->changed);
    pthread_mutex_unlock(&m->lock);
    if (m->cancel) hw_cancel_signal(m->cancel);
    if (m->has_thread) pthread_join(m->thread, NULL);
    while (m->first) {
        sample *next = m->first->next;
        free_sample(m->first);
        m->first = next;
    }
    hw_cancel_free(m->cancel);
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
    hwi_free(m->rows);
    hwi_free(m);
}

/* ---- Reporting */

static void
write_row(const row *r, hwi_buf *out)
{
    time_t at = (time_t)r->day * 86400;
    double n = (double)r->samples;
    struct tm tm;

    gmtime_r(&at, &tm);
    hwi_buf_printf(out, "{\"day\":\"%04d-%02d-%02d\",\"filter\":\"%s\",\"samples\":%llu",
                   tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, r->is_filtered ? "some" : "none",
                   (unsigned long long)r->samples);
    hwi_buf_text(out, ",\"recall\":");
    hwi_json_write_f64(out, r->recall_sum / n);
    hwi_buf_text(out, ",\"asked\":");
    hwi_json_write_f64(out, r->asked_sum / n);
    hwi_buf_text(out, ",\"worst\":");
    hwi_json_write_f64(out, r->worst);
    hwi_buf_text(out, ",\"mean_k\":");
    hwi_json_write_f64(out, (double)r->k_sum / n);
    hwi_buf_printf(out, ",\"below_asked\":%llu}", (unsigned long long)r->below);
}

void
hwi_sampler_report(hwi_server *s, const char *collection, hwi_buf *out)
{
    hwi_sampler *m = s->sampler;
    bool is_first = true;

    hwi_buf_text(out, "{\"share\":");
    hwi_json_write_f64(out, s->config.service_recall_sample);
    pthread_mutex_lock(&m->lock);
    hwi_buf_printf(out, ",\"pending\":%zu,\"dropped\":%llu,\"days\":[", m->pending,
                   (unsigned long long)m->dropped);
    for (size_t i = 0; i < m->row_count; i++) {
        if (strcmp(m->rows[i].collection, collection) != 0) continue;
        if (!is_first) hwi_buf_text(out, ",");
        is_first = false;
        write_row(&m->rows[i], out);
    }
    pthread_mutex_unlock(&m->lock);
    hwi_buf_text(out, "]}");
}

size_t
hwi_sampler_today(hwi_server *s, hwi_recall_today *out, size_t room)
{
    hwi_sampler *m = s->sampler;
    int64_t today = (int64_t)time(NULL) / 86400;
    size_t n = 0;

    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->row_count && n < room; i++) {
        const row *r = &m->rows[i];
        if (r->day != today) continue;
        out[n] = (hwi_recall_today){.is_filtered = r->is_filtered,
                                    .samples = r->samples,
                                    .recall = r->recall_sum / (double)r->samples};
        memcpy(out[n++].collection, r->collection, sizeof r->collection);
    }
    pthread_mutex_unlock(&m->lock);
    return n;
}
