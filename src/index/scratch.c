/* scratch.c - one block of memory a search, recycled through short lists.
 *
 * There is a list to each stripe of threads (base.h): searches on several processors find memory that
 * their own caches still hold, and do not wait for each other. */
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
    s->rest8 = take(&c, hwi_leaf_code_dims(m));
    s->rest = take(&c, dim * sizeof(float));
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
    hwi_scratch_list *list = &ix->scratch[hwi_stripe()];

    pthread_mutex_lock(&list->lock);
    hwi_scratch *s = list->first;
    if (s) list->first = s->next;
    pthread_mutex_unlock(&list->lock);
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
    hwi_scratch_list *list = &ix->scratch[hwi_stripe()];
    pthread_mutex_lock(&list->lock);
    s->next = list->first;
    list->first = s;
    pthread_mutex_unlock(&list->lock);
}

hw_status
hwi_scratch_lists_new(hwi_scratch_list **out, hw_error *err)
{
    *out = hwi_stripes_new(sizeof **out);
    if (!*out) return hwi_nomem(err, hwi_stripe_count() * sizeof **out);
    for (uint32_t i = 0; i < hwi_stripe_count(); i++) pthread_mutex_init(&(*out)[i].lock, NULL);
    return HW_OK;
}

void
hwi_scratch_lists_free(hwi_scratch_list *lists)
{
    for (uint32_t i = 0; lists && i < hwi_stripe_count(); i++) {
        while (lists[i].first) {
            hwi_scratch *s = lists[i].first;
            lists[i].first = s->next;
            scratch_free(s);
        }
        pthread_mutex_destroy(&lists[i].lock);
    }
    hwi_free(lists);
}
