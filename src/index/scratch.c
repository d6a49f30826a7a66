/* scratch.c - one block of memory a search, recycled through a short list. */
#include "index/scratch.h"

typedef struct carve {
    uint8_t *base; /* NULL: only measuring */
    size_t used;
} carve;

static void *
take(carve *c, size_t bytes)
{
    void *at = c->base ? c->base + c->used : NULL;

    c->used += (bytes + 63) / 64 * 64;
    return at;
}

/* Lays the arrays out one after the other. */
static size_t
lay_out(hwi_scratch *s, uint8_t *base, uint32_t dim, const hwi_model *m, const hwi_tree *t)
{
    carve c = {base, 0};
    size_t leaves = t ? t->leaf_count + 64 : 0, rows = 2 * (HWI_LEAF_ROWS_MAX + 32);

    s->prepared = take(&c, dim * sizeof(float));
    if (!m) return c.used;
    s->framed = take(&c, dim * sizeof(float));
    s->y = take(&c, m->out_dims * sizeof(float));
    s->z = take(&c, m->bits * sizeof(float));
    s->q8 = take(&c, hwi_leaf_code_dims(m));
    s->bytes = take(&c, HWI_MAX(m->fast_dims, m->rank_dims));
    s->planes = take(&c, sizeof *s->planes);
    s->scores = take(&c, leaves * sizeof *s->scores);
    s->ranked = take(&c, leaves * sizeof *s->ranked);
    s->picked = take(&c, leaves * sizeof *s->picked);
    s->picked_score = take(&c, leaves * sizeof *s->picked_score);
    s->strip = take(&c, leaves * sizeof *s->strip);
    s->strip_score = take(&c, leaves * sizeof *s->strip_score);
    s->row = take(&c, rows * sizeof *s->row);
    s->bound = take(&c, rows * sizeof *s->bound);
    return c.used;
}

static void
scratch_free(hwi_scratch *s)
{
    if (!s) return;
    hwi_free(s->memory);
    hwi_free(s);
}

hwi_scratch *
hwi_scratch_take(hwi_index *ix, const hwi_model *m, const hwi_tree *t)
{
    hwi_scratch measure;
    size_t bytes = lay_out(&measure, NULL, ix->field.dim, m, t);

    pthread_mutex_lock(&ix->lock);
    hwi_scratch *s = ix->scratch;
    if (s) ix->scratch = s->next;
    pthread_mutex_unlock(&ix->lock);
    if (!s) s = hwi_alloc_zero(sizeof *s);
    if (s && s->memory_bytes < bytes) {
        hwi_free(s->memory);
        s->memory_bytes = bytes + bytes / 4;
        s->memory = hwi_alloc_aligned(s->memory_bytes);
        if (!s->memory) {
            scratch_free(s);
            return NULL;
        }
    }
    if (s) lay_out(s, s->memory, ix->field.dim, m, t);
    return s;
}

void
hwi_scratch_give(hwi_index *ix, hwi_scratch *s)
{
    if (!s) return;
    pthread_mutex_lock(&ix->lock);
    s->next = ix->scratch;
    ix->scratch = s;
    pthread_mutex_unlock(&ix->lock);
}

void
hwi_scratch_free_all(hwi_index *ix)
{
    while (ix->scratch) {
        hwi_scratch *s = ix->scratch;
        ix->scratch = s->next;
        scratch_free(s);
    }
}
