/* Any bytes as a backup file: loading ends in a status, and a file that is accepted leaves a sound
 * store.
 *
 * Checksums would keep a fuzzer outside for ever, so they are put right first where the bytes have
 * the shape of a dump: the input's header, blocks and trailer keep what they say but for those. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/dump.h"
#include "store/dump_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
demand(bool condition)
{
    if (!condition) abort();
}

static void
mend_checksums(uint8_t *b, size_t size)
{
    size_t at = HWI_DUMP_HEADER;
    uint64_t folded = 0;

    if (size < at) return;
    hwi_put_u64(b + 56, hwi_checksum(b, 56));
    while (size - at >= HWI_DUMP_BLOCK_HEADER && hwi_get_u32(b + at) == HWI_DUMP_BLOCK_MAGIC) {
        size_t stored = hwi_get_u32(b + at + 8);
        if (stored > size - at - HWI_DUMP_BLOCK_HEADER) return;
        uint64_t sum = hwi_dump_block_checksum(b + at, b + at + HWI_DUMP_BLOCK_HEADER, stored);
        hwi_put_u64(b + at + 16, sum);
        folded = hwi_dump_fold(folded, sum);
        at += HWI_DUMP_BLOCK_HEADER + stored;
    }
    if (size - at < HWI_DUMP_TRAILER) return;
    hwi_put_u64(b + at + 24, folded);
    hwi_put_u64(b + at + 32, hwi_checksum(b + at, 32));
}

static hw_status
load(const uint8_t *data, size_t size)
{
    hw_error err = {0};
    hw_store *to;

    int fd = memfd_create("dump", MFD_CLOEXEC);
    demand(fd >= 0);
    demand(write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    demand(hwi_store_mem_new(&to, &err) == HW_OK);
    hw_status st = hwi_store_load_fd(fd, "dump", to, NULL, NULL, &err);
    if (st == HW_OK)
        demand(hwi_store_meta_check(to, false, NULL, &err) == HW_OK);
    else
        demand((st == HW_ECORRUPT || st == HW_EVERSION) && err.message[0]);
    hwi_store_close(to);
    close(fd);
    return st;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)!load(data, size);
    uint8_t *mended = malloc(size + 1);
    if (!mended) return 0;
    if (size) memcpy(mended, data, size);
    mend_checksums(mended, size);
    (void)!load(mended, size);
    free(mended);
    return 0;
}
