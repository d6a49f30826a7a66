/* telemetry.c - /telemetry, in the shape that Qdrant gives it.
 *
 * Nothing is sent anywhere; this only answers who asks. What Qdrant tells of hardware and of other
 * nodes is left out.
 */
#include "metrics_impl.h"

#include <stdio.h>
#include <time.h>

static void
write_time(int64_t at_s, hwi_buf *out)
{
    time_t t = (time_t)at_s;
    struct tm tm;

    gmtime_r(&t, &tm);
    hwi_buf_printf(out, "\"%04d-%02d-%02dT%02d:%02d:%02dZ\"", tm.tm_year + 1900, tm.tm_mon + 1,
                   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void
write_app(hwi_server *s, uint32_t details, hwi_buf *out)
{
    bool is_compat = strcmp(s->config.service_compat, "qdrant") == 0;

    hwi_buf_printf(out, "\"app\":{\"name\":\"%s\",\"version\":\"%s\"",
                   is_compat ? "qdrant" : "hashwood", hwi_server_version(s));
    if (details > 0)
        hwi_buf_printf(out,
                       ",\"system\":{\"is_docker\":false,\"cores\":%u,\"cpu_flags\":\"%s\"}"
                       ",\"jwt_rbac\":%s",
                       hwi_processors(), hw_kernels(),
                       s->config.service_jwt_rbac ? "true" : "false");
    hwi_buf_text(out, ",\"startup\":");
    write_time(s->started_s, out);
    hwi_buf_text(out, "}");
}

static void
write_collections(hwi_server *s, uint32_t details, bool anonymize, hwi_buf *out)
{
    char **names = NULL;
    size_t count = 0;

    if (hw_collection_list(s->db, &names, &count, NULL) != HW_OK) count = 0;
    hwi_buf_printf(out, ",\"collections\":{\"number_of_collections\":%zu", count);
    if (details > 0) {
        hwi_buf_text(out, ",\"collections\":[");
        for (size_t i = 0; i < count; i++) {
            hwi_buf_text(out, i ? ",{\"id\":" : "{\"id\":");
            if (anonymize)
                hwi_buf_printf(out, "\"collection %zu\"", i);
            else
                hwi_json_write_text(out, names[i], strlen(names[i]));
            hwi_buf_text(out, "}");
        }
        hwi_buf_text(out, "]");
    }
    hwi_buf_text(out, "}");
    hw_free(names);
}

static void
write_cell(const hwi_metrics_cell *c, hwi_buf *out)
{
    hwi_buf_printf(out, "\"%d\":{\"count\":%llu", c->status, (unsigned long long)c->count);
    if (c->status == 200)
        hwi_buf_printf(out,
                       ",\"avg_duration_micros\":%.1f,\"min_duration_micros\":%llu,"
                       "\"max_duration_micros\":%llu,\"total_duration_micros\":%llu",
                       (double)c->sum_us / (double)c->count, (unsigned long long)c->least_us,
                       (unsigned long long)c->most_us, (unsigned long long)c->sum_us);
    hwi_buf_text(out, ",\"last_responded\":");
    write_time(c->last_s, out);
    hwi_buf_text(out, "}");
}

/* {"GET /collections": {"200": {...}, "404": {...}}, ...} of cells that are sorted so. */
static void
write_cells(const hwi_metrics_cell *cells, size_t count, hwi_buf *out)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

    hwi_buf_text(out, "{");
    for (size_t i = 0; i < count; i++) {
        bool same = i > 0 && cells[i].route == cells[i - 1].route;
        const hwi_route *route = cells[i].route;
        char endpoint[HWI_METRICS_ENDPOINT_MAX + 1];
        hwi_metrics_endpoint(route, endpoint);
        if (same)
            hwi_buf_text(out, ",");
        else
            hwi_buf_printf(out, "%s\"%s %s\":{", i ? "}," : "",
                           route ? methods[route->method] : "GET", endpoint);
        write_cell(&cells[i], out);
    }
    hwi_buf_text(out, count ? "}}" : "}");
}

static void
write_requests(hwi_server *s, bool per_collection, bool anonymize, hwi_buf *out)
{
    size_t count;
    hwi_metrics_cell *cells = hwi_metrics_cells(s->metrics, false, &count);

    hwi_buf_text(out, ",\"requests\":{\"rest\":{\"responses\":");
    write_cells(cells, cells ? count : 0, out);
    hwi_free(cells);
    if (per_collection) {
        cells = hwi_metrics_cells(s->metrics, true, &count);
        hwi_buf_text(out, ",\"per_collection_responses\":{");
        for (size_t i = 0, n; cells && i < count; i += n) {
            for (n = 1; i + n < count && cells[i + n].collection == cells[i].collection;) n++;
            if (i) hwi_buf_text(out, ",");
            if (anonymize)
                hwi_buf_printf(out, "\"collection %u\"", cells[i].collection);
            else
                hwi_json_write_text(out, cells[i].name, strlen(cells[i].name));
            hwi_buf_text(out, ":");
            write_cells(cells + i, n, out);
        }
        hwi_buf_text(out, "}");
        hwi_free(cells);
    }
    hwi_buf_text(out, "},\"grpc\":{\"responses\":{}}}");
}

void
hwi_telemetry_write(hwi_server *s, uint32_t details, bool anonymize, bool per_collection,
                    hwi_buf *out)
{
    hwi_process p;

    hwi_process_read(&p);
    hwi_buf_printf(out, "{\"id\":\"%016llx\",", (unsigned long long)s->id_seed);
    write_app(s, details, out);
    write_collections(s, details, anonymize, out);
    hwi_buf_text(out, ",\"cluster\":{\"enabled\":false}");
    write_requests(s, per_collection, anonymize, out);
    if (details > 0) {
        hwi_buf_printf(out,
                       ",\"memory\":{\"active_bytes\":%llu,\"allocated_bytes\":%llu,"
                       "\"metadata_bytes\":%llu,\"resident_bytes\":%llu,\"retained_bytes\":%llu}",
                       (unsigned long long)p.active_bytes, (unsigned long long)p.allocated_bytes,
                       (unsigned long long)p.metadata_bytes, (unsigned long long)p.resident_bytes,
                       (unsigned long long)p.retained_bytes);
    }
    hwi_buf_text(out, "}");
}
