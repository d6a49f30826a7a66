/* Any bytes as a key: reading stays in bounds, and a key that reads to its end encodes to the same
 * bytes again, so no two keys mean the same tuple. */
#include <stdlib.h>

#include "store/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
demand(bool condition)
{
    if (!condition) abort();
}

/* Reads one element and appends it to the copy; false at the end or when malformed. */
static bool
copy_element(hwi_key_reader *r, hwi_key *copy)
{
    uint8_t room[HWI_KEY_ROOM];
    size_t bytes;
    uint64_t u;
    int64_t i;
    double f;
    bool b;

    switch (hwi_key_peek(r)) {
    case HWI_KEY_INT:
        if (hwi_key_read_uint(r, &u, NULL) == HW_OK) return hwi_key_uint(copy, u), true;
        if (hwi_key_read_int(r, &i, NULL) != HW_OK) return false;
        return hwi_key_int(copy, i), true;
    case HWI_KEY_F64:
        if (hwi_key_read_f64(r, &f, NULL) != HW_OK) return false;
        return hwi_key_f64(copy, f), true;
    case HWI_KEY_BOOL:
        if (hwi_key_read_bool(r, &b, NULL) != HW_OK) return false;
        return hwi_key_bool(copy, b), true;
    case HWI_KEY_UUID:
        if (hwi_key_read_uuid(r, room, NULL) != HW_OK) return false;
        return hwi_key_uuid(copy, room), true;
    case HWI_KEY_TEXT:
        if (hwi_key_read_text(r, (char *)room, sizeof room, &bytes, NULL) != HW_OK) return false;
        return hwi_key_text(copy, (char *)room, bytes), true;
    case HWI_KEY_BYTES:
        if (hwi_key_read_bytes(r, room, sizeof room, &bytes, NULL) != HW_OK) return false;
        return hwi_key_bytes(copy, room, bytes), true;
    case HWI_KEY_NULL:
        return hwi_key_null(copy), hwi_key_skip(r, NULL) == HW_OK;
    case HWI_KEY_STAMP: /* only a store writes its bytes */
    case HWI_KEY_END:
    case HWI_KEY_UNKNOWN:
        break;
    }
    return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[HW_ID_TEXT_MAX], line[64];
    hw_error err = {0};
    hwi_key_reader r, skipper;
    hwi_key copy;
    hw_id id;

    hwi_key_init(&copy);
    hwi_key_reader_init(&r, hwi_bytes(data, size));
    skipper = r;
    while (copy_element(&r, &copy)) {
        demand(hwi_key_skip(&skipper, &err) == HW_OK);
        demand(skipper.at == r.at);
    }
    size_t done = (size_t)(r.at - data);
    if (size == 0) done = 0;
    if (done < HWI_KEY_ROOM)
        demand(copy.size == done && (!done || memcmp(copy.data, data, done) == 0));
    demand((hwi_key_read_end(&r, &err) == HW_OK) == (done == size));

    demand(hwi_key_print(hwi_bytes(data, size), line, sizeof line) < sizeof line);
    hwi_key_reader_init(&r, hwi_bytes(data, size));
    if (hwi_key_read_point_id(&r, &id, text, &err) == HW_OK) {
        hwi_key_init(&copy);
        hwi_key_point_id(&copy, &id);
        demand(memcmp(copy.data, data, copy.size) == 0);
    }
    return 0;
}
