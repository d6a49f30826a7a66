/* flat_search.c - comparing with everything: the reference, and the fastest way when there is
 * little to compare.
 *
 * Vectors lie on pages by slot, so a full scan reads memory once, front to back. When a filter
 * leaves few slots, only their rows are read. Both give the definition of an exact answer: all
 * others are measured against them.
 */
#include <math.h>

#include "index/search_impl.h"

#define ROWS_AT_ONCE 64u

/* Adds a distance if it counts. Payload tests come last: they are the dearest. */
static inline void
consider(hwi_search_run *run, float distance, uint32_t slot)
{
    if (!(distance <= run->top.worst) || distance > run->max_distance || distance == INFINITY)
        return;
    if (!hwi_may(run->accept, slot) || !hwi_accepted(run->accept, slot)) {
        run->trace->filtered_out++;
        return;
    }
    hwi_top_add(&run->top, distance, slot);
}

hw_status
hwi_flat_search(hwi_search_run *run, hw_error *err)
{
    hwi_index_view *v = run->v;
    const hwi_space *space = &v->ix->space;
    uint32_t per_page = space->rows_per_page;
    float distance[ROWS_AT_ONCE];

    for (uint32_t first = 0; first < v->slots_below; first += per_page) {
        const uint8_t *page;
        HWI_TRY(hwi_stop_check(&run->trace->stop, err));
        HWI_TRY(hwi_page_table_get(v->vecs, first / per_page, &page, err));
        if (!page) continue;
        uint32_t rows = HWI_MIN(per_page, v->slots_below - first);
        for (uint32_t at = 0; at < rows; at += ROWS_AT_ONCE) {
            uint32_t n = HWI_MIN(rows - at, ROWS_AT_ONCE);
            hwi_space_rows(space, run->s->prepared,
                           page + HWI_PAGE_HEADER + (size_t)at * space->row_bytes, n, distance);
            for (uint32_t i = 0; i < n; i++) consider(run, distance[i], first + at + i);
        }
        run->trace->scanned += rows, run->trace->exact += rows;
    }
    return HW_OK;
}

hw_status
hwi_exact_add(hwi_search_run *run, const uint32_t *slots, size_t count, hw_error *err)
{
    hwi_index_view *v = run->v;
    const uint8_t *rows[HWI_SPACE_GATHER_MAX];
    float distance[HWI_SPACE_GATHER_MAX];
    uint32_t kept[HWI_SPACE_GATHER_MAX];

    hwi_page_table_want(v->vecs, slots, count);
    while (count > 0) {
        size_t take = HWI_MIN(count, (size_t)HWI_SPACE_GATHER_MAX), n = 0;
        for (size_t i = 0; i < take; i++) {
            HWI_TRY(hwi_space_row(&v->ix->space, v->vecs, slots[i], &rows[n], err));
            if (rows[n]) kept[n++] = slots[i];
        }
        hwi_space_gather(&v->ix->space, run->s->prepared, rows, n, distance);
        run->trace->exact += n;
        for (size_t i = 0; i < n; i++) consider(run, distance[i], kept[i]);
        slots += take, count -= take;
    }
    return HW_OK;
}

hw_status
hwi_gather_search(hwi_search_run *run, hw_error *err)
{
    uint32_t slots[HWI_SPACE_GATHER_MAX];
    roaring_uint32_iterator_t it;
    uint32_t n;

    roaring_init_iterator(run->accept->may, &it);
    while ((n = roaring_read_uint32_iterator(&it, slots, HWI_SPACE_GATHER_MAX)) > 0) {
        HWI_TRY(hwi_stop_check(&run->trace->stop, err));
        run->trace->scanned += n;
        HWI_TRY(hwi_exact_add(run, slots, n, err));
    }
    return HW_OK;
}
