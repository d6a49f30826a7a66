/* base.c - randomness, the clock and checksums.
 *
 * Random numbers decide projections, samples and splits, and those decide answers; so one seed has
 * to give one stream on every machine. Integers come from xoshiro256** and need no more than
 * 64-bit arithmetic. Normal deviates use Leva's ratio of uniforms (ACM TOMS 18, 1992): the value
 * is a quotient, correctly rounded by IEEE 754, and log() only decides the one candidate in a
 * hundred that falls between two quadratic bounds. The usual Box-Muller would put the last bits of
 * log, sin and cos into every value, and those differ between C libraries and processors. */
#include "base/base.h"

#include <math.h>
#include <time.h>
#include <xxhash.h>

static uint64_t
rotate_left(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static uint64_t
splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

void
hwi_rng_init(hwi_rng *r, uint64_t seed)
{
    for (size_t i = 0; i < HWI_COUNT(r->s); i++) r->s[i] = splitmix64(&seed);
}

uint64_t
hwi_rng_next(hwi_rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* Lemire 2019: the high half of a 128-bit product, drawn again while the low half is in the part
 * that would favour some results. */
uint64_t
hwi_rng_below(hwi_rng *r, uint64_t bound)
{
    HWI_ASSERT(bound > 0);
    uint64_t unfair = (0 - bound) % bound; /* 2^64 mod bound */
    for (;;) {
        __extension__ unsigned __int128 wide = (unsigned __int128)hwi_rng_next(r) * bound;
        if ((uint64_t)wide >= unfair) return (uint64_t)(wide >> 64);
    }
}

double
hwi_rng_unit(hwi_rng *r)
{
    return (double)(hwi_rng_next(r) >> 11) * 0x1p-53;
}

double
hwi_rng_normal(hwi_rng *r)
{
    for (;;) {
        double u = 1.0 - hwi_rng_unit(r); /* (0, 1] */
        double v = 1.7156 * (hwi_rng_unit(r) - 0.5);
        double x = u - 0.449871;
        double y = fabs(v) + 0.386595;
        double q = x * x + y * (0.19600 * y - 0.25472 * x);
        if (q < 0.27597) return v / u;
        if (q <= 0.27846 && v * v <= -4.0 * u * u * log(u)) return v / u;
    }
}

uint64_t
hwi_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t
hwi_clock_us(void)
{
    return hwi_clock_ns() / 1000;
}

hw_status
hwi_stop_check(const hwi_stop *stop, hw_error *err)
{
    if (!stop) return HW_OK;
    if (stop->cancel && atomic_load_explicit(stop->cancel, memory_order_relaxed))
        return hwi_fail(err, HW_ECANCELED, "cancelled");
    if (stop->deadline_us && hwi_clock_us() > stop->deadline_us)
        return hwi_fail(err, HW_ETIMEOUT, "the deadline passed");
    return HW_OK;
}

uint64_t
hwi_checksum(const void *data, size_t bytes)
{
    return XXH3_64bits(data, bytes);
}

#define PROGRESS_EVERY_US 200000u

hw_status
hwi_progress_step(hwi_progress *p, const char *stage, uint64_t done, uint64_t total, hw_error *err)
{
    if (!p || !p->fn) return HW_OK;
    uint64_t now_us = hwi_clock_us();
    if (done != total && p->last_us != 0 && now_us - p->last_us < PROGRESS_EVERY_US) return HW_OK;
    p->last_us = now_us;
    if (p->fn(p->arg, stage, done, total)) return HW_OK;
    return hwi_fail(err, HW_ECANCELED, "%s was stopped at %llu of %llu", stage,
                    (unsigned long long)done, (unsigned long long)total);
}
