/* tree_assign.c - telling rows to their nearest anchors.
 *
 * Rows times anchors grows with the square of the collection, and almost all of it is for nothing: a
 * row lies in a leaf whose anchor is near, and the nearest of all is one of those around it. So the
 * rows of a leaf are compared with the HWI_ASSIGN_AROUND anchors nearest to their own:
 *
 *     leaf's rows  x  panels of the anchors around  ->  hwi_nearest  ->  leaf_of
 *
 * A row whose nearest anchor is farther off moves towards it, and gets there in the next passes. What
 * is lost against comparing with all, and the roads not taken: docs/decisions/partition.md.
 *
 * A thread takes whole leaves and writes leaf_of of their rows alone, so results do not depend on
 * threads.
 */
#include "index/tree/tree_assign.h"

#include <math.h>

#include "index/top.h"
#include "kernel/kernel.h"

#define LEAVES_ONCE 24u /* a thread finds what is around so many anchors at a time */
#define ROWS_ONCE 480u

/* Rows by leaf, and the anchors to choose from. */
typedef struct assigning {
    const hwi_assignment *a;
    const uint8_t *dead; /* only rows of these leaves; NULL: of all */
    float *panels;       /* all anchors */
    float *norms;        /* their squared lengths; INFINITY takes one out of the choice */
    uint32_t *order;     /* rows, leaf by leaf */
    size_t *first;       /* where a leaf's rows begin in order; leaves + 2 of them */
    atomic_size_t moved;
    atomic_bool failed;
} assigning;

/* ---- what all threads share ---- */

/* Squared lengths of vectors, INFINITY of `dead` ones (may be NULL) and beyond the last. */
static void
norms_of(const float *vectors, uint32_t count, uint32_t dc, const uint8_t *dead, float *norms)
{
    const hwi_kernels *kernels = hwi_kernels_active();

    for (uint32_t k = 0; k < count; k++) {
        const float *v = vectors + (size_t)k * dc;
        kernels->dot_rows(v, v, 0, 1, dc, &norms[k]);
        if (dead && dead[k]) norms[k] = INFINITY;
    }
    for (uint32_t k = count; k < count + HWI_PANEL; k++) norms[k] = INFINITY;
}

/* Rows by leaf, in ascending order within one. */
static void
order_rows(assigning *s)
{
    size_t *first = s->first, n = s->a->n;

    memset(first, 0, ((size_t)s->a->leaves + 2) * sizeof *first);
    for (size_t i = 0; i < n; i++) first[s->a->leaf_of[i] + 2]++;
    for (uint32_t k = 0; k < s->a->leaves; k++) first[k + 2] += first[k + 1];
    for (size_t i = 0; i < n; i++) s->order[first[s->a->leaf_of[i] + 1]++] = (uint32_t)i;
}

static void
release(assigning *s)
{
    hwi_free(s->panels);
    hwi_free(s->norms);
    hwi_free(s->order);
    hwi_free(s->first);
}

static hw_status
prepare(assigning *s, hw_error *err)
{
    const hwi_assignment *a = s->a;
    size_t bytes = hwi_size_mul(hwi_panel_floats(a->leaves, a->dc), sizeof *s->panels);

    s->panels = hwi_alloc_aligned(bytes);
    s->norms = hwi_alloc(((size_t)a->leaves + HWI_PANEL) * sizeof *s->norms);
    s->order = hwi_alloc(a->n * sizeof *s->order);
    s->first = hwi_alloc(((size_t)s->a->leaves + 2) * sizeof *s->first);
    if (!s->panels || !s->norms || !s->order || !s->first) {
        release(s);
        return hwi_nomem(err, bytes);
    }
    hwi_pack_panels(a->anchors, a->leaves, a->dc, s->panels);
    norms_of(a->anchors, a->leaves, a->dc, s->dead, s->norms);
    order_rows(s);
    return HW_OK;
}

/* ---- one thread's leaves ---- */

typedef struct workroom {
    float *y;        /* ROWS_ONCE rows side by side; one piece of memory with what follows */
    float *products; /* of LEAVES_ONCE anchors with all anchors */
    float *panels;   /* of the anchors around one */
    float *norms;
    hwi_top_entry *entries; /* all anchors, those around one first */
} workroom;

static bool
room_new(const assigning *s, workroom *r)
{
    size_t dc = s->a->dc, y = ROWS_ONCE * dc, panels = hwi_panel_floats(HWI_ASSIGN_AROUND, dc);
    size_t norms = HWI_ASSIGN_AROUND + 2 * HWI_PANEL;
    size_t floats = y + panels + norms + hwi_size_mul(LEAVES_ONCE, s->a->leaves);

    r->y = hwi_alloc_aligned(hwi_size_mul(floats, sizeof *r->y));
    r->entries = hwi_alloc(s->a->leaves * sizeof *r->entries);
    if (!r->y || !r->entries) return false;
    r->panels = r->y + y;
    r->norms = r->panels + panels;
    r->products = r->norms + norms;
    return true;
}

/* Brings the anchors nearest to one to the front of entries; `products` are its with all. */
static uint32_t
pick_around(const assigning *s, const float *products, workroom *r)
{
    uint32_t leaves = s->a->leaves, count = HWI_MIN(leaves, HWI_ASSIGN_AROUND);

    for (uint32_t k = 0; k < leaves; k++)
        r->entries[k] = (hwi_top_entry){s->norms[k] - 2 * products[k], k};
    hwi_top_select(r->entries, leaves, count);
    return count;
}

/* The first `count` entries' anchors, side by side in panels, and their squared lengths. */
static void
pack_around(const assigning *s, uint32_t count, workroom *r)
{
    size_t dc = s->a->dc;

    for (uint32_t i = 0; i < hwi_panel_floats(count, 1); i++) {
        uint32_t k = r->entries[HWI_MIN(i, count - 1)].tag; /* beyond the last: any */
        const float *from = s->panels + k / HWI_PANEL * HWI_PANEL * dc + k % HWI_PANEL;
        float *to = r->panels + i / HWI_PANEL * HWI_PANEL * dc + i % HWI_PANEL;
        for (size_t j = 0; j < dc; j++) to[j * HWI_PANEL] = from[j * HWI_PANEL];
        r->norms[i] = i < count ? s->norms[k] : INFINITY;
    }
}

/* Tells a leaf's rows to the nearest of the anchors around; returns how many went elsewhere. */
static size_t
assign_rows(const assigning *s, uint32_t leaf, uint32_t count, workroom *r)
{
    const hwi_assignment *a = s->a;
    uint32_t nearest[ROWS_ONCE];
    float least[ROWS_ONCE];
    size_t moved = 0;

    for (size_t at = s->first[leaf], end = s->first[leaf + 1], rows; at < end; at += rows) {
        rows = HWI_MIN(end - at, (size_t)ROWS_ONCE);
        for (size_t i = 0; i < rows; i++)
            memcpy(r->y + i * a->dc, a->y + (size_t)s->order[at + i] * a->dc, a->dc * sizeof *a->y);
        hwi_nearest(r->y, a->dc, rows, r->panels, r->norms, count, a->dc, least, nearest);
        for (size_t i = 0; i < rows; i++) {
            uint32_t to = nearest[i] < count ? r->entries[nearest[i]].tag : leaf;
            a->leaf_of[s->order[at + i]] = to;
            moved += to != leaf;
        }
    }
    return moved;
}

static void
assign_some(void *arg, size_t chunk)
{
    assigning *s = arg;
    const hwi_assignment *a = s->a;
    uint32_t first = (uint32_t)chunk * LEAVES_ONCE,
             leaves = HWI_MIN(a->leaves - first, LEAVES_ONCE);
    size_t moved = 0;
    workroom r;

    if (room_new(s, &r)) {
        hwi_kernels_active()->product(a->anchors + (size_t)first * a->dc, a->dc, leaves, s->panels,
                                      a->leaves, a->dc, r.products, a->leaves);
        for (uint32_t i = 0; i < leaves; i++) {
            if (s->first[first + i] == s->first[first + i + 1]) continue;
            if (s->dead && !s->dead[first + i]) continue;
            uint32_t count = pick_around(s, r.products + (size_t)i * a->leaves, &r);
            pack_around(s, count, &r);
            moved += assign_rows(s, first + i, count, &r);
        }
        atomic_fetch_add(&s->moved, moved);
    } else {
        atomic_store(&s->failed, true);
    }
    hwi_free(r.y);
    hwi_free(r.entries);
}

hw_status
hwi_assign(const hwi_assignment *a, const uint8_t *dead, size_t *moved, hw_error *err)
{
    assigning s = {.a = a, .dead = dead};

    HWI_TRY(prepare(&s, err));
    hwi_parallel_for(a->threads, (a->leaves + LEAVES_ONCE - 1) / LEAVES_ONCE, assign_some, &s);
    release(&s);
    *moved = atomic_load(&s.moved);
    return atomic_load(&s.failed) ? hwi_nomem(err, LEAVES_ONCE * a->leaves * sizeof(float)) : HW_OK;
}
