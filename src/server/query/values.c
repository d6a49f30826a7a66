/* values.c - what formulas and groups read in a payload.
 *
 * The engine's filters have paths of their own, behind the public header; this is the small part of
 * them that looking up needs: keys joined by dots, quoted where they hold other characters, `[]` for
 * every element of an array and `[3]` for one.
 */
#include "server/query/query.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

/* ---- Paths */

typedef struct step {
    enum { STEP_KEY, STEP_ALL, STEP_INDEX, STEP_END, STEP_WRONG } kind;
    const char *key;
    size_t key_bytes;
    size_t index;
} step;

static step
bracket(const char **at)
{
    const char *p = *at + 1;
    step s = {.kind = STEP_ALL};
    if (*p != ']') {
        s.kind = STEP_INDEX;
        for (; isdigit((unsigned char)*p) && s.index < UINT32_MAX; p++) {
            s.index = s.index * 10 + (size_t)(*p - '0');
        }
        if (p == *at + 1) s.kind = STEP_WRONG;
    }
    if (*p != ']') s.kind = STEP_WRONG;
    *at = *p ? p + 1 : p;
    return s;
}

static step
quoted(const char **at)
{
    const char *from = *at + 1, *p = from;
    while (*p && *p != '"') p++;
    step s = {.kind = *p && p > from ? STEP_KEY : STEP_WRONG,
              .key = from,
              .key_bytes = (size_t)(p - from)};
    *at = *p ? p + 1 : p;
    return s;
}

/* The next step of the path; *at moves behind it and a dot. */
static step
next_step(const char **at, bool is_first)
{
    if (!**at && !is_first) return (step){.kind = STEP_END};
    if (**at == '[') return is_first ? (step){.kind = STEP_WRONG} : bracket(at);
    if (!is_first) {
        if (**at != '.') return (step){.kind = STEP_WRONG};
        ++*at;
    }
    if (**at == '"') return quoted(at);
    const char *from = *at;
    while (isalnum((unsigned char)**at) || **at == '_' || **at == '-' ||
           (unsigned char)**at >= 0x80)
        ++*at;
    size_t bytes = (size_t)(*at - from);
    return (step){.kind = bytes ? STEP_KEY : STEP_WRONG, .key = from, .key_bytes = bytes};
}

bool
hwi_path_is_valid(const char *path)
{
    const char *at = path;
    step s = next_step(&at, true);
    for (uint32_t n = 0; s.kind != STEP_END; n++) {
        if (s.kind == STEP_WRONG || n == HWI_JSON_DEPTH_MAX) return false;
        s = next_step(&at, false);
    }
    return true;
}

static const hwi_json *
member(const hwi_json *o, const char *key, size_t bytes)
{
    const hwi_json *found = NULL;
    for (const hwi_json *m = o->kind == HWI_JSON_OBJECT ? o->child : NULL; m; m = m->next) {
        if (m->key_bytes == bytes && memcmp(m->key, key, bytes) == 0) found = m;
    }
    return found;
}

/* Recursive over steps, which hwi_path_is_valid has counted. */
static void
walk(const hwi_json *v, const char *at, bool is_first, bool ends_open, hwi_value_fn fn, void *arg)
{
    step s = next_step(&at, is_first);
    if (s.kind == STEP_KEY) {
        const hwi_json *m = member(v, s.key, s.key_bytes);
        if (m) walk(m, at, false, false, fn, arg);
    } else if (s.kind == STEP_END && v->kind == HWI_JSON_ARRAY && !ends_open) {
        for (const hwi_json *e = v->child; e; e = e->next) fn(arg, e);
    } else if (s.kind == STEP_END) {
        fn(arg, v);
    } else if (v->kind == HWI_JSON_ARRAY) {
        size_t i = 0;
        for (const hwi_json *e = v->child; e; e = e->next, i++) {
            if (s.kind == STEP_ALL || i == s.index) walk(e, at, false, s.kind == STEP_ALL, fn, arg);
        }
    }
}

bool
hwi_values_at(const hwi_json *payload, const char *path, hwi_value_fn fn, void *arg)
{
    if (!hwi_path_is_valid(path)) return false;
    if (payload) walk(payload, path, true, false, fn, arg);
    return true;
}

/* ---- Dates and places */

/* Days from 1970-01-01 in the Gregorian calendar (Hinnant's days_from_civil). */
static int64_t
days_of(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static int
days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && is_leap);
}

/* Exactly `digits` digits. */
static bool
read_digits(const char **at, int digits, int *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++, ++*at) {
        if (!isdigit((unsigned char)**at)) return false;
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

/* What follows the minutes: seconds, a fraction of which whole microseconds count. */
static bool
read_seconds(const char **at, int *second, int *micros)
{
    *second = *micros = 0;
    if (**at != ':') return true;
    ++*at;
    if (!read_digits(at, 2, second) || *second > 60) return false;
    if (**at != '.') return true;
    const char *from = ++*at;
    for (int unit = 100000; isdigit((unsigned char)**at); ++*at, unit /= 10) {
        *micros += (**at - '0') * unit;
    }
    return *at > from;
}

static bool
read_zone(const char *at, int *minutes)
{
    int hour, minute;
    *minutes = 0;
    if ((*at == 'Z' || *at == 'z') && !at[1]) return true;
    if (*at != '+' && *at != '-') return !*at;
    int sign = *at++ == '-' ? -1 : 1;
    if (!read_digits(&at, 2, &hour)) return false;
    if (*at == ':') at++;
    if (!*at) {
        minute = 0;
    } else if (!read_digits(&at, 2, &minute)) {
        return false;
    }
    *minutes = sign * (hour * 60 + minute);
    return !*at && hour < 24 && minute < 60;
}

bool
hwi_date_seconds(const char *text, double *out)
{
    int year, month, day, hour = 0, minute = 0, second = 0, micros = 0, zone = 0;
    const char *at = text;
    if (!read_digits(&at, 4, &year) || *at++ != '-' || !read_digits(&at, 2, &month) ||
        *at++ != '-' || !read_digits(&at, 2, &day)) {
        return false;
    }
    if (month < 1 || month > 12 || day < 1 || day > days_in(year, month)) return false;
    if (*at) {
        if (*at != 'T' && *at != 't' && *at != ' ') return false;
        at++;
        if (!read_digits(&at, 2, &hour) || *at++ != ':' || !read_digits(&at, 2, &minute) ||
            hour > 23 || minute > 59 || !read_seconds(&at, &second, &micros) ||
            !read_zone(at, &zone)) {
            return false;
        }
    }
    int64_t seconds =
        days_of(year, month, day) * 86400 + hour * 3600 + (minute - zone) * 60 + second;
    *out = (double)(seconds * 1000000 + micros) / 1e6;
    return true;
}

double
hwi_globe_metres(double lat_a, double lon_a, double lat_b, double lon_b)
{
    const double radius = 6371008.8, degree = 3.14159265358979323846 / 180; /* the mean radius */
    double half_lat = sin((lat_b - lat_a) * degree / 2);
    double half_lon = sin((lon_b - lon_a) * degree / 2);
    double a =
        half_lat * half_lat + cos(lat_a * degree) * cos(lat_b * degree) * half_lon * half_lon;
    return 2 * radius * asin(sqrt(HWI_MIN(a, 1.0)));
}
