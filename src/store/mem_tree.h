/* mem_tree.h - an ordered map with snapshots: the data structure inside the mem backend.
 *
 * A tree is one pointer; copying that pointer and taking a reference is a snapshot. Nodes that any
 * other snapshot can see are never changed. A snapshot may be read by any number of threads while
 * one thread changes a later tree.
 */
#ifndef HWI_MEM_TREE_H
#define HWI_MEM_TREE_H

#include "base/base.h"

/* One key and its value, immutable. */
typedef struct hwi_mem_cell {
    atomic_size_t refs;
    hw_bytes key, value; /* into `memory` */
    void *memory;
} hwi_mem_cell;

typedef struct hwi_mem_node hwi_mem_node;

/* A tree being changed. Nodes stamped with `stamp` were made for it and may be changed in place. */
typedef struct hwi_mem_tree {
    hwi_mem_node *root;
    uint64_t stamp; /* never used by another tree of this store */
    uint64_t keys;
} hwi_mem_tree;

/* Takes a reference on a snapshot, and drops one. NULL is the empty tree. */
hwi_mem_node *hwi_mem_ref(hwi_mem_node *root);
void hwi_mem_unref(hwi_mem_node *root);

/* Byte order; a prefix sorts before what it is a prefix of. */
int hwi_mem_compare(hw_bytes a, hw_bytes b);

const hwi_mem_cell *hwi_mem_get(const hwi_mem_node *root, hw_bytes key);

/* False when memory ran out: the tree may then have lost keys and can only be dropped. */
HW_CHECKED bool hwi_mem_put(hwi_mem_tree *tree, hw_bytes key, hw_bytes value);
HW_CHECKED bool hwi_mem_del(hwi_mem_tree *tree, hw_bytes key, bool *existed);

/* Walks keys in order. The tree must not change meanwhile. */
#define HWI_MEM_PATH 64
typedef struct hwi_mem_cursor {
    const hwi_mem_node *root;
    const hwi_mem_node *path[HWI_MEM_PATH]; /* nodes still to be given, the next one last */
    size_t depth;
    bool reverse;
    bool forgot; /* the path had no room for the oldest nodes */
    hw_bytes last;
} hwi_mem_cursor;

/* Before the first key not below `from`; or, in reverse, before the last key below `from` (empty:
 * the last of all). */
void hwi_mem_seek(hwi_mem_cursor *c, const hwi_mem_node *root, hw_bytes from, bool reverse);
/* The next cell, or NULL at the end. */
const hwi_mem_cell *hwi_mem_next(hwi_mem_cursor *c);

/* For tests: whether keys ascend and priorities descend everywhere. */
bool hwi_mem_check(const hwi_mem_node *root);

#endif
