/* plan.c - the faults to come, drawn by a seed.
 *
 *     conflict=P   a commit fails with 1020
 *     unknown=P    a commit fails with 1021; half of them have happened
 *     timeout=P    a commit fails with 1031; a third has happened, a third happens later
 *     old=P        a read or a commit fails with 1007
 *     behind=P     a read fails with 1037
 *     future=P     a read fails with 1009
 *     throttle=P   a read version is refused with 1213
 *     slow=P       an answer comes up to slow_us late, so that answers overtake each other
 *     slow_us=N    (2000)
 *     lost=P       an answer never comes; only a timeout ends the wait
 *     jump=P       at a commit the clock moves on by one to seven seconds, so that transactions
 *                  grow old
 *     batch=P      commits that wait at the same time get the same version
 *     short=P      a range read gives fewer pairs than it could, and says that there are more
 *     step=N       versions a commit takes (2000, which is two milliseconds)
 *
 * P is the probability at each such call. Draws are made in the order of calls: a program of one
 * thread meets the same faults at the same places in every run with the same seed.
 */
#include "parts.h"

#include <stdlib.h>
#include <string.h>

uint64_t
sd_plan_pick(sd_plan *p, uint64_t below)
{
    p->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = p->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return below ? z % below : z;
}

bool
sd_plan_draw(sd_plan *p, double rate)
{
    if (rate <= 0) return false;
    return (double)(sd_plan_pick(p, 0) >> 11) / 9007199254740992.0 < rate;
}

static double *
rate_named(sd_plan *p, const char *name, size_t size)
{
    const struct {
        const char *name;
        double *rate;
    } rates[] = {{"conflict", &p->conflict}, {"unknown", &p->unknown}, {"timeout", &p->timeout},
                 {"old", &p->old},           {"behind", &p->behind},   {"future", &p->future},
                 {"throttle", &p->throttle}, {"slow", &p->slow},       {"lost", &p->lost},
                 {"jump", &p->jump},         {"batch", &p->batch},     {"short", &p->shorter}};

    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
        if (strlen(rates[i].name) == size && memcmp(rates[i].name, name, size) == 0)
            return rates[i].rate;
    return NULL;
}

static bool
read_one(sd_plan *p, const char *name, size_t size, double value)
{
    double *rate = rate_named(p, name, size);

    if (rate)
        *rate = value;
    else if (size == 7 && memcmp(name, "slow_us", 7) == 0)
        p->slow_us = (uint64_t)value;
    else if (size == 4 && memcmp(name, "step", 4) == 0 && value >= 1)
        p->step = (int64_t)value;
    else
        return false;
    return true;
}

bool
sd_plan_read(sd_plan *p, uint64_t seed, const char *text)
{
    sd_plan plan = {.random = seed, .slow_us = 2000, .step = 2000};

    while (text && *text) {
        char *end;
        size_t size = strcspn(text, "=");
        if (text[size] != '=') return false;
        double value = strtod(text + size + 1, &end);
        if (end == text + size + 1 || value < 0 || (*end && *end != ',')) return false;
        if (!read_one(&plan, text, size, value)) return false;
        text = *end ? end + 1 : end;
    }
    *p = plan;
    return true;
}
