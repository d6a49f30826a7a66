/* files.c - walking folders, reading files, naming what was found. */
#include "embed/files.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#define DEPTH_MAX 64

typedef struct walk {
    hwi_files *out;
    size_t room;
    hwi_skipped_fn skipped;
    void *arg;
    hw_error *err;
} walk;

static hw_status
add_file(walk *w, const char *path, size_t root_bytes, const struct stat *about)
{
    hwi_files *f = w->out;
    if (f->count == HWI_FILES_MAX) {
        return hwi_fail(w->err, HW_ELIMIT, "more than %u files", HWI_FILES_MAX);
    }
    if (f->count == w->room) {
        size_t room = w->room ? w->room * 2 : 256;
        hwi_file *grown = hwi_realloc(f->items, room * sizeof *grown);
        if (!grown) return hwi_nomem(w->err, room * sizeof *grown);
        f->items = grown;
        w->room = room;
    }
    const char *copy = hwi_arena_text(&f->arena, path, strlen(path));
    if (!copy) return hwi_nomem(w->err, strlen(path));
    f->items[f->count++] = (hwi_file){copy, root_bytes, (uint64_t)about->st_size};
    return HW_OK;
}

static hw_status
follow(walk *w, const char *path, size_t root_bytes)
{
    struct stat there;
    bool is_file = stat(path, &there) == 0 && S_ISREG(there.st_mode);
    return is_file ? add_file(w, path, root_bytes, &there) : HW_OK;
}

static hw_status
visit(walk *w, FTS *fts, FTSENT *e, size_t root_bytes)
{
    if (e->fts_level > 0 && e->fts_name[0] == '.') {
        fts_set(fts, e, FTS_SKIP);
        return HW_OK;
    }
    switch (e->fts_info) {
    case FTS_D:
        if (e->fts_level <= DEPTH_MAX) return HW_OK;
        w->skipped(w->arg, e->fts_path, "too deep");
        fts_set(fts, e, FTS_SKIP);
        return HW_OK;
    case FTS_F:
        return add_file(w, e->fts_path, e->fts_level ? root_bytes : 0, e->fts_statp);
    case FTS_SL:
        return follow(w, e->fts_path, root_bytes);
    case FTS_NS:
    case FTS_ERR:
        if (e->fts_level == 0) return hwi_fail_errno(w->err, e->fts_errno, "%s", e->fts_path);
        w->skipped(w->arg, e->fts_path, strerror(e->fts_errno));
        return HW_OK;
    case FTS_DNR:
        w->skipped(w->arg, e->fts_path, strerror(e->fts_errno));
        return HW_OK;
    case FTS_DP:
        return HW_OK; /* a folder left behind */
    default:          /* a pipe, a socket, a device, a loop */
        if (e->fts_level == 0) w->skipped(w->arg, e->fts_path, "not a regular file or folder");
        return HW_OK;
    }
}

static int
by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static hw_status
walk_path(walk *w, const char *path)
{
    char *const roots[] = {(char *)path, NULL};
    FTSENT *e;
    hw_status st = HW_OK;
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    if (!fts) return hwi_fail_errno(w->err, errno, "%s", path);
    size_t root_bytes = strlen(path);
    while (root_bytes > 1 && path[root_bytes - 1] == '/') root_bytes--;
    while (st == HW_OK && (e = fts_read(fts)) != NULL) st = visit(w, fts, e, root_bytes);
    fts_close(fts);
    return st;
}

hw_status
hwi_files_find(const char *const *paths, size_t count, hwi_skipped_fn skipped, void *arg,
               hwi_files *out, hw_error *err)
{
    walk w = {.out = out, .skipped = skipped, .arg = arg, .err = err};
    hw_status st = HW_OK;
    *out = (hwi_files){0};
    for (size_t i = 0; st == HW_OK && i < count; i++) st = walk_path(&w, paths[i]);
    if (st != HW_OK) hwi_files_release(out);
    return st;
}

void
hwi_files_release(hwi_files *files)
{
    hwi_free(files->items);
    hwi_arena_release(&files->arena);
    *files = (hwi_files){0};
}

/* Opens without waiting for the other end of a pipe; only regular files are let through. */
static hw_status
open_regular(const char *path, FILE **out, uint64_t *bytes, hw_error *err)
{
    struct stat about;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    hw_status st = HW_OK;
    if (fd < 0) return hwi_fail_errno(err, errno, "cannot open");
    if (fstat(fd, &about) != 0) {
        st = hwi_fail_errno(err, errno, "cannot read");
    } else if (!S_ISREG(about.st_mode)) {
        st = hwi_fail(err, HW_EINVAL, "not a regular file");
    } else if ((*out = fdopen(fd, "rb")) == NULL) {
        st = hwi_nomem(err, sizeof **out);
    }
    if (st != HW_OK) {
        close(fd);
        return st;
    }
    *bytes = (uint64_t)about.st_size;
    return HW_OK;
}

/* Up to `bytes`, and less only at the file's end. */
static hw_status
read_up_to(FILE *f, size_t bytes, hwi_buf *out, hw_error *err)
{
    if (!hwi_buf_reserve(out, HWI_MAX(bytes, (size_t)1))) return hwi_nomem(err, bytes);
    size_t got = fread(out->data + out->size, 1, bytes, f);
    out->size += got;
    return got < bytes && ferror(f) ? hwi_fail_errno(err, errno, "cannot read") : HW_OK;
}

hw_status
hwi_file_read(const char *path, size_t bytes_max, hwi_buf *out, hw_error *err)
{
    FILE *f;
    uint64_t bytes;
    HWI_TRY(open_regular(path, &f, &bytes, err));
    hw_status st = bytes <= bytes_max
                       ? read_up_to(f, (size_t)bytes, out, err)
                       : hwi_fail(err, HW_ELIMIT, "file of %llu bytes is above the maximum %zu",
                                  (unsigned long long)bytes, bytes_max);
    fclose(f);
    return st;
}

hw_status
hwi_file_start(const char *path, size_t bytes, hwi_buf *out, hw_error *err)
{
    FILE *f;
    uint64_t whole;
    HWI_TRY(open_regular(path, &f, &whole, err));
    hw_status st = read_up_to(f, bytes, out, err);
    fclose(f);
    return st;
}

hw_id
hwi_file_id(const char *path)
{
    hw_id id = {.kind = HW_ID_KIND_UUID};
    XXH128_canonical_t h;
    XXH128_canonicalFromHash(&h, XXH3_128bits(path, strlen(path)));
    memcpy(id.as.uuid, h.digest, 16);
    id.as.uuid[6] = (uint8_t)((id.as.uuid[6] & 0x0F) | 0x80); /* version 8: made our own way */
    id.as.uuid[8] = (uint8_t)((id.as.uuid[8] & 0x3F) | 0x80); /* RFC 9562's variant */
    return id;
}

void
hwi_file_hash(hw_bytes content, char *out)
{
    snprintf(out, 17, "%016llx", (unsigned long long)hwi_checksum(content.data, content.size));
}

static hw_status
digest_file(XXH3_state_t *state, const char *path, hw_error *err)
{
    uint8_t block[1u << 16];
    size_t got;
    FILE *f = fopen(path, "rb");
    if (!f) return hwi_fail_errno(err, errno, "%s", path);
    while ((got = fread(block, 1, sizeof block, f)) > 0) XXH3_128bits_update(state, block, got);
    hw_status st = ferror(f) ? hwi_fail_errno(err, errno, "cannot read %s", path) : HW_OK;
    fclose(f);
    return st;
}

hw_status
hwi_files_digest(const char *const *paths, size_t count, char out[HWI_DIGEST_ROOM], hw_error *err)
{
    XXH3_state_t *state = XXH3_createState();
    hw_status st = HW_OK;
    if (!state) return hwi_nomem(err, 0);
    XXH3_128bits_reset(state);
    for (size_t i = 0; st == HW_OK && i < count; i++) st = digest_file(state, paths[i], err);
    XXH128_hash_t h = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    snprintf(out, HWI_DIGEST_ROOM, "%016llx%016llx", (unsigned long long)h.high64,
             (unsigned long long)h.low64);
    return st;
}
