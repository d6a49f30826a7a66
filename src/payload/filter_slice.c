/* filter_slice.c - which slice of the id space an id is in.
 *
 * The hash is SipHash-2-4 (Aumasson and Bernstein, 2012) with a zero key, over the 8 little-endian
 * bytes of a number, the 16 bytes of a UUID, or a string's bytes. Qdrant's slices are defined so;
 * with the same hash a scan that was begun there in parts goes on here in the same parts. */
#include "payload/filter_tree.h"

static uint64_t
rotate(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

static void
rounds(uint64_t v[4], unsigned count)
{
    while (count-- > 0) {
        v[0] += v[1], v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0], v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1], v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2], v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

static void
absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    rounds(v, 2);
    v[0] ^= word;
}

static uint64_t
siphash(const uint8_t *data, size_t bytes)
{
    uint64_t v[4] = {0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261,
                     0x7465646279746573}; /* "somepseudorandomlygeneratedbytes" */
    uint64_t last = (uint64_t)bytes << 56;
    size_t whole = bytes / 8 * 8;

    for (size_t i = 0; i < whole; i += 8) absorb(v, hwi_get_u64(data + i));
    for (size_t i = whole; i < bytes; i++) last |= (uint64_t)data[i] << (8 * (i - whole));
    absorb(v, last);
    v[2] ^= 0xff;
    rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
hwi_slice_hash(const hw_id *id)
{
    uint8_t number[8];

    if (id->kind == HW_ID_KIND_UUID) return siphash(id->as.uuid, 16);
    if (id->kind == HW_ID_KIND_TEXT) return siphash((const uint8_t *)id->as.text, id->text_bytes);
    hwi_put_u64(number, id->as.u64);
    return siphash(number, 8);
}
