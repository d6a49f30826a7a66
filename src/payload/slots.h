/* slots.h - sets of slots: as stored (chunks of 65,536), and while being gathered.
 *
 * A stored chunk is a Roaring bitmap of one container in the portable format, so that any Roaring
 * library reads it; slots keep their upper bits there. Reading it is ours, because bytes from disk
 * are not to be trusted and CRoaring's reader believes the counts in them.
 */
#ifndef HWI_SLOTS_H
#define HWI_SLOTS_H

#include <roaring/roaring.h>

#include "base/base.h"

#define HWI_CHUNK_WORDS 1024u     /* of 64 bits */
#define HWI_CHUNK_BYTES_MAX 8208u /* header and a full bitmap */

static inline uint32_t
hwi_chunk_of(uint32_t slot)
{
    return slot >> 16;
}

/* Adds the slots of a stored chunk to the 65,536 bits at `words`. Any bytes are safe; HW_ECORRUPT
 * leaves words in any state. */
HW_CHECKED hw_status hwi_chunk_read(hw_bytes value, uint32_t chunk, uint64_t *words, hw_error *err);
/* How many slots it says to hold, from its header alone. */
HW_CHECKED hw_status hwi_chunk_count(hw_bytes value, uint32_t chunk, uint32_t *count,
                                     hw_error *err);
/* How many of its slots are among the 65,536 bits at `words`. */
HW_CHECKED hw_status hwi_chunk_count_among(hw_bytes value, uint32_t chunk, const uint64_t *words,
                                           uint32_t *count, hw_error *err);
/* Writes the smallest form to `out` (HWI_CHUNK_BYTES_MAX); returns its bytes, 0 for an empty set.
 */
size_t hwi_chunk_write(const uint64_t *words, uint32_t chunk, uint8_t *out);

/* Number of bits set in `count` words. */
uint32_t hwi_bits_count(const uint64_t *words, size_t count);

/* A set being gathered: one bitmap of 8 kB for every chunk touched. Zero-initialise to start; not
 * for more than one thread. After a failed allocation `failed` is set and adds do nothing. */
typedef struct hwi_slots {
    uint64_t **chunks; /* NULL where nothing was added */
    size_t count;
    bool failed;
} hwi_slots;
/* Bits of a chunk, to add to; NULL when out of memory. */
uint64_t *hwi_slots_chunk(hwi_slots *s, uint32_t chunk);
static inline void
hwi_slots_add(hwi_slots *s, uint32_t slot)
{
    uint64_t *words = hwi_slots_chunk(s, hwi_chunk_of(slot));
    if (words) words[(slot & 0xffff) >> 6] |= (uint64_t)1 << (slot & 63);
}
static inline bool
hwi_slots_has(const hwi_slots *s, uint32_t slot)
{
    uint32_t chunk = hwi_chunk_of(slot);
    const uint64_t *words = chunk < s->count ? s->chunks[chunk] : NULL;
    return words && (words[(slot & 0xffff) >> 6] >> (slot & 63) & 1) != 0;
}
/* Adds every slot of a bitmap. */
HW_CHECKED hw_status hwi_slots_add_all(hwi_slots *s, const roaring_bitmap_t *bitmap, hw_error *err);
void hwi_slots_release(hwi_slots *s);
/* The set as a Roaring bitmap, which the caller frees; HW_ENOMEM also when `failed`. */
HW_CHECKED hw_status hwi_slots_bitmap(const hwi_slots *s, roaring_bitmap_t **out, hw_error *err);

#endif
