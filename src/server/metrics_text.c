/* metrics_text.c - /metrics, in the text form that Prometheus reads.
 *
 * Names that Qdrant has are its own, so that its dashboards and alerts go on working; what it does
 * not have begins with "hashwood_". A family's lines stand together, below its HELP and TYPE.
 */
#include "metrics_impl.h"

#include <stdio.h>

typedef struct writer {
    hwi_server *server;
    hwi_buf *out;
    const char *prefix;
    const char *family; /* the one that is open */
} writer;

static void
begin_family(writer *w, const char *name, const char *type, const char *help)
{
    w->family = name;
    hwi_buf_printf(w->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", w->prefix, name, help, w->prefix,
                   name, type);
}

static void
add_label(writer *w, const char *name, const char *value, bool is_first)
{
    hwi_buf_printf(w->out, "%s%s=\"", is_first ? "{" : ",", name);
    for (const char *c = value; *c; c++) {
        if (*c == '\\' || *c == '"') hwi_buf_text(w->out, "\\");
        hwi_buf_add(w->out, *c == '\n' ? "\\n" : c, *c == '\n' ? 2 : 1);
    }
    hwi_buf_text(w->out, "\"");
}

static void
add_value(writer *w, double value)
{
    if (value >= 0 && value < 1e15 && value == (double)(uint64_t)value)
        hwi_buf_printf(w->out, " %llu\n", (unsigned long long)value);
    else
        hwi_buf_printf(w->out, " %.9g\n", value);
}

/* A family of one value without labels. */
static void
add_single(writer *w, const char *name, const char *type, const char *help, double value)
{
    begin_family(w, name, type, help);
    hwi_buf_printf(w->out, "%s%s", w->prefix, name);
    add_value(w, value);
}

/* ---- Requests */

static void
add_endpoint(writer *w, const hwi_route *route, bool is_first)
{
    char text[HWI_METRICS_ENDPOINT_MAX + 1];

    hwi_metrics_endpoint(route, text);
    add_label(w, "endpoint", text, is_first);
}

static void
add_request_labels(writer *w, const hwi_metrics_cell *c)
{
    static const char *const methods[] = {"GET",    "POST", "PUT",    "PATCH",
                                          "DELETE", "HEAD", "OPTIONS"};
    char status[16];

    add_label(w, "method", c->route ? methods[c->route->method] : "unknown", true);
    add_endpoint(w, c->route, false);
    snprintf(status, sizeof status, "%d", c->status);
    add_label(w, "status", status, false);
    if (c->name) add_label(w, "collection", c->name, false);
}

typedef double (*cell_value)(const hwi_metrics_cell *c);

static double
cell_count(const hwi_metrics_cell *c)
{
    return (double)c->count;
}

static double
cell_average(const hwi_metrics_cell *c)
{
    return (double)c->sum_us / 1e6 / (double)c->count;
}

static double
cell_least(const hwi_metrics_cell *c)
{
    return (double)c->least_us / 1e6;
}

static double
cell_most(const hwi_metrics_cell *c)
{
    return (double)c->most_us / 1e6;
}

static void
add_cells(writer *w, const hwi_metrics_cell *cells, size_t count, bool timed, cell_value value)
{
    for (size_t i = 0; i < count; i++) {
        if (timed && cells[i].status != 200) continue;
        hwi_buf_printf(w->out, "%s%s", w->prefix, w->family);
        add_request_labels(w, &cells[i]);
        hwi_buf_text(w->out, "}");
        add_value(w, value(&cells[i]));
    }
}

static void
add_histogram(writer *w, const hwi_metrics_cell *c)
{
    uint64_t below = 0;

    for (size_t i = 0; i <= HWI_METRICS_BUCKETS; i++) {
        char bound[32] = "+Inf";
        if (i < HWI_METRICS_BUCKETS) snprintf(bound, sizeof bound, "%g", hwi_metrics_bounds[i]);
        below = i < HWI_METRICS_BUCKETS ? below + c->buckets[i] : c->count;
        hwi_buf_printf(w->out, "%s%s_bucket", w->prefix, w->family);
        add_request_labels(w, c);
        add_label(w, "le", bound, false);
        hwi_buf_printf(w->out, "} %llu\n", (unsigned long long)below);
    }
    hwi_buf_printf(w->out, "%s%s_sum", w->prefix, w->family);
    add_request_labels(w, c);
    hwi_buf_printf(w->out, "} %.9g\n%s%s_count", (double)c->sum_us / 1e6, w->prefix, w->family);
    add_request_labels(w, c);
    hwi_buf_printf(w->out, "} %llu\n", (unsigned long long)c->count);
}

static void
add_requests(writer *w, bool per_collection)
{
    size_t count;
    hwi_metrics_cell *cells = hwi_metrics_cells(w->server->metrics, per_collection, &count);

    if (cells == NULL) return;
    begin_family(w, "rest_responses_total", "counter", "total number of responses");
    add_cells(w, cells, count, false, cell_count);
    begin_family(w, "rest_responses_avg_duration_seconds", "gauge", "average response duration");
    add_cells(w, cells, count, true, cell_average);
    begin_family(w, "rest_responses_min_duration_seconds", "gauge", "minimum response duration");
    add_cells(w, cells, count, true, cell_least);
    begin_family(w, "rest_responses_max_duration_seconds", "gauge", "maximum response duration");
    add_cells(w, cells, count, true, cell_most);
    begin_family(w, "rest_responses_duration_seconds", "histogram", "response duration histogram");
    for (size_t i = 0; i < count; i++)
        if (cells[i].status == 200) add_histogram(w, &cells[i]);
    hwi_free(cells);
}

/* ---- Collections */

typedef struct facts {
    const char *name;
    const hwi_json *described; /* NULL when it could not be read */
} facts;

static const hwi_json *
describe(hwi_server *s, const char *name, hwi_arena *arena)
{
    hwi_opened *o;
    const hwi_json *j = NULL;
    char *text = NULL;

    if (hwi_open_get(&s->open, name, &o, NULL) != HW_OK) return NULL;
    if (hw_collection_describe(o->collection, &text, NULL) != HW_OK ||
        hwi_json_parse(text, strlen(text), arena, &j, NULL) != HW_OK)
        j = NULL;
    hw_free(text);
    hwi_open_put(&s->open, o);
    return j;
}

static double
number_of(const hwi_json *o, const char *key)
{
    const hwi_json *j = hwi_json_member(o, key);
    return hwi_json_is_number(j) ? j->number : 0;
}

static void
add_of_collection(writer *w, const char *label, const facts *f, double value)
{
    hwi_buf_printf(w->out, "%s%s", w->prefix, w->family);
    add_label(w, label, f->name, true);
    hwi_buf_text(w->out, "}");
    add_value(w, value);
}

static void
add_vectors(writer *w, const facts *all, size_t count)
{
    double total = 0;

    begin_family(w, "collection_vectors", "gauge", "amount of vectors grouped by vector name");
    for (size_t i = 0; i < count; i++) {
        const hwi_json *vectors = hwi_json_member(all[i].described, "vectors");
        double points = number_of(all[i].described, "points");
        for (const hwi_json *v = vectors ? vectors->child : NULL; v; v = v->next) {
            hwi_buf_printf(w->out, "%s%s", w->prefix, w->family);
            add_label(w, "collection", all[i].name, true);
            add_label(w, "vector", v->key, false);
            hwi_buf_text(w->out, "}");
            add_value(w, points);
            total += points;
        }
    }
    add_single(w, "collections_vector_total", "gauge", "total number of vectors in all collections",
               total);
}

static void
add_snapshots(writer *w, const facts *all, size_t count)
{
    static const struct {
        const char *name, *type, *help;
    } families[] = {{"snapshot_creation_running", "gauge",
                     "amount of snapshot creations that are currently running"},
                    {"snapshot_recovery_running", "gauge",
                     "amount of snapshot recovery operations currently running"},
                    {"snapshot_created_total", "counter", "total amount of snapshots created"}};

    for (size_t f = 0; f < HWI_COUNT(families); f++) {
        begin_family(w, families[f].name, families[f].type, families[f].help);
        for (size_t i = 0; i < count; i++)
            add_of_collection(
                w, "id", &all[i],
                (double)hwi_metrics_gauge(w->server->metrics, families[f].name, all[i].name));
    }
}

static void
add_collections(writer *w)
{
    hwi_arena arena = {0};
    char **names = NULL;
    size_t count = 0;
    facts *all;

    if (hw_collection_list(w->server->db, &names, &count, NULL) != HW_OK) count = 0;
    all = hwi_arena_alloc(&arena, (count + 1) * sizeof *all);
    if (all == NULL) count = 0;
    for (size_t i = 0; i < count; i++)
        all[i] = (facts){names[i], describe(w->server, names[i], &arena)};
    add_single(w, "collections_total", "gauge", "number of collections", (double)count);
    begin_family(w, "collection_points", "gauge", "approximate amount of points per collection");
    for (size_t i = 0; i < count; i++)
        add_of_collection(w, "id", &all[i], number_of(all[i].described, "points"));
    add_vectors(w, all, count);
    add_snapshots(w, all, count);
    hwi_arena_release(&arena);
    hw_free(names);
}

/* ---- The engine */

#define COUNTER(member, help)                                                                      \
    {                                                                                              \
        "hashwood_" #member "_total", "counter", help, offsetof(hw_metrics, member), 1             \
    }
#define SECONDS(phase, help)                                                                       \
    {                                                                                              \
        "hashwood_search_" #phase "_seconds_total", "counter", help,                               \
            offsetof(hw_metrics, ns_##phase), 1e-9                                                 \
    }

static const struct {
    const char *name, *type, *help;
    size_t at;
    double factor;
} engine_families[] = {
    COUNTER(searches, "searches finished"),
    COUNTER(searches_exact, "searches that were exact scans"),
    COUNTER(searches_filtered, "searches with a filter"),
    COUNTER(leaves_opened, "leaves of trees opened by searches"),
    COUNTER(codes_scanned, "short codes looked at by searches"),
    COUNTER(rows_refined, "longer codes looked at by searches"),
    COUNTER(rows_exact, "full distances computed by searches"),
    SECONDS(rotate, "time spent rotating queries"),
    SECONDS(rank, "time spent ranking leaves"),
    SECONDS(scan, "time spent scanning codes, short and longer ones"),
    SECONDS(exact, "time spent on full distances"),
    SECONDS(filter, "time spent on filters"),
    COUNTER(pages_read, "pages that had to be read from disk"),
    COUNTER(commits, "transactions committed"),
    COUNTER(commits_grouped, "transactions that shared the sync of another"),
    COUNTER(commit_bytes, "bytes written by commits"),
    COUNTER(points_written, "points inserted or replaced"),
    COUNTER(points_deleted, "points deleted"),
    COUNTER(leaf_splits, "leaves split"),
    COUNTER(leaf_merges, "leaves merged"),
    COUNTER(builds, "index builds"),
    COUNTER(calibrations, "calibrations of recall"),
    {"hashwood_map_bytes", "gauge", "address space of the store", offsetof(hw_metrics, map_bytes),
     1},
    {"hashwood_used_bytes", "gauge", "bytes of the store in use", offsetof(hw_metrics, used_bytes),
     1},
    {"hashwood_free_bytes", "gauge", "bytes of the store on free pages",
     offsetof(hw_metrics, free_bytes), 1},
};

static void
add_engine(writer *w)
{
    hw_metrics m = {.size = sizeof m};

    if (hw_db_metrics(w->server->db, &m, NULL) != HW_OK) return;
    for (size_t i = 0; i < HWI_COUNT(engine_families); i++) {
        uint64_t value;
        memcpy(&value, (const char *)&m + engine_families[i].at, sizeof value);
        add_single(w, engine_families[i].name, engine_families[i].type, engine_families[i].help,
                   (double)value * engine_families[i].factor);
    }
}

/* ---- Recall (sampler.c) */

static void
add_recall(writer *w)
{
    const size_t room = 512;
    hwi_recall_today *rows = hwi_alloc(room * sizeof *rows);
    size_t count = rows ? hwi_sampler_today(w->server, rows, room) : 0;

    for (int pass = 0; pass < 2 && count; pass++) {
        begin_family(w, pass ? "hashwood_recall_samples" : "hashwood_recall", "gauge",
                     pass ? "searches of today that were repeated exactly"
                          : "recall measured on a sample of today's searches");
        for (size_t i = 0; i < count; i++) {
            hwi_buf_printf(w->out, "%s%s", w->prefix, w->family);
            add_label(w, "collection", rows[i].collection, true);
            add_label(w, "filter", rows[i].is_filtered ? "some" : "none", false);
            hwi_buf_text(w->out, "}");
            add_value(w, pass ? (double)rows[i].samples : rows[i].recall);
        }
    }
    hwi_free(rows);
}

/* ---- The process */

static void
add_process(writer *w)
{
    hwi_process p;

    hwi_process_read(&p);
    add_single(w, "memory_active_bytes", "gauge", "bytes the allocator has from the system",
               (double)p.active_bytes);
    add_single(w, "memory_allocated_bytes", "gauge", "bytes allocated by the application",
               (double)p.allocated_bytes);
    add_single(w, "memory_metadata_bytes", "gauge", "bytes of page tables",
               (double)p.metadata_bytes);
    add_single(w, "memory_resident_bytes", "gauge",
               "bytes of memory in use, the part of the database that is mapped and warm included",
               (double)p.resident_bytes);
    add_single(w, "memory_retained_bytes", "gauge", "free bytes the allocator keeps",
               (double)p.retained_bytes);
    add_single(w, "process_threads", "gauge", "count of active threads", (double)p.threads);
    add_single(w, "process_open_mmaps", "gauge", "count of open mmaps", (double)p.mappings);
    add_single(w, "system_max_mmaps", "gauge", "system wide limit of open mmaps",
               (double)p.max_mappings);
    add_single(w, "process_open_fds", "gauge", "count of currently open file descriptors",
               (double)p.open_files);
    add_single(w, "process_max_fds", "gauge", "limit of open file descriptors",
               (double)p.max_files);
    add_single(w, "process_minor_page_faults_total", "counter", "faults that needed no disk",
               (double)p.minor_faults);
    add_single(w, "process_major_page_faults_total", "counter", "faults that read the disk",
               (double)p.major_faults);
    add_single(w, "process_cpu_seconds_total", "counter", "processor time used", p.cpu_seconds);
}

static void
add_embeddings(writer *w, const hwi_embedders *embedders)
{
    hwi_embedders_counts n = hwi_embedders_count(embedders);

    add_single(w, "hashwood_embeddings_total", "counter", "files embedded", (double)n.done);
    add_single(w, "hashwood_embeddings_failed_total", "counter",
               "files that did not decode, were too large or took too long", (double)n.failed);
    add_single(w, "hashwood_embeddings_refused_total", "counter",
               "files refused because too many were in work", (double)n.refused);
    add_single(w, "hashwood_embedding_seconds_total", "counter", "time spent on files",
               (double)n.us / 1e6);
    add_single(w, "hashwood_embeddings_active", "gauge", "files in work", n.active);
}

static void
add_server(writer *w)
{
    hwi_server *s = w->server;
    const char *name = strcmp(s->config.service_compat, "qdrant") == 0 ? "qdrant" : "hashwood";

    begin_family(w, "app_info", "gauge", "information about the server");
    hwi_buf_printf(w->out, "%sapp_info", w->prefix);
    add_label(w, "name", name, true);
    add_label(w, "version", hwi_server_version(s), false);
    hwi_buf_text(w->out, "} 1\n");
    add_single(w, "app_status_recovery_mode", "gauge", "always 0", 0);
    add_single(w, "cluster_enabled", "gauge", "is cluster support enabled", 0);
    add_single(w, "hashwood_uptime_seconds", "gauge", "time since the start",
               (double)(hwi_clock_us() - s->start_us) / 1e6);
    if (s->queue && s->long_queue)
        add_single(w, "hashwood_queue_depth", "gauge", "requests that wait for a worker",
                   (double)(hwi_queue_depth(s->queue) + hwi_queue_depth(s->long_queue)));
    if (s->embedders) add_embeddings(w, s->embedders);
    if (s->http) {
        add_single(w, "hashwood_connections", "gauge", "open connections",
                   (double)hwi_http_connections(s->http));
        add_single(w, "hashwood_requests_active", "gauge", "requests under way",
                   (double)hwi_http_active(s->http));
    }
}

void
hwi_metrics_text(hwi_server *s, bool per_collection, hwi_buf *out)
{
    writer w = {.server = s, .out = out, .prefix = s->config.service_metrics_prefix};

    add_server(&w);
    add_collections(&w);
    add_requests(&w, per_collection);
    add_engine(&w);
    add_recall(&w);
    add_process(&w);
}
