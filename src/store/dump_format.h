/* dump_format.h - the layout of a dump file, shared by its writer (dump.c) and reader (load.c).
 *
 *     header  64 bytes   0 "hashdump", of one collection "hashcoll"   8 u32 dump version 1   12 u32 store format   16 uuid
 *                       32 u64 creation time of the database   40 u64 snapshot   48 u64 keys, or 0
 *                       56 u64 checksum of bytes 0 to 55
 *     block   24 bytes   0 u32 "blk1"   4 u32 raw bytes   8 u32 stored bytes   12 u32 entries
 *                       16 u64 checksum of the stored bytes, combined with bytes 0 to 15
 *             and the stored bytes: one zstd frame of `entries` times
 *                        0 u16 key bytes   2 u32 value bytes   6 key, value
 *     ... more blocks, keys ascending through all of them ...
 *     trailer 40 bytes   0 u32 "end1"   4 u32 0   8 u64 keys   16 u64 blocks
 *                       24 u64 the block checksums folded together
 *                       32 u64 checksum of bytes 0 to 31
 *
 * All numbers little-endian, all checksums XXH3-64. Nothing follows the trailer.
 */
#ifndef HWI_DUMP_FORMAT_H
#define HWI_DUMP_FORMAT_H

#include "store/store.h"

#define HWI_DUMP_VERSION 1u
#define HWI_DUMP_MAGIC "hashdump"            /* a whole store */
#define HWI_DUMP_MAGIC_COLLECTION "hashcoll" /* a manifest, and the keys of one collection */
#define HWI_DUMP_MANIFEST 5u                 /* in a collection's dump the first key is META (5) */
#define HWI_DUMP_HEADER 64u
#define HWI_DUMP_BLOCK_MAGIC 0x316b6c62u /* "blk1" */
#define HWI_DUMP_BLOCK_HEADER 24u
#define HWI_DUMP_END_MAGIC 0x31646e65u /* "end1" */
#define HWI_DUMP_TRAILER 40u
#define HWI_DUMP_ENTRY 6u /* before key and value */

/* A block is closed once it holds this much; the last entry may carry it beyond. */
#define HWI_DUMP_BLOCK_BYTES ((size_t)1 << 20)
#define HWI_DUMP_BLOCK_MAX                                                                         \
    (HWI_DUMP_BLOCK_BYTES + HWI_DUMP_ENTRY + HWI_STORE_KEY_MAX + HWI_STORE_VALUE_MAX)

/* Checksum of a block: its header counts as much as its contents. */
static inline uint64_t
hwi_dump_block_checksum(const uint8_t header[HWI_DUMP_BLOCK_HEADER], const void *stored,
                        size_t bytes)
{
    return hwi_checksum(stored, bytes) ^ hwi_checksum(header, 16);
}

/* Folds one more block checksum into those before it; order matters. */
static inline uint64_t
hwi_dump_fold(uint64_t before, uint64_t checksum)
{
    uint8_t both[16];
    hwi_put_u64(both, before);
    hwi_put_u64(both + 8, checksum);
    return hwi_checksum(both, sizeof both);
}

#endif
