/* atomic.c - what atomic operations make of a value.
 *
 * Numbers are little-endian and as long as the operand: a longer value is cut, a shorter one is
 * filled with zeros.
 */
#include "parts.h"

#include <string.h>

bool
sd_atomic_known(int op)
{
    return op == FDB_MUTATION_ADD || (op >= FDB_MUTATION_AND && op <= FDB_MUTATION_APPEND) ||
           (op >= FDB_MUTATION_MAX && op <= FDB_MUTATION_BYTE_MAX) ||
           op == FDB_MUTATION_COMPARE_AND_CLEAR;
}

static int
compare_numbers(const uint8_t *a, const uint8_t *b, size_t size)
{
    while (size-- > 0)
        if (a[size] != b[size]) return a[size] < b[size] ? -1 : 1;
    return 0;
}

static void
add_numbers(uint8_t *sum, const uint8_t *with, size_t size)
{
    unsigned carry = 0;

    for (size_t i = 0; i < size; i++) {
        carry += (unsigned)sum[i] + with[i];
        sum[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

static void
combine(int op, uint8_t *out, const uint8_t *param, size_t size)
{
    switch (op) {
    case FDB_MUTATION_ADD:
        add_numbers(out, param, size);
        return;
    case FDB_MUTATION_MAX:
        if (compare_numbers(out, param, size) < 0) memcpy(out, param, size);
        return;
    case FDB_MUTATION_MIN:
        if (compare_numbers(out, param, size) > 0) memcpy(out, param, size);
        return;
    default:
        break;
    }
    for (size_t i = 0; i < size; i++) {
        if (op == FDB_MUTATION_AND) out[i] &= param[i];
        if (op == FDB_MUTATION_OR) out[i] |= param[i];
        if (op == FDB_MUTATION_XOR) out[i] ^= param[i];
    }
}

static bool
append(const sd_bytes *old, sd_bytes param, sd_arena *a, sd_bytes *out)
{
    *out = *old;
    if (old->size + param.size > SD_VALUE_MAX) return true; /* "append if it fits" */
    uint8_t *joined = sd_take(a, old->size + param.size);
    if (old->size) memcpy(joined, old->data, old->size);
    if (param.size) memcpy(joined + old->size, param.data, param.size);
    *out = (sd_bytes){joined, old->size + param.size};
    return true;
}

bool
sd_atomic(int op, const sd_bytes *old, sd_bytes param, sd_arena *a, sd_bytes *out)
{
    *out = param;
    if (op == SD_SET || op == FDB_MUTATION_STAMPED_VALUE) return true;
    if (op == FDB_MUTATION_COMPARE_AND_CLEAR) {
        if (old) *out = *old;
        return old && sd_compare(*old, param) != 0;
    }
    if (!old) return true; /* each of the others leaves its operand at an absent key */
    if (op == FDB_MUTATION_APPEND) return append(old, param, a, out);
    if (op == FDB_MUTATION_BYTE_MIN || op == FDB_MUTATION_BYTE_MAX) {
        bool is_less = sd_compare(*old, param) < 0;
        *out = is_less == (op == FDB_MUTATION_BYTE_MIN) ? *old : param;
        return true;
    }
    uint8_t *number = sd_take(a, param.size);
    size_t common = old->size < param.size ? old->size : param.size;
    memset(number, 0, param.size);
    if (common) memcpy(number, old->data, common);
    combine(op, number, param.data, param.size);
    *out = (sd_bytes){number, param.size};
    return true;
}

bool
sd_stamp_into(sd_bytes *b, const uint8_t stamp[SD_STAMP], sd_arena *a)
{
    if (b->size < 4) return false;
    size_t size = b->size - 4;
    const uint8_t *tail = b->data + size;
    size_t at =
        (size_t)tail[0] | (size_t)tail[1] << 8 | (size_t)tail[2] << 16 | (size_t)tail[3] << 24;
    if (at + SD_STAMP > size) return false;
    uint8_t *out = sd_take(a, size);
    memcpy(out, b->data, size);
    memcpy(out + at, stamp, SD_STAMP);
    *b = (sd_bytes){out, size};
    return true;
}
