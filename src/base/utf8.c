/* utf8.c - one step of UTF-8.
 *
 * The table of well-formed sequences has nine rows; what makes them nine are the second bytes,
 * whose range depends on the first: that is where overlong forms, surrogates and code points above
 * U+10FFFF hide. All further bytes are 80..BF. */
#include "base/base.h"

static bool
is_between(uint8_t byte, uint8_t low, uint8_t high)
{
    return byte >= low && byte <= high;
}

size_t
hwi_utf8_step(const void *text, size_t bytes)
{
    const uint8_t *p = text;
    if (bytes == 0) return 0;
    uint8_t first = p[0];
    if (first < 0x80) return 1;
    if (!is_between(first, 0xC2, 0xF4)) return 0;
    size_t size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (bytes < size) return 0;

    uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (!is_between(p[1], low, high)) return 0;
    for (size_t i = 2; i < size; i++)
        if (!is_between(p[i], 0x80, 0xBF)) return 0;
    return size;
}

bool
hwi_utf8_valid(const void *text, size_t bytes)
{
    const uint8_t *p = text;
    while (bytes > 0) {
        size_t step = hwi_utf8_step(p, bytes);
        if (step == 0) return false;
        p += step;
        bytes -= step;
    }
    return true;
}
