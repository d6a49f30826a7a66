/* lmdb_file.c - a careful reader of LMDB's file format (version 1, as of LMDB 0.9).
 *
 *     page 0, 1   meta pages: the commit with an even number writes 0, an odd one writes 1; the
 *                 higher number counts. Each holds the roots of two trees:
 *                   free   commit number -> pages it freed
 *                   main   our keys and values
 *     others      16 bytes: number, flags, lower, upper. Then, in branch and leaf pages, an array
 * of u16 offsets up to `lower`, free space, and nodes from `upper` on: branch  child page, key leaf
 * size, key, value or page of a large value A large value is a run of pages of which the first has
 * a header, with their count where lower and upper would be.
 *
 * All numbers are in the machine's byte order. LMDB's own documentation (lmdb.h, mdb.c) is the
 * reference.
 *
 * The walk is recursive; its depth is the tree's, which the meta page states and we bound by LMDB's
 * own limit. Each page may be reached once, so a file that was made to loop or fan out ends the
 * walk as damage. After damage in one page its siblings are still looked at.
 */
#include "store/lmdb_file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/mem_tree.h" /* hwi_mem_compare */

enum {
    PAGE_HEADER = 16,
    NODE_HEADER = 8,
    META_BYTES = 136,
    DEPTH_MAX = 32,
    PAGE_BRANCH = 1,
    PAGE_LEAF = 2,
    PAGE_OVERFLOW = 4,
    PAGE_META = 8,
    NODE_LARGE = 1
};
#define META_MAGIC 0xBEEFC0DEu
#define META_VERSION 1u
#define NO_PAGE UINT64_MAX
#define DAMAGES_MAX 100u /* reported; more say nothing new */
#define CHECK_ATTEMPTS 3 /* a writer may have been changing what we read */

typedef struct tree {
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
} tree;

typedef struct meta {
    uint32_t page_bytes;
    tree free, main;
    uint64_t last_page, version;
} meta;

static uint16_t
u16(const uint8_t *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static uint32_t
u32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static uint64_t
u64(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

/* ---- meta pages */

static bool
read_at(int fd, uint64_t offset, void *data, size_t bytes)
{
    uint8_t *at = data;

    while (bytes > 0) {
        ssize_t n = pread(fd, at, bytes, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n;
        offset += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return true;
}

static tree
decode_tree(const uint8_t *at)
{
    return (tree){.flags = u16(at + 4),
                  .depth = u16(at + 6),
                  .branch_pages = u64(at + 8),
                  .leaf_pages = u64(at + 16),
                  .overflow_pages = u64(at + 24),
                  .entries = u64(at + 32),
                  .root = u64(at + 40)};
}

static bool
tree_sound(const tree *t, uint64_t last_page)
{
    if (t->root == NO_PAGE) return t->depth == 0 && t->entries == 0;
    return t->depth >= 1 && t->depth <= DEPTH_MAX && t->root >= 2 && t->root <= last_page;
}

static bool
read_meta(int fd, uint64_t offset, meta *out)
{
    uint8_t page[PAGE_HEADER + META_BYTES];
    const uint8_t *m = page + PAGE_HEADER;

    if (!read_at(fd, offset, page, sizeof page)) return false;
    if (!(u16(page + 10) & PAGE_META) || u32(m) != META_MAGIC || u32(m + 4) != META_VERSION)
        return false;
    out->page_bytes = u32(m + 24);
    out->free = decode_tree(m + 24);
    out->main = decode_tree(m + 72);
    out->last_page = u64(m + 120);
    out->version = u64(m + 128);
    uint32_t b = out->page_bytes;
    if (b < 512 || b > 65536 || (b & (b - 1)) != 0) return false;
    if (out->last_page == 0 || out->last_page > (uint64_t)INT64_MAX / b - 1) return false;
    return out->main.flags == 0 && tree_sound(&out->free, out->last_page) &&
           tree_sound(&out->main, out->last_page);
}

/* Both meta pages, the newer first. */
static bool
read_metas(int fd, meta out[2])
{
    if (!read_meta(fd, 0, &out[0]) || !read_meta(fd, out[0].page_bytes, &out[1])) return false;
    if (out[0].page_bytes != out[1].page_bytes) return false;
    if (out[1].version > out[0].version) {
        meta older = out[0];
        out[0] = out[1];
        out[1] = older;
    }
    return true;
}

/* ---- walking */

typedef struct walker {
    int fd;
    uint32_t page_bytes;
    uint64_t last_page, file_bytes;
    uint8_t *used;     /* a bit for each page that was reached */
    const char *which; /* "main" or "free" */
    uint64_t branch_pages, leaf_pages, overflow_pages, entries;
    hw_damage_fn damage;
    void *arg;
    uint64_t damages;
    bool nomem;
} walker;

static void HW_PRINTF(3, 4) report(walker *w, uint64_t page, const char *format, ...)
{
    char where[64], what[160];
    va_list args;

    if (w->damages++ >= DAMAGES_MAX || !w->damage) return;
    snprintf(where, sizeof where, "data.mdb page %llu (%s tree)", (unsigned long long)page,
             w->which);
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    w->damage(w->arg, where, what);
}

/* Marks `count` pages from `page` on as used; false when they cannot be, which was then reported.
 */
static bool
claim(walker *w, uint64_t page, uint64_t count)
{
    if (page < 2 || page > w->last_page || count > w->last_page - page + 1) {
        report(w, page, "is no page of the file (last is %llu)", (unsigned long long)w->last_page);
        return false;
    }
    if ((page + count) * w->page_bytes > w->file_bytes) {
        report(w, page, "lies beyond the end of the file (%llu bytes)",
               (unsigned long long)w->file_bytes);
        return false;
    }
    for (uint64_t p = page; p < page + count; p++) {
        if (w->used[p / 8] & (1u << p % 8)) {
            report(w, p, "is used twice");
            return false;
        }
        w->used[p / 8] |= (uint8_t)(1u << p % 8);
    }
    return true;
}

/* A run may be longer than its value needs: a value replaced by a smaller one in the same
 * transaction keeps its pages. */
static void
walk_large(walker *w, uint64_t page, uint64_t value_bytes)
{
    uint8_t header[PAGE_HEADER];
    uint64_t needed = (PAGE_HEADER - 1 + value_bytes) / w->page_bytes + 1;

    if (!claim(w, page, 1)) return;
    if (!read_at(w->fd, page * w->page_bytes, header, sizeof header)) {
        report(w, page, "cannot be read");
        return;
    }
    uint64_t pages = u32(header + 12);
    if (u64(header) != page || !(u16(header + 10) & PAGE_OVERFLOW) || pages < needed)
        report(w, page, "is not the large value of %llu bytes it should be",
               (unsigned long long)value_bytes);
    else if (pages == 1 || claim(w, page + 1, pages - 1))
        w->overflow_pages += pages;
}

/* A page's header and the place of its nodes. */
static bool
page_sound(walker *w, const uint8_t *p, uint64_t page, bool leaf)
{
    unsigned lower = u16(p + 12), upper = u16(p + 14);
    unsigned kind = u16(p + 10) & (PAGE_BRANCH | PAGE_LEAF | PAGE_OVERFLOW | PAGE_META);

    if (u64(p) != page)
        report(w, page, "says it is page %llu", (unsigned long long)u64(p));
    else if (kind != (leaf ? PAGE_LEAF : PAGE_BRANCH))
        report(w, page, "has flags %u, a %s page is expected", kind, leaf ? "leaf" : "branch");
    else if (lower < PAGE_HEADER || lower > upper || upper > w->page_bytes || lower % 2 != 0)
        report(w, page, "has its free space from %u to %u", lower, upper);
    else if (!leaf && lower < PAGE_HEADER + 2)
        report(w, page, "has no child");
    else
        return true;
    return false;
}

typedef struct node {
    uint16_t flags;
    hw_bytes key;
    uint64_t child;       /* branch */
    uint64_t value_bytes; /* leaf */
    uint64_t large;       /* leaf, NODE_LARGE: the page of the value */
} node;

/* Decodes one node; false when it does not lie within its page. */
static bool
decode_node(const walker *w, const uint8_t *p, unsigned index, bool leaf, node *out)
{
    size_t at = u16(p + PAGE_HEADER + 2 * index), upper = u16(p + 14);

    if (at < upper || at + NODE_HEADER > w->page_bytes) return false;
    const uint8_t *n = p + at;
    uint64_t low = u16(n), high = u16(n + 2);
    out->flags = u16(n + 4);
    out->key = hwi_bytes(n + NODE_HEADER, u16(n + 6));
    size_t end = at + NODE_HEADER + out->key.size;
    if (end > w->page_bytes) return false;
    if (!leaf) {
        out->child = low | high << 16 | (uint64_t)out->flags << 32;
        return true;
    }
    out->value_bytes = low | high << 16;
    if (out->flags & ~NODE_LARGE) return false; /* sub-databases and duplicates are not ours */
    bool large = out->flags & NODE_LARGE;
    if (end + (large ? 8 : out->value_bytes) > w->page_bytes) return false;
    out->large = large ? u64(n + NODE_HEADER + out->key.size) : NO_PAGE;
    return true;
}

/* The free tree's keys are numbers of the machine, the main tree's are bytes. */
static int
compare_keys(const walker *w, hw_bytes a, hw_bytes b)
{
    if (w->which[0] == 'm') return hwi_mem_compare(a, b);
    if (a.size != 8 || b.size != 8) return 0; /* reported as out of order */
    uint64_t x = u64(a.data), y = u64(b.data);
    return (x > y) - (x < y);
}

/* Keys of a page lie in [from, to); data NULL: no bound. */
typedef struct bounds {
    hw_bytes from, to;
} bounds;

static bool
key_in_order(const walker *w, const node *n, hw_bytes before, bounds b)
{
    if (before.data && compare_keys(w, before, n->key) >= 0) return false;
    if (b.from.data && compare_keys(w, b.from, n->key) > 0) return false;
    return !b.to.data || compare_keys(w, n->key, b.to) < 0;
}

static void
walk_leaf(walker *w, const uint8_t *p, uint64_t page, bounds b)
{
    unsigned count = (u16(p + 12) - PAGE_HEADER) / 2u;
    hw_bytes before = {NULL, 0};
    node n;

    w->leaf_pages++;
    w->entries += count;
    for (unsigned i = 0; i < count; i++) {
        if (!decode_node(w, p, i, true, &n)) {
            report(w, page, "node %u does not fit the page", i);
            continue;
        }
        if (n.key.size == 0 || !key_in_order(w, &n, before, b))
            report(w, page, "key %u is out of order", i);
        before = n.key;
        if (n.flags & NODE_LARGE) walk_large(w, n.large, n.value_bytes);
    }
}

static void walk_page(walker *w, uint64_t page, unsigned depth, bounds b);

/* Child i holds the keys from key i up to key i + 1; the first key of a branch page is empty. */
static void
walk_branch(walker *w, const uint8_t *p, uint64_t page, unsigned depth, bounds b)
{
    unsigned count = (u16(p + 12) - PAGE_HEADER) / 2u;
    hw_bytes before = {NULL, 0};
    node n, next;

    w->branch_pages++;
    for (unsigned i = 0; i < count; i++) {
        bool last = i + 1 == count;
        if (!decode_node(w, p, i, false, &n) ||
            (!last && !decode_node(w, p, i + 1, false, &next))) {
            report(w, page, "node %u does not fit the page", i);
            return; /* the bounds of the other children are not to be trusted */
        }
        if (i > 0 && !key_in_order(w, &n, before, b)) report(w, page, "key %u is out of order", i);
        if (i > 0) before = n.key;
        walk_page(w, n.child, depth - 1, (bounds){i > 0 ? n.key : b.from, last ? b.to : next.key});
    }
}

/* depth: pages from here down to the leaves, 1 for a leaf itself */
static void
walk_page(walker *w, uint64_t page, unsigned depth, bounds b)
{
    if (w->nomem || !claim(w, page, 1)) return;
    uint8_t *p = hwi_alloc(w->page_bytes);
    if (!p)
        w->nomem = true;
    else if (!read_at(w->fd, page * w->page_bytes, p, w->page_bytes))
        report(w, page, "cannot be read");
    else if (!page_sound(w, p, page, depth == 1))
        ; /* reported */
    else if (depth == 1)
        walk_leaf(w, p, page, b);
    else
        walk_branch(w, p, page, depth, b);
    hwi_free(p);
}

static void
walk_tree(walker *w, const tree *t, const char *which)
{
    const bounds none = {{NULL, 0}, {NULL, 0}};

    w->which = which;
    w->branch_pages = w->leaf_pages = w->overflow_pages = w->entries = 0;
    uint64_t before = w->damages;
    if (t->root != NO_PAGE) walk_page(w, t->root, t->depth, none);
    if (w->damages > before || w->nomem) return; /* counts would only repeat it */
    if (w->entries != t->entries || w->branch_pages != t->branch_pages ||
        w->leaf_pages != t->leaf_pages || w->overflow_pages != t->overflow_pages)
        report(w, t->root, "counts differ: %llu entries where %llu are recorded",
               (unsigned long long)w->entries, (unsigned long long)t->entries);
}

static hw_status
walk_meta(int fd, const char *name, const meta *m, hw_damage_fn damage, void *arg, hw_error *err)
{
    walker w = {.fd = fd, .damage = damage, .arg = arg};
    struct stat st;

    if (fstat(fd, &st) != 0) return hwi_fail_errno(err, errno, "cannot read %s", name);
    w.page_bytes = m->page_bytes;
    w.last_page = m->last_page;
    w.file_bytes = (uint64_t)st.st_size;
    /* A page beyond the end needs no bit: claim refuses it. */
    uint64_t pages = HWI_MIN(m->last_page, w.file_bytes / w.page_bytes) + 1;
    w.used = hwi_alloc_zero(pages / 8 + 1);
    if (!w.used) return hwi_nomem(err, pages / 8 + 1);
    walk_tree(&w, &m->main, "main");
    walk_tree(&w, &m->free, "free");
    hwi_free(w.used);
    if (w.nomem) return hwi_nomem(err, w.page_bytes);
    if (w.damages == 0) return HW_OK;
    return hwi_fail(err, HW_ECORRUPT, "%s: %llu damaged or missing pages", name,
                    (unsigned long long)w.damages);
}

hw_status
hwi_lmdb_file_walk(int fd, const char *name, uint64_t version, hw_damage_fn damage, void *arg,
                   hw_error *err)
{
    meta metas[2];

    if (!read_metas(fd, metas))
        return hwi_fail(err, HW_ECORRUPT, "%s: the meta pages are damaged", name);
    for (int i = 0; i < 2; i++)
        if (metas[i].version == version) return walk_meta(fd, name, &metas[i], damage, arg, err);
    return hwi_fail(err, HW_ENOTFOUND, "%s: snapshot %llu is no longer in a meta page", name,
                    (unsigned long long)version);
}

/* LMDB does not write free pages at the end, so a short file is damaged only if a page in use is
 * missing. */
static hw_status
check_once(int fd, const char *name, hw_error *err)
{
    struct stat st;
    meta metas[2];

    if (!read_metas(fd, metas))
        return hwi_fail(err, HW_ECORRUPT, "%s is not an LMDB file of a hashwood database", name);
    if (fstat(fd, &st) != 0) return hwi_fail_errno(err, errno, "cannot read %s", name);
    if ((uint64_t)st.st_size >= (metas[0].last_page + 1) * metas[0].page_bytes) return HW_OK;
    if (walk_meta(fd, name, &metas[0], NULL, NULL, NULL) == HW_OK) return HW_OK;
    return hwi_fail(err, HW_ECORRUPT, "%s is cut short: it has %llu bytes of up to %llu", name,
                    (unsigned long long)st.st_size,
                    (unsigned long long)((metas[0].last_page + 1) * metas[0].page_bytes));
}

hw_status
hwi_lmdb_file_check(int fd, const char *name, hw_error *err)
{
    hw_status st = check_once(fd, name, err);

    for (int i = 1; i < CHECK_ATTEMPTS && st == HW_ECORRUPT; i++) {
        nanosleep(&(struct timespec){0, 2000000}, NULL);
        st = check_once(fd, name, err);
    }
    return st;
}
