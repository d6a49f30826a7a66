/* page.c - sizes and bounds of leaf pages. */
#include "index/lsh/page.h"

#include <math.h>

#define OS_PAGE 4096u
#define STORE_PAGE_HEADER 16u /* LMDB puts this before a large value */
#define PAGE_MOST 88000u

static uint32_t
rows_in(uint32_t pages, uint32_t row)
{
    return (pages * OS_PAGE - HWI_PAGE_HEADER - STORE_PAGE_HEADER) / row;
}

static double
fill_of(uint32_t pages, uint32_t row)
{
    return (double)rows_in(pages, row) * row / (pages * OS_PAGE);
}

/* Format 1 of a model: the most rows among counts of pages that are filled about as well. */
static uint32_t
rows_by_fill(uint32_t row)
{
    uint32_t best = 1;
    double best_fill = 0;

    for (uint32_t pages = 2; pages <= HWI_PART_PAGES_MAX; pages++) {
        double fill = fill_of(pages, row);
        if (rows_in(pages, row) > 0 && fill > best_fill - 0.005)
            best = rows_in(pages, row), best_fill = fill;
    }
    return best;
}

/* A part is read, checked and written when one of its rows changes, so it should be small; but
 * half-empty pages are waste. */
uint32_t
hwi_leaf_part_pages(const hwi_model *m)
{
    uint32_t row = hwi_leaf_row_bytes(m);
    double best = 0;

    for (uint32_t pages = 2; pages <= HWI_PART_PAGES_MAX; pages++)
        best = HWI_MAX(best, fill_of(pages, row));
    for (uint32_t pages = 2; pages <= HWI_PART_PAGES_MAX; pages++)
        if (rows_in(pages, row) > 0 && fill_of(pages, row) > best - 0.02) return pages;
    return 0;
}

uint32_t
hwi_leaf_rows_per_part(const hwi_model *m)
{
    uint32_t row = hwi_leaf_row_bytes(m);
    uint32_t rows = m->part_pages ? rows_in(m->part_pages, row) : rows_by_fill(row);

    return HWI_MIN(HWI_MAX(rows, 1u), HWI_MAX(PAGE_MOST / row, 1u));
}

size_t
hwi_leaf_page_bytes(const hwi_model *m, uint32_t count)
{
    return HWI_PAGE_HEADER + (size_t)((count + 15) / 16) * hwi_leaf_block_bytes(m) +
           4 * ((size_t)count + m->dim + m->dc);
}

uint32_t
hwi_leaf_rows_max(const hwi_model *m)
{
    size_t fixed = 4 * ((size_t)m->dim + m->dc) + HWI_PAGE_HEADER;
    size_t room = fixed < PAGE_MOST ? PAGE_MOST - fixed : 0;
    size_t rows = room / (hwi_leaf_block_bytes(m) + 64) * 16;

    return (uint32_t)HWI_MIN(HWI_MAX(rows, 16u), HWI_LEAF_ROWS_MAX);
}

hw_status
hwi_leaf_parse(const hwi_model *m, hw_bytes page, hwi_leaf_page *out, hw_error *err)
{
    const uint8_t *b = page.data;

    if (page.size < HWI_PAGE_HEADER || hwi_get_u32(b) != HWI_PAGE_MAGIC_LEAF)
        return hwi_fail(err, HW_ECORRUPT, "leaf page of %zu bytes is none", page.size);
    uint32_t count = hwi_get_u32(b + 24);
    if (count > HWI_LEAF_ROWS_MAX || hwi_get_u32(b + 28) != m->dim ||
        hwi_get_u32(b + 32) != m->dc || hwi_get_u32(b + 36) != m->words ||
        page.size != hwi_leaf_page_bytes(m, count))
        return hwi_fail(err, HW_ECORRUPT, "leaf page of %zu bytes does not fit its %u rows",
                        page.size, count);
    out->count = count;
    out->block_count = m->words ? (count + 15) / 16 : 0;
    out->radius = hwi_get_f32(b + 40);
    out->blocks = b + HWI_PAGE_HEADER;
    const uint8_t *at = out->blocks + out->block_count * hwi_leaf_block_bytes(m);
    out->slots = (const uint32_t *)(const void *)at;
    out->centre = (const float *)(const void *)(at + 4 * (size_t)count);
    out->pcentre = out->centre + m->dim;
    return HW_OK;
}
