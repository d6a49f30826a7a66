/* metrics.c - what a handle has done: counters that every call adds to at its end.
 *
 * Relaxed atomics, because they order nothing and are only ever added up; a search adds its counts
 * once, after its result is made, which costs some hundred nanoseconds of its tens of microseconds.
 * Each thread adds to its own stripe (base.h), else processors would hand the counters' cache lines
 * around at every search. Whoever reads sums the stripes up: while others go on it sees each counter
 * right, and two of them perhaps a search apart. */
#include "api/api.h"

#include <sys/resource.h>

static void
add(atomic_uint_least64_t *counter, uint64_t n)
{
    if (n) atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static hwi_metrics *
own_stripe(hw_db *db)
{
    return &db->metrics[hwi_stripe()];
}

static uint64_t
read(atomic_uint_least64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void
hwi_metrics_search(hw_db *db, const hw_query *q, const hwi_answer *a)
{
    hwi_metrics *m = own_stripe(db);
    const hwi_trace *t = &a->trace;
    add(&m->searches, 1);
    add(&m->searches_exact, q->exact || q->recall >= 1);
    add(&m->searches_filtered, q->filter != NULL);
    add(&m->leaves_opened, t->leaves);
    add(&m->codes_scanned, t->scanned);
    add(&m->rows_refined, t->refined);
    add(&m->rows_exact, t->exact);
    add(&m->ns_rotate, t->ns_rotate);
    add(&m->ns_rank, t->ns_rank);
    add(&m->ns_scan, t->ns_scan);
    add(&m->ns_exact, t->ns_exact);
    add(&m->ns_filter, a->ns_filter);
}

void
hwi_metrics_commit(hw_db *db, const hwi_writer_done *done)
{
    hwi_metrics *m = own_stripe(db);
    if (!done->is_changed) return;
    add(&m->commits, 1);
    add(&m->commit_bytes, done->bytes);
    add(&m->points_written, done->written);
    add(&m->points_deleted, done->deleted);
}

static void
read_events(hwi_index_events *e, hw_metrics *out)
{
    out->leaf_splits = read(&e->splits);
    out->leaf_merges = read(&e->merges);
    out->builds = read(&e->builds);
    out->calibrations = read(&e->calibrations);
}

static void
add_stripe(hwi_metrics *m, hw_metrics *out)
{
    out->searches += read(&m->searches);
    out->searches_exact += read(&m->searches_exact);
    out->searches_filtered += read(&m->searches_filtered);
    out->leaves_opened += read(&m->leaves_opened);
    out->codes_scanned += read(&m->codes_scanned);
    out->rows_refined += read(&m->rows_refined);
    out->rows_exact += read(&m->rows_exact);
    out->ns_rotate += read(&m->ns_rotate);
    out->ns_rank += read(&m->ns_rank);
    out->ns_scan += read(&m->ns_scan);
    out->ns_exact += read(&m->ns_exact);
    out->ns_filter += read(&m->ns_filter);
    out->commits += read(&m->commits);
    out->commit_bytes += read(&m->commit_bytes);
    out->points_written += read(&m->points_written);
    out->points_deleted += read(&m->points_deleted);
}

/* A page that is not in memory is read by touching it, so the process's major faults count them. */
static uint64_t
pages_waited_for(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_majflt : 0;
}

hw_status
hw_db_metrics(hw_db *db, hw_metrics *out, hw_error *err)
{
    HWI_NOT_FAR(db, "hw_db_metrics");
    hw_store_info info;
    hw_metrics full = {.size = out->size};
    if (out->size < sizeof full.size || out->size > 4096) {
        return hwi_fail(err, HW_EINVAL, "metrics of %zu bytes: set size to sizeof(hw_metrics)",
                        out->size);
    }
    HWI_TRY(hwi_store_info(db->store, &info, err));
    for (uint32_t i = 0; i < hwi_stripe_count(); i++) add_stripe(&db->metrics[i], &full);
    read_events(hwi_snapshots_events(db->snapshots), &full);
    full.pages_read = pages_waited_for();
    full.commits_grouped = info.grouped;
    full.map_bytes = info.map_bytes;
    full.free_bytes = info.free_bytes;
    full.used_bytes = info.disk_bytes - HWI_MIN(info.free_bytes, info.disk_bytes);
    memset(out, 0, full.size);
    memcpy(out, &full, HWI_MIN(full.size, sizeof full));
    return HW_OK;
}
