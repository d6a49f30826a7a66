/* snapshots.c - snapshots of a collection and of everything.
 *
 * A snapshot is one file, written from one consistent picture while writes go on; it appears under
 * its name only once whole, with its SHA-256 beside it. Recovering reads and verifies the whole file
 * before it replaces anything.
 *
 * There is one shard, 0: its snapshots are the collection's. With ?wait=false the answer is 202
 * without a result, but it too is given when the work is done.
 */
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "server/rest/args.h"
#include "server/rest/calls.h"
#include "server/rest/snapshot_files.h"
#include "server/server.h"

/* ---- What all have in common */

/* The collection, its real name and its folder; false after refusing. */
typedef struct place {
    hw_collection *collection;
    const char *name, *folder;
} place;

static bool
is_shard(hwi_request *r)
{
    const char *pattern = strstr(r->path, "/shards/");
    const char *shard = pattern ? hwi_request_param(r, "shard") : "0";
    return strcmp(shard, "0") == 0 || hwi_refuse(r, 404, "Not found: Shard %.50s not found", shard);
}

static bool
find_place(hwi_request *r, place *out)
{
    hwi_shape shape;
    *out = (place){.collection = hwi_request_collection(r)};
    if (!out->collection || !is_shard(r) || !hwi_shape_of(r, out->collection, &shape)) return false;
    const hwi_json *name = hwi_json_member(shape.described, "name");
    out->name = name ? name->text : hwi_request_param(r, "collection");
    out->folder = hwi_snapshot_folder(r, out->name);
    return out->folder != NULL;
}

/* Stops long work whose time is over. */
static bool
is_in_time(void *arg, const char *stage, uint64_t done, uint64_t total)
{
    const hwi_request *r = arg;
    (void)stage, (void)done, (void)total;
    return hwi_clock_us() / 1000 < r->deadline_ms;
}

static bool
check_work(hwi_request *r, hw_status st, const hw_error *err)
{
    if (st == HW_ECANCELED) return hwi_refuse(r, 408, "Timeout: the snapshot took too long");
    return hwi_ok(r, st, err);
}

/* With ?wait=false the result is not told. */
static bool
finish(hwi_request *r, bool wait)
{
    if (wait || r->refusal[0]) return true;
    hwi_buf_clear(&r->out);
    r->status = 202;
    r->extra_status = "accepted";
    return true;
}

static bool
send(hwi_request *r, const char *path)
{
    char sum[HWI_SHA256_TEXT + 1];
    if (hwi_snapshot_kept_sum(path, sum)) hwi_request_answer_header(r, "X-Checksum-Sha256", sum);
    r->kind = HWI_BODY_PLAIN;
    r->content_type = "application/octet-stream";
    r->send_file = path;
    return true;
}

/* ---- Creating */

/* Writes the snapshot and its sum; `c` NULL: of everything. */
static bool
write_snapshot(hwi_request *r, hw_collection *c, const char *path)
{
    hw_error err;
    char sum[HWI_SHA256_TEXT + 1];
    hw_status st = c ? hw_collection_backup(c, path, is_in_time, r, &err)
                     : hw_db_backup(r->db, path, is_in_time, r, &err);
    if (!check_work(r, st, &err)) return false;
    if (hwi_snapshot_sum(r, path, sum) && hwi_snapshot_keep_sum(r, path, sum)) return true;
    unlink(path);
    return false;
}

static bool
create(hwi_request *r)
{
    place p;
    bool wait;
    if (!hwi_request_flag(r, "wait", true, &wait) || !find_place(r, &p)) return false;
    const char *path = hwi_snapshot_new(r, p.folder, p.name, false);
    if (!path) return false;
    hwi_server_count(r->server, "snapshot_creation_running", p.name, 1);
    bool is_written = write_snapshot(r, p.collection, path);
    hwi_server_count(r->server, "snapshot_creation_running", p.name, -1);
    if (!is_written) return false;
    hwi_server_count(r->server, "snapshot_created_total", p.name, 1);
    return hwi_snapshot_describe(r, path) && finish(r, wait);
}

static bool
create_full(hwi_request *r)
{
    bool wait;
    if (!hwi_request_flag(r, "wait", true, &wait)) return false;
    const char *folder = hwi_snapshot_folder(r, NULL);
    const char *path = folder ? hwi_snapshot_new(r, folder, "full-snapshot", false) : NULL;
    if (!path || !write_snapshot(r, NULL, path)) return false;
    return hwi_snapshot_describe(r, path) && finish(r, wait);
}

/* ---- Listing, sending, removing */

static bool
list(hwi_request *r)
{
    place p;
    return find_place(r, &p) && hwi_snapshot_list(r, p.folder);
}

static bool
list_full(hwi_request *r)
{
    return hwi_snapshot_list(r, hwi_snapshot_folder(r, NULL));
}

static bool
get(hwi_request *r)
{
    place p;
    if (!find_place(r, &p)) return false;
    const char *path = hwi_snapshot_find(r, p.folder, hwi_request_param(r, "snapshot"));
    return path && send(r, path);
}

static bool
get_full(hwi_request *r)
{
    const char *folder = hwi_snapshot_folder(r, NULL);
    const char *path = hwi_snapshot_find(r, folder, hwi_request_param(r, "snapshot"));
    return path && send(r, path);
}

/* A snapshot of this moment, which is not kept. */
static bool
get_now(hwi_request *r)
{
    place p;
    hw_error err;
    if (!find_place(r, &p)) return false;
    const char *path = hwi_snapshot_new(r, hwi_snapshot_folder(r, NULL), "sent", true);
    if (!path) return false;
    if (!check_work(r, hw_collection_backup(p.collection, path, is_in_time, r, &err), &err)) {
        return false;
    }
    r->remove_file = true;
    return send(r, path);
}

static bool
remove_path(hwi_request *r, const char *path, bool wait)
{
    if (!path || !hwi_snapshot_remove(r, path)) return false;
    hwi_buf_text(&r->out, "true");
    return finish(r, wait);
}

static bool
remove_one(hwi_request *r)
{
    place p;
    bool wait;
    if (!hwi_request_flag(r, "wait", true, &wait) || !find_place(r, &p)) return false;
    return remove_path(r, hwi_snapshot_find(r, p.folder, hwi_request_param(r, "snapshot")), wait);
}

static bool
remove_full(hwi_request *r)
{
    bool wait;
    if (!hwi_request_flag(r, "wait", true, &wait)) return false;
    const char *folder = hwi_snapshot_folder(r, NULL);
    return remove_path(r, hwi_snapshot_find(r, folder, hwi_request_param(r, "snapshot")), wait);
}

/* ---- Recovering */

static bool
check_priority(hwi_request *r, const char *priority)
{
    static const char *const words[] = {"no_sync", "snapshot", "replica"};
    for (size_t i = 0; priority && i < HWI_COUNT(words); i++) {
        if (strcmp(priority, words[i]) == 0) return true;
    }
    return !priority || hwi_refuse_format(r, "priority: unknown variant `%.50s`", priority);
}

static bool
check_sum(hwi_request *r, const char *path, const char *wanted, const char *sentence)
{
    char sum[HWI_SHA256_TEXT + 1];
    if (!wanted) return true;
    if (!hwi_snapshot_is_sum(wanted)) {
        return hwi_refuse_value(r, "checksum", "invalid SHA-256, expected 64 hexadecimal digits");
    }
    if (!hwi_snapshot_sum(r, path, sum)) return false;
    return strcasecmp(sum, wanted) == 0 || hwi_refuse(r, 400, sentence, wanted, sum);
}

static bool
restore(hwi_request *r, const char *path, bool wait)
{
    hw_error err;
    const char *name = hwi_request_param(r, "collection");
    if (!hwi_call_name_check(r, name) || !is_shard(r)) return false;
    hwi_server_count(r->server, "snapshot_recovery_running", name, 1);
    hw_status st = hw_collection_restore(r->db, name, path, true, is_in_time, r, &err);
    hwi_server_count(r->server, "snapshot_recovery_running", name, -1);
    hwi_server_forget(r->server, name);
    if (st == HW_ECORRUPT || st == HW_EVERSION || st == HW_EINVAL) {
        return hwi_refuse(r, 400, "Bad request: the snapshot cannot be used: %s", err.message);
    }
    if (!check_work(r, st, &err)) return false;
    hwi_buf_text(&r->out, "true");
    return finish(r, wait);
}

static bool
recover(hwi_request *r)
{
    bool wait;
    const char *location, *priority, *checksum;
    const hwi_json *body = hwi_args_body(r);
    if (!body || !hwi_request_flag(r, "wait", true, &wait)) return false;
    if (!hwi_read_text(r, body, "location", &location)) return false;
    if (!location) return hwi_refuse_format(r, "missing field `location`");
    if (!hwi_read_text(r, body, "priority", &priority) || !check_priority(r, priority))
        return false;
    if (!hwi_read_text(r, body, "checksum", &checksum)) return false;
    const char *path = hwi_snapshot_locate(r, location);
    return path &&
           check_sum(r, path, checksum,
                     "Wrong input: Snapshot checksum mismatch: expected %s, got %s") &&
           restore(r, path, wait);
}

static bool
upload(hwi_request *r)
{
    bool wait;
    if (!hwi_request_flag(r, "wait", true, &wait)) return false;
    if (!check_priority(r, hwi_request_arg(r, "priority"))) return false;
    if (!r->upload) return hwi_refuse(r, 400, "Wrong input: the form has no file `snapshot`");
    return check_sum(r, r->upload, hwi_request_arg(r, "checksum"),
                     "Checksum mismatch: expected %s, actual %s") &&
           restore(r, r->upload, wait);
}

/* ---- The table */

#define ONE "/collections/{collection}/snapshots"
#define SHARD "/collections/{collection}/shards/{shard}/snapshots"
#define WORK (HWI_ROUTE_SLOW | HWI_ROUTE_NO_BODY)

const hwi_route hwi_routes_snapshots[] = {
    {HWI_GET, "/snapshots", HWI_NEED_READ, HWI_ROUTE_NO_BODY, list_full},
    {HWI_POST, "/snapshots", HWI_NEED_MANAGE, WORK, create_full},
    {HWI_GET, "/snapshots/{snapshot}", HWI_NEED_READ, HWI_ROUTE_NO_BODY, get_full},
    {HWI_DELETE, "/snapshots/{snapshot}", HWI_NEED_MANAGE, HWI_ROUTE_NO_BODY, remove_full},
    {HWI_GET, ONE, HWI_NEED_READ, HWI_ROUTE_NO_BODY, list},
    {HWI_POST, ONE, HWI_NEED_MANAGE, WORK, create},
    {HWI_GET, ONE "/{snapshot}", HWI_NEED_READ, HWI_ROUTE_NO_BODY, get},
    {HWI_DELETE, ONE "/{snapshot}", HWI_NEED_MANAGE, HWI_ROUTE_NO_BODY, remove_one},
    {HWI_PUT, ONE "/recover", HWI_NEED_MANAGE, HWI_ROUTE_SLOW, recover},
    {HWI_POST, ONE "/upload", HWI_NEED_MANAGE, HWI_ROUTE_SLOW | HWI_ROUTE_UPLOAD, upload},
    {HWI_GET, SHARD, HWI_NEED_READ, HWI_ROUTE_NO_BODY, list},
    {HWI_POST, SHARD, HWI_NEED_MANAGE, WORK, create},
    {HWI_GET, SHARD "/{snapshot}", HWI_NEED_READ, HWI_ROUTE_NO_BODY, get},
    {HWI_DELETE, SHARD "/{snapshot}", HWI_NEED_MANAGE, HWI_ROUTE_NO_BODY, remove_one},
    {HWI_PUT, SHARD "/recover", HWI_NEED_MANAGE, HWI_ROUTE_SLOW, recover},
    {HWI_POST, SHARD "/upload", HWI_NEED_MANAGE, HWI_ROUTE_SLOW | HWI_ROUTE_UPLOAD, upload},
    {HWI_GET, "/collections/{collection}/shards/{shard}/snapshot", HWI_NEED_READ, WORK, get_now},
    {0}};
