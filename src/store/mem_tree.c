/* mem_tree.c - a persistent treap: a search tree by key that is a heap by priority.
 *
 * The priority of a node is the hash of its key, so the set of keys alone decides the shape and its
 * expected depth is logarithmic whatever the order of arrival. Changing a tree copies the nodes
 * from the root to the place of the change and shares all others:
 *
 *       old root   new root            put(d) copied m and c; f, p and everything below them
 *            m      m'                 belong to both trees from then on
 *           / \    / \
 *          c   p--'   c'
 *           \        / \
 *            f------f   ... d
 *
 * Nodes and cells (key and value) are counted: a node holds one reference on each child and on its
 * cell, a snapshot one on its root. A node carries the stamp of the tree it was made for; while
 * that tree is being changed no one else can see the node, so it is changed in place, and a
 * transaction of many writes copies each shared node once.
 *
 * Invariants (hwi_mem_check): keys ascend from left to right; no child is `above` its parent.
 *
 * Road not taken: a copy-on-write B+tree is faster to scan but needs split and merge; this backend
 * is the reference that the others are compared with and ought to be obviously right.
 */
#include "store/mem_tree.h"

struct hwi_mem_node {
    hwi_mem_node *left, *right;
    hwi_mem_cell *cell;
    uint64_t stamp;
    atomic_size_t refs;
    union {
        uint64_t priority;
        hwi_mem_node *next_dead; /* only while being freed */
    } as;
};

typedef hwi_mem_node node;
typedef hwi_mem_cell cell;

/* Values above this start 16 bytes past a multiple of 64, as LMDB's do, see cell_new. */
#define LARGE_VALUE 2048u

int
hwi_mem_compare(hw_bytes a, hw_bytes b)
{
    size_t common = HWI_MIN(a.size, b.size);
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order != 0) return order;
    return (a.size > b.size) - (a.size < b.size);
}

/* ---- references */

/* Counters: taking a reference needs no order, as the taker already holds one. Dropping is
 * acq_rel: it pairs with every other drop of the same counter, so that whoever frees sees all that
 * was done through the other references. */
static void
take_ref(atomic_size_t *refs)
{
    atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

static bool
drop_ref(atomic_size_t *refs)
{
    return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

/* LMDB keeps a large value 16 bytes into a page, and page values (records/pages.h) have a 48-byte
 * header so that their rows come out 64-byte aligned. We place large values alike; small ones are
 * 16-byte aligned. The key lies behind the value. */
static cell *
cell_new(hw_bytes key, hw_bytes value)
{
    size_t shift = value.size > LARGE_VALUE ? 16 : 0;
    cell *c = hwi_alloc(sizeof *c);
    uint8_t *memory = hwi_alloc_aligned(shift + value.size + key.size + 1);

    if (!c || !memory) {
        hwi_free(c);
        hwi_free(memory);
        return NULL;
    }
    if (value.size) memcpy(memory + shift, value.data, value.size);
    if (key.size) memcpy(memory + shift + value.size, key.data, key.size);
    atomic_init(&c->refs, 1);
    c->memory = memory;
    c->value = hwi_bytes(memory + shift, value.size);
    c->key = hwi_bytes(memory + shift + value.size, key.size);
    return c;
}

static void
cell_unref(cell *c)
{
    if (!c || !drop_ref(&c->refs)) return;
    hwi_free(c->memory);
    hwi_free(c);
}

hwi_mem_node *
hwi_mem_ref(hwi_mem_node *root)
{
    if (root) take_ref(&root->refs);
    return root;
}

/* Not recursive: dead nodes wait in a list threaded through themselves. */
void
hwi_mem_unref(hwi_mem_node *root)
{
    node *dead = NULL;

    if (root && drop_ref(&root->refs)) {
        root->as.next_dead = NULL;
        dead = root;
    }
    while (dead) {
        node *n = dead;
        node *children[2] = {n->left, n->right};
        dead = n->as.next_dead;
        for (int i = 0; i < 2; i++) {
            if (!children[i] || !drop_ref(&children[i]->refs)) continue;
            children[i]->as.next_dead = dead;
            dead = children[i];
        }
        cell_unref(n->cell);
        hwi_free(n);
    }
}

/* ---- nodes */

/* Takes over the caller's reference on c. */
static node *
node_new(cell *c, uint64_t stamp)
{
    node *n = hwi_alloc_zero(sizeof *n);
    if (!n) return NULL;
    n->cell = c;
    n->stamp = stamp;
    n->as.priority = hwi_checksum(c->key.data, c->key.size);
    atomic_init(&n->refs, 1);
    return n;
}

/* Makes sure that *at, a place inside the tree being changed, holds a node of that tree. */
static bool
own(hwi_mem_tree *tree, node **at)
{
    node *shared = *at;
    HWI_ASSERT(shared != NULL);
    if (shared->stamp == tree->stamp) return true;

    node *mine = hwi_alloc(sizeof *mine);
    if (!mine) return false;
    mine->left = hwi_mem_ref(shared->left);
    mine->right = hwi_mem_ref(shared->right);
    take_ref(&shared->cell->refs);
    mine->cell = shared->cell;
    mine->stamp = tree->stamp;
    mine->as.priority = shared->as.priority;
    atomic_init(&mine->refs, 1);
    hwi_mem_unref(shared);
    *at = mine;
    return true;
}

/* Whether a belongs above b: higher priority, ties by key so that the shape is unique. */
static bool
above(const node *a, const node *b)
{
    if (a->as.priority != b->as.priority) return a->as.priority > b->as.priority;
    return hwi_mem_compare(a->cell->key, b->cell->key) < 0;
}

static const node *
find(const node *n, hw_bytes key)
{
    while (n) {
        int order = hwi_mem_compare(key, n->cell->key);
        if (order == 0) break;
        n = order < 0 ? n->left : n->right;
    }
    return n;
}

const hwi_mem_cell *
hwi_mem_get(const hwi_mem_node *root, hw_bytes key)
{
    const node *n = find(root, key);
    return n ? n->cell : NULL;
}

/* ---- changing */

/* Owned copies of the nodes down to the place where key is, or where a node above `limit` is no
 * longer found (limit NULL: down to the key). */
static bool
descend(hwi_mem_tree *tree, hw_bytes key, const node *limit, node ***place)
{
    node **at = &tree->root;

    while (*at && (!limit || above(*at, limit))) {
        int order = hwi_mem_compare(key, (*at)->cell->key);
        if (order == 0) break;
        if (!own(tree, at)) return false;
        at = order < 0 ? &(*at)->left : &(*at)->right;
    }
    *place = at;
    return true;
}

/* Puts n at `at`, and what was there to its left and right. */
static bool
split_under(hwi_mem_tree *tree, node **at, node *n)
{
    node *rest = *at;
    node **left = &n->left, **right = &n->right;
    bool ok = true;

    *at = n;
    while (rest && (ok = own(tree, &rest))) {
        if (hwi_mem_compare(rest->cell->key, n->cell->key) < 0) {
            *left = rest;
            left = &rest->right;
            rest = rest->right;
        } else {
            *right = rest;
            right = &rest->left;
            rest = rest->left;
        }
    }
    *left = rest; /* NULL, or after a failure somewhere it can be freed from */
    *right = NULL;
    return ok;
}

static bool
replace_value(hwi_mem_tree *tree, hw_bytes key, cell *c)
{
    node **at = NULL;

    if (!descend(tree, key, NULL, &at) || !own(tree, at)) {
        cell_unref(c);
        return false;
    }
    cell_unref((*at)->cell);
    (*at)->cell = c;
    return true;
}

bool
hwi_mem_put(hwi_mem_tree *tree, hw_bytes key, hw_bytes value)
{
    node **at = NULL;
    cell *c = cell_new(key, value);
    if (!c) return false;
    if (find(tree->root, key)) return replace_value(tree, key, c);

    node *n = node_new(c, tree->stamp);
    if (!n) {
        cell_unref(c);
        return false;
    }
    if (!descend(tree, c->key, n, &at)) {
        hwi_mem_unref(n);
        return false;
    }
    tree->keys++;
    return split_under(tree, at, n);
}

/* Joins two trees, all keys of `left` below those of `right`, at `at`. */
static bool
merge_at(hwi_mem_tree *tree, node **at, node *left, node *right)
{
    while (left && right) {
        bool left_first = above(left, right);
        node **top = left_first ? &left : &right;
        if (!own(tree, top)) {
            hwi_mem_unref(right);
            *at = left;
            return false;
        }
        *at = *top;
        at = left_first ? &(*at)->right : &(*at)->left;
        *top = *at;
    }
    *at = left ? left : right;
    return true;
}

bool
hwi_mem_del(hwi_mem_tree *tree, hw_bytes key, bool *existed)
{
    node **at = NULL;

    *existed = find(tree->root, key) != NULL;
    if (!*existed) return true;
    if (!descend(tree, key, NULL, &at) || !own(tree, at)) return false;

    node *gone = *at;
    node *left = gone->left, *right = gone->right;
    gone->left = gone->right = NULL;
    hwi_mem_unref(gone);
    tree->keys--;
    return merge_at(tree, at, left, right);
}

/* ---- walking */

/* A path deeper than its room forgets its oldest nodes; when it runs empty they are found again. */
static void
push(hwi_mem_cursor *c, const node *n)
{
    if (c->depth == HWI_MEM_PATH) {
        memmove(c->path, c->path + 1, (HWI_MEM_PATH - 1) * sizeof *c->path);
        c->depth--;
        c->forgot = true;
    }
    c->path[c->depth++] = n;
}

/* Descends from the root to `key`, keeping the nodes beyond it; `past` leaves out key itself. */
static void
descend_path(hwi_mem_cursor *c, hw_bytes key, bool past)
{
    const node *n = c->root;

    c->depth = 0;
    c->forgot = false;
    while (n) {
        int order = hwi_mem_compare(n->cell->key, key);
        bool beyond = c->reverse ? order < 0 : order > 0 || (order == 0 && !past);
        if (beyond) push(c, n);
        n = beyond == c->reverse ? n->right : n->left;
    }
}

/* n and its children on the near side, all of which come before its far side. */
static void
push_edge(hwi_mem_cursor *c, const node *n)
{
    while (n) {
        push(c, n);
        n = c->reverse ? n->right : n->left;
    }
}

void
hwi_mem_seek(hwi_mem_cursor *c, const hwi_mem_node *root, hw_bytes from, bool reverse)
{
    c->root = root;
    c->reverse = reverse;
    c->depth = 0;
    c->forgot = false;
    if (from.size == 0)
        push_edge(c, root);
    else
        descend_path(c, from, false);
}

const hwi_mem_cell *
hwi_mem_next(hwi_mem_cursor *c)
{
    if (c->depth == 0 && c->forgot) descend_path(c, c->last, true);
    if (c->depth == 0) return NULL;

    const node *n = c->path[--c->depth];
    push_edge(c, c->reverse ? n->left : n->right);
    c->last = n->cell->key;
    return n->cell;
}

/* By walking: neighbours in key order ascend. By looking: no child belongs above its parent. */
bool
hwi_mem_check(const hwi_mem_node *root)
{
    hwi_mem_cursor c;
    hw_bytes before = {NULL, 0};
    bool first = true;

    hwi_mem_seek(&c, root, before, false);
    while (c.depth > 0 || c.forgot) {
        const node *n = c.depth ? c.path[c.depth - 1] : NULL;
        if (n && n->left && above(n->left, n)) return false;
        if (n && n->right && above(n->right, n)) return false;
        const cell *at = hwi_mem_next(&c);
        if (!at) break;
        if (!first && hwi_mem_compare(before, at->key) >= 0) return false;
        before = at->key;
        first = false;
    }
    return true;
}
