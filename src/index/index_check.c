/* index_check.c - verifying the invariants I1 to I6 of index.c, leaf by leaf.
 *
 * Every leaf's pages are read with their checksums, every row is encoded anew from its vector and
 * compared with what the page says: codes must be equal bit for bit, since the same library made
 * them; the floats beside them may differ in the last places between machines.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "index/index_impl.h"
#include "index/search_impl.h"

#define TOLERANCE 1e-3f
#define ROTATION_ERROR 2e-6 /* of y, as a share of the vector's length */

typedef struct checking {
    hwi_index_view *v;
    const roaring_bitmap_t *live;
    hw_damage_fn damage;
    void *arg;
    hw_error *err;
    roaring_bitmap_t *seen; /* slots found in leaves */
    hwi_page_table *locs;
    float *x, *y, *encode;
    uint8_t *codes;
} checking;

static void report(const checking *c, const char *format, ...) HW_PRINTF(2, 3);

static void
report(const checking *c, const char *format, ...)
{
    char where[96], what[256];
    va_list args;

    (void)snprintf(where, sizeof where, "collection %u, vector field %u, index", c->v->ix->coll,
                   c->v->ix->field.number);
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    c->damage(c->arg, where, what);
}

static hw_status
loc_of(const checking *c, uint32_t slot, uint32_t *node)
{
    const uint8_t *page;

    *node = HWI_NODE_NONE;
    HWI_TRY(hwi_page_table_get(c->locs, slot / HWI_LOCS_PER_PAGE, &page, c->err));
    if (page)
        *node = hwi_get_u32(page + HWI_PAGE_HEADER + 4 * (size_t)(slot % HWI_LOCS_PER_PAGE)) - 1;
    return HW_OK;
}

static bool
near(float a, float b)
{
    return fabsf(a - b) <= TOLERANCE * (1 + fabsf(a) + fabsf(b));
}

static double
length_of(const float *x, uint32_t n)
{
    double sum = 0;

    for (uint32_t j = 0; j < n; j++) sum += (double)x[j] * x[j];
    return sqrt(sum);
}

/* Whether a vector lies so close to the centre that its residual on the axes is mostly rounding, as
 * in a leaf of duplicates: its signature is then chance, and differs between ways to rotate. */
static bool
is_rounding(const checking *c, const hwi_centre *centre)
{
    const hwi_model *m = c->v->model;
    double length = length_of(c->x, m->dim) + length_of(centre->x, m->dim), residual = 0;

    for (uint32_t j = 0; j < m->dc; j++)
        residual += ((double)c->y[j] - centre->y[j]) * ((double)c->y[j] - centre->y[j]);
    return sqrt(residual) < 256 * ROTATION_ERROR * length;
}

static uint32_t
signature_differences(const hwi_model *m, const uint8_t *block, uint32_t lane, const hwi_code *code)
{
    const uint8_t *as = block + (size_t)m->words * 64 + lane * 4;
    uint32_t wrong = 0;

    for (uint32_t w = 0; w < m->words; w++)
        wrong +=
            (uint32_t)__builtin_popcount(hwi_get_u32(block + w * 64 + lane * 4) ^ code->words[w]);
    /* a is a difference of large terms, and one flipped sign moves it by its share of the centre */
    bool a_is_off = wrong == 0 && fabsf(hwi_get_f32(as) - code->a) > TOLERANCE * code->radius_sq &&
                    !near(hwi_get_f32(as), code->a);
    if (a_is_off || !near(hwi_get_f32(as + 64), code->s)) wrong += m->bits;
    return wrong;
}

/* Components of two refine codes that are more than a step apart. */
static uint32_t
code_differences(const hwi_model *m, const uint8_t *a, const uint8_t *b)
{
    uint32_t wrong = 0;

    for (uint32_t j = 0; j < hwi_leaf_code_bytes(m); j++) {
        if (m->code_bits == 8) {
            wrong += (uint32_t)(abs(a[j] - b[j]) > 1);
            continue;
        }
        wrong += (uint32_t)(abs((a[j] & 15) - (b[j] & 15)) > 1);
        wrong += (uint32_t)(abs((a[j] >> 4) - (b[j] >> 4)) > 1);
    }
    return wrong;
}

/* I3: what the page says of one row against what its vector gives. */
static void
check_codes(const checking *c, const hwi_leaf_ref *leaf, uint32_t node, uint32_t row,
            const hwi_centre *centre, const hwi_code *code)
{
    const hwi_model *m = c->v->model;
    const uint8_t *block = leaf->page.blocks + row / 16 * hwi_leaf_block_bytes(m);
    uint32_t code_bytes = hwi_leaf_code_bytes(m), wrong = 0;

    if (m->words == 0) return;
    if (!is_rounding(c, centre)) wrong = signature_differences(m, block, row % 16, code);
    const uint8_t *refine = hwi_leaf_ref_row(c->v, leaf, row);
    wrong += code_differences(m, refine, c->codes);
    float ra = hwi_get_f32(refine + code_bytes);
    if ((fabsf(ra - code->ra) > TOLERANCE * code->radius_sq && !near(ra, code->ra)) ||
        !near(hwi_get_f32(refine + code_bytes + 4), code->rs))
        wrong += m->bits;
    if (wrong > m->bits / 64) /* a sign may flip where a component is all but zero */
        report(c, "leaf %u: the code of slot %u is not its vector's (%u differences)", node,
               leaf->page.slots[row], wrong);
}

static hw_status
check_row(checking *c, const hwi_leaf_ref *leaf, uint32_t position, uint32_t row,
          const hwi_centre *centre)
{
    const hwi_model *m = c->v->model;
    uint32_t node = c->v->tree->leaf_node[position], slot = leaf->page.slots[row], loc;
    const uint8_t *vector;
    hwi_code code;

    if (!roaring_bitmap_contains(c->live, slot)) {
        report(c, "leaf %u holds slot %u, which is free", node, slot);
        return HW_OK;
    }
    if (!roaring_bitmap_add_checked(c->seen, slot))
        report(c, "slot %u is in leaf %u and in another", slot, node);
    HWI_TRY(loc_of(c, slot, &loc));
    if (loc != node) report(c, "slot %u is in leaf %u, its location says %u", slot, node, loc);
    HWI_TRY(hwi_space_row(&c->v->ix->space, c->v->vecs, slot, &vector, c->err));
    if (!vector || hwi_vec_inv_norm(vector, m->dim) == 0) {
        report(c, "leaf %u holds slot %u, which has no vector", node, slot);
        return HW_OK;
    }
    hwi_model_frame(m, hwi_vec_row(vector), hwi_vec_inv_norm(vector, m->dim), c->x);
    hwi_model_axes(m, c->x, c->y);
    hwi_lsh_encode(m, centre, c->x, c->y, c->encode, &code, c->codes);
    check_codes(c, leaf, node, row, centre, &code);
    const hwi_bounds *bounds = &c->v->tree->bounds[position];
    float radius = sqrtf(code.radius_sq);
    if (radius > bounds->radius * (1 + TOLERANCE) + 1e-6f ||
        radius > leaf->page.radius * (1 + TOLERANCE) + 1e-6f)
        report(c, "leaf %u: slot %u lies at %g, outside its radius %g", node, slot, (double)radius,
               (double)HWI_MIN(bounds->radius, leaf->page.radius));
    double away = sqrt((double)hwi_bounds_box_sq(bounds, c->y, m->dc));
    if (away > (double)TOLERANCE * radius + 256 * ROTATION_ERROR * length_of(c->x, m->dim))
        report(c, "leaf %u: slot %u lies outside its box", node, slot);
    return HW_OK;
}

static void
check_parts(checking *c, uint32_t node, uint32_t parts)
{
    hwi_key key;
    hw_bytes value;

    for (uint32_t p = 0; p <= parts; p++) {
        hwi_key_leaf(&key, c->v->ix->coll, c->v->ix->field.number, c->v->state.generation, node, p);
        hw_status st = hwi_store_get(c->v->txn, hwi_key_view(&key), &value, NULL);
        uint32_t row_bytes =
            p ? hwi_leaf_row_bytes(c->v->model) : (uint32_t)(value.size - HWI_PAGE_HEADER);
        if (st == HW_OK)
            st = hwi_page_verify(value, p ? HWI_PAGE_MAGIC_REF : HWI_PAGE_MAGIC_LEAF, row_bytes,
                                 NULL);
        if (st != HW_OK) report(c, "leaf %u: part %u: %s", node, p, hw_status_text(st));
    }
}

static hw_status
check_leaf(checking *c, uint32_t position)
{
    const hwi_model *m = c->v->model;
    uint32_t node = c->v->tree->leaf_node[position];
    const hwi_leaf_ref *leaf;
    hw_error why;

    hw_status st = hwi_view_leaf(c->v, position, &leaf, &why);
    if (st == HW_ECORRUPT) {
        report(c, "%s", why.message);
        return HW_OK;
    }
    HWI_TRY(st);
    check_parts(c, node, leaf->part_count);
    float *z = hwi_alloc_aligned(m->bits * sizeof *z);
    if (!z) return hwi_nomem(c->err, m->bits * sizeof *z);
    hwi_model_hash(m, leaf->page.pcentre, z);
    hwi_centre centre = {leaf->page.centre, leaf->page.pcentre, z};
    for (uint32_t row = 0; st == HW_OK && row < leaf->page.count; row++)
        st = check_row(c, leaf, position, row, &centre);
    hwi_free(z);
    return st;
}

/* I5: links agree, one root, nobody unreachable. */
static void
check_tree(const checking *c)
{
    const hwi_tree *t = c->v->tree;
    uint32_t roots = 0;

    for (uint32_t i = 0; i < t->node_count; i++) {
        const hwi_node *n = &t->nodes[i];
        if (!n->used) continue;
        if (n->parent == HWI_NODE_NONE) {
            roots++;
        } else if (n->parent >= t->node_count || !t->nodes[n->parent].used ||
                   (t->nodes[n->parent].left != i && t->nodes[n->parent].right != i)) {
            report(c, "tree node %u is no child of its parent %u", i, n->parent);
        }
        if (n->position != HWI_NODE_NONE) continue;
        for (uint32_t side = 0; side < 2; side++) {
            uint32_t child = side ? n->right : n->left;
            if (child >= t->node_count || !t->nodes[child].used || t->nodes[child].parent != i)
                report(c, "tree node %u has no child %u", i, child);
        }
    }
    if (c->v->model->kind != HWI_LSH && roots != 1) report(c, "tree has %u roots", roots);
}

/* I1 and I6: every live slot with the vector was found, and as many as the state says. */
static hw_status
check_completeness(const checking *c)
{
    const hwi_space *space = &c->v->ix->space;
    roaring_uint32_iterator_t it;
    uint64_t with_vector = 0;

    for (roaring_init_iterator(c->live, &it); it.has_value; roaring_advance_uint32_iterator(&it)) {
        const uint8_t *row;
        HWI_TRY(hwi_space_row(space, c->v->vecs, it.current_value, &row, c->err));
        if (!row || hwi_vec_inv_norm(row, space->dim) == 0) continue;
        with_vector++;
        if (c->seen && !roaring_bitmap_contains(c->seen, it.current_value))
            report(c, "slot %u has the vector but is in no leaf", it.current_value);
    }
    if (with_vector != c->v->state.vectors)
        report(c, "%llu points have the vector, the state counts %llu",
               (unsigned long long)with_vector, (unsigned long long)c->v->state.vectors);
    return HW_OK;
}

static hw_status
check_generation(checking *c)
{
    const hwi_model *m = c->v->model;
    hwi_key prefix;
    hw_status st = HW_OK;

    c->seen = roaring_bitmap_create();
    c->x = hwi_alloc_aligned(m->dim * sizeof *c->x);
    c->y = hwi_alloc_aligned(m->out_dims * sizeof *c->y);
    c->encode = hwi_alloc_aligned(hwi_lsh_scratch_floats(m) * sizeof *c->encode);
    c->codes = hwi_alloc(hwi_leaf_code_bytes(m));
    if (!c->seen || !c->x || !c->y || !c->encode || !c->codes)
        return hwi_nomem(c->err, m->dim * sizeof *c->x);
    hwi_generation_key(&prefix, HWI_SUB_LOC, c->v->ix->coll, c->v->ix->field.number,
                       c->v->state.generation);
    uint32_t pages = (c->v->slots_below + HWI_LOCS_PER_PAGE - 1) / HWI_LOCS_PER_PAGE;
    HWI_TRY(hwi_page_table_new(c->v->txn, hwi_key_view(&prefix), pages, HWI_PAGE_MAGIC_LOC,
                               HWI_LOCS_PER_PAGE, 4, &c->locs, c->err));
    check_tree(c);
    for (uint32_t p = 0; st == HW_OK && p < c->v->tree->leaf_count; p++) st = check_leaf(c, p);
    return st;
}

hw_status
hwi_index_check(hwi_index_view *v, const roaring_bitmap_t *live, hw_damage_fn damage, void *arg,
                hw_error *err)
{
    checking c = {.v = v, .live = live, .damage = damage, .arg = arg, .err = err};

    hw_status st = v->model ? check_generation(&c) : HW_OK;
    if (st == HW_OK) st = check_completeness(&c);
    if (c.seen) roaring_bitmap_free(c.seen);
    hwi_page_table_free(c.locs);
    hwi_free(c.x);
    hwi_free(c.y);
    hwi_free(c.encode);
    hwi_free(c.codes);
    return st;
}
