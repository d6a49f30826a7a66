/* snapshot_files.c - the folder of snapshots.
 *
 * A collection's folder is its name where that is a safe name, else the name with every other byte
 * written %XX: no two collections share one, and none leads out of the folder.
 */
#include "server/rest/snapshot_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/server.h"

#define SUFFIX ".snapshot"
#define NAME_BYTES_MAX 255u

/* ---- Names */

static bool
is_safe_byte(char c)
{
    return isalnum((uint8_t)c) || c == '.' || c == '_' || c == '-';
}

static bool
is_safe_name(const char *name)
{
    size_t bytes = strlen(name);
    if (bytes == 0 || bytes > NAME_BYTES_MAX || name[0] == '.') return false;
    for (size_t i = 0; i < bytes; i++) {
        if (!is_safe_byte(name[i])) return false;
    }
    return true;
}

static bool
is_snapshot_name(const char *name)
{
    size_t bytes = strlen(name);
    return is_safe_name(name) && bytes > sizeof SUFFIX &&
           strcmp(name + bytes - (sizeof SUFFIX - 1), SUFFIX) == 0;
}

static const char *
join(hwi_request *r, const char *folder, const char *name)
{
    size_t bytes = strlen(folder) + strlen(name) + 2;
    char *path = hwi_request_alloc(r, bytes);
    if (path) snprintf(path, bytes, "%s/%s", folder, name);
    return path;
}

static bool
make_folder(hwi_request *r, const char *path)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return true;
    return hwi_refuse(r, errno == ENOSPC ? 507 : 503, "cannot make the snapshots folder: %s",
                      strerror(errno));
}

const char *
hwi_snapshot_folder(hwi_request *r, const char *collection)
{
    const char *root = hwi_server_snapshots_path(r->server);
    char safe[3 * HW_NAME_MAX + 1];
    size_t n = 0;
    if (!collection) return root;
    for (const char *c = collection; *c && n + 4 < sizeof safe; c++) {
        bool keeps = is_safe_byte(*c) && !(*c == '.' && n == 0);
        n += (size_t)snprintf(safe + n, sizeof safe - n, keeps ? "%c" : "%%%02X", (uint8_t)*c);
    }
    if (n > NAME_BYTES_MAX) { /* too long for a file system: a hash tells such names apart */
        n = (size_t)snprintf(safe + 200, sizeof safe - 200, "%%%016llx",
                             (unsigned long long)hwi_checksum(collection, strlen(collection)));
    }
    const char *all = join(r, root, "collections");
    if (!all || !make_folder(r, all)) return NULL;
    const char *path = join(r, all, safe);
    return path && make_folder(r, path) ? path : NULL;
}

const char *
hwi_snapshot_new(hwi_request *r, const char *folder, const char *prefix, bool is_hidden)
{
    static _Atomic uint32_t serial; /* relaxed: only its own value counts */
    char name[256], safe[128];
    struct tm tm;
    time_t now = time(NULL);
    size_t n = 0;
    gmtime_r(&now, &tm);
    for (const char *c = prefix; *c && n + 1 < sizeof safe; c++) {
        safe[n] = is_safe_byte(*c) && !(*c == '.' && n == 0) ? *c : '_';
        n++;
    }
    safe[n] = '\0';
    uint32_t number = atomic_fetch_add_explicit(&serial, 1, memory_order_relaxed) + 1;
    snprintf(name, sizeof name, "%s%s-%04d-%02d-%02d-%02d-%02d-%02d-%06u" SUFFIX,
             is_hidden ? "." : "", safe, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
             tm.tm_min, tm.tm_sec, number);
    return join(r, folder, name);
}

const char *
hwi_snapshot_find(hwi_request *r, const char *folder, const char *name)
{
    struct stat st;
    const char *path = is_snapshot_name(name) ? join(r, folder, name) : NULL;
    if (path && lstat(path, &st) == 0 && S_ISREG(st.st_mode)) return path;
    if (!r->refusal[0]) hwi_refuse(r, 404, "Not found: Snapshot %.255s not found", name);
    return NULL;
}

/* ---- Locations */

static int
hex_digit(char c)
{
    return isdigit((uint8_t)c) ? c - '0' : tolower((uint8_t)c) - 'a' + 10;
}

/* The path of a file:// address, or the text itself. NULL: another kind of address. */
static char *
path_of(hwi_request *r, const char *location)
{
    bool is_address = strncmp(location, "file://", 7) == 0;
    if (!is_address && strstr(location, "://")) return NULL;
    if (is_address) location += strncmp(location, "file://localhost/", 17) == 0 ? 16 : 7;
    if (is_address && *location != '/') {
        hwi_refuse(r, 400,
                   "Bad request: Invalid snapshot URI, file path must be absolute or on localhost");
        return NULL;
    }
    char *path = hwi_request_alloc(r, strlen(location) + 1);
    size_t n = 0;
    for (const char *c = location; path && *c; c++) {
        bool is_coded =
            is_address && c[0] == '%' && isxdigit((uint8_t)c[1]) && isxdigit((uint8_t)c[2]);
        path[n++] = is_coded ? (char)(hex_digit(c[1]) * 16 + hex_digit(c[2])) : *c;
        if (is_coded) c += 2;
    }
    if (path) path[n] = '\0';
    return path;
}

const char *
hwi_snapshot_locate(hwi_request *r, const char *location)
{
    const char *root = hwi_server_snapshots_path(r->server);
    struct stat st;
    char *path = path_of(r, location);
    if (!path) {
        if (r->refusal[0]) return NULL;
        hwi_refuse(r, 403,
                   "Forbidden: Snapshot recovery from remote URLs is not supported: download the "
                   "snapshot and upload it");
        return NULL;
    }
    const char *given = path[0] == '/' ? path : join(r, root, path);
    char *real = given ? realpath(given, NULL) : NULL, *real_root = realpath(root, NULL);
    size_t n = real_root ? strlen(real_root) : 0;
    const char *found = NULL;
    if (!given || !real_root) {
        if (!r->refusal[0]) hwi_refuse(r, 503, "the snapshots folder cannot be read");
    } else if (!real) {
        hwi_refuse(r, 400, "Bad request: Snapshot file \"%.300s\" does not exist", path);
    } else if (strncmp(real, real_root, n) != 0 || real[n] != '/') {
        hwi_refuse(r, 403, "Forbidden: Snapshot file path must be inside the snapshots directory");
    } else if (stat(real, &st) != 0 || !S_ISREG(st.st_mode)) {
        hwi_refuse(r, 400, "Bad request: \"%.300s\" is no file", path);
    } else {
        found = hwi_arena_text(&r->arena, real, strlen(real));
        if (!found) hwi_refuse(r, 503, "Service unavailable: out of memory");
    }
    free(real);
    free(real_root);
    return found;
}

/* ---- Sums */

static bool
hash_fd(int fd, uint8_t *digest)
{
    static const size_t chunk = 1u << 20;
    gnutls_hash_hd_t hash;
    ssize_t got = -1;
    uint8_t *buffer = hwi_alloc(chunk);
    if (!buffer || gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) != 0) {
        hwi_free(buffer);
        return false;
    }
    while ((got = read(fd, buffer, chunk)) > 0) {
        if (gnutls_hash(hash, buffer, (size_t)got) != 0) break;
    }
    gnutls_hash_deinit(hash, digest);
    hwi_free(buffer);
    return got == 0;
}

bool
hwi_snapshot_sum(hwi_request *r, const char *path, char *out)
{
    uint8_t digest[32];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool is_read = fd >= 0 && hash_fd(fd, digest);
    if (fd >= 0) close(fd);
    if (!is_read) return hwi_refuse(r, 503, "the snapshot cannot be read");
    for (size_t i = 0; i < sizeof digest; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return true;
}

bool
hwi_snapshot_is_sum(const char *text)
{
    size_t n = strspn(text, "0123456789abcdefABCDEF");
    return n == HWI_SHA256_TEXT && text[n] == '\0';
}

static const char *
sum_path(const char *path, char *out, size_t room)
{
    int n = snprintf(out, room, "%s.checksum", path);
    return n > 0 && (size_t)n < room ? out : NULL;
}

bool
hwi_snapshot_keep_sum(hwi_request *r, const char *path, const char *sum)
{
    char at[4200];
    const char *name = sum_path(path, at, sizeof at);
    FILE *f = name ? fopen(name, "we") : NULL;
    bool is_kept = f && fputs(sum, f) >= 0;
    if (f && fclose(f) != 0) is_kept = false;
    return is_kept || hwi_refuse(r, errno == ENOSPC ? 507 : 503,
                                 "cannot write the snapshot's checksum: %s", strerror(errno));
}

bool
hwi_snapshot_kept_sum(const char *path, char *out)
{
    char at[4200];
    const char *name = sum_path(path, at, sizeof at);
    FILE *f = name ? fopen(name, "re") : NULL;
    size_t n = f ? fread(out, 1, HWI_SHA256_TEXT, f) : 0;
    if (f) fclose(f);
    out[n] = '\0';
    return hwi_snapshot_is_sum(out);
}

/* ---- Lists */

bool
hwi_snapshot_describe(hwi_request *r, const char *path)
{
    struct stat st;
    struct tm tm;
    char sum[HWI_SHA256_TEXT + 1];
    const char *name = strrchr(path, '/') + 1;
    if (lstat(path, &st) != 0) return hwi_refuse(r, 404, "Not found: Snapshot %s not found", name);
    gmtime_r(&st.st_mtim.tv_sec, &tm);
    hwi_buf_printf(&r->out,
                   "{\"name\":\"%s\",\"creation_time\":\"%04d-%02d-%02dT%02d:%02d:%02d\","
                   "\"size\":%llu",
                   name, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                   tm.tm_sec, (unsigned long long)st.st_size);
    if (hwi_snapshot_kept_sum(path, sum)) hwi_buf_printf(&r->out, ",\"checksum\":\"%s\"", sum);
    hwi_buf_text(&r->out, "}");
    return true;
}

static int
is_entry(const struct dirent *e)
{
    return is_snapshot_name(e->d_name);
}

bool
hwi_snapshot_list(hwi_request *r, const char *folder)
{
    struct dirent **entries;
    struct stat st;
    bool is_first = true;
    int count = scandir(folder, &entries, is_entry, alphasort);
    hwi_buf_text(&r->out, "[");
    for (int i = 0; i < count; i++) {
        const char *path = join(r, folder, entries[i]->d_name);
        if (path && lstat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            if (!is_first) hwi_buf_text(&r->out, ",");
            is_first = false;
            hwi_snapshot_describe(r, path);
        }
        free(entries[i]);
    }
    if (count >= 0) free(entries);
    hwi_buf_text(&r->out, "]");
    return !r->refusal[0];
}

bool
hwi_snapshot_remove(hwi_request *r, const char *path)
{
    char at[4200];
    const char *sum = sum_path(path, at, sizeof at);
    if (unlink(path) != 0) return hwi_refuse(r, 503, "cannot remove it: %s", strerror(errno));
    if (sum) unlink(sum); /* may not be there */
    return true;
}
