/* values.c - numbers and dates of payloads.
 *
 * JSON has one kind of number, we keep three (int64, uint64, double) and compare them as the real
 * numbers they stand for. Going through double instead, as most engines do, would make
 * 9007199254740993 equal to 9007199254740992. */
#include "payload/values.h"

/* ---- numbers */

/* An integer against a double: split the double into its whole part, which fits 64 bits once the
 * range is checked, and what is left. */
static int
compare_u64_f64(uint64_t a, double b)
{
    if (b < 0) return 1;
    if (b >= 18446744073709551616.0) return -1;
    uint64_t whole = (uint64_t)b;
    if (a != whole) return a < whole ? -1 : 1;
    return b > (double)whole ? -1 : 0; /* whole == a here, hence exact when b has a fraction */
}

static int
compare_i64_f64(int64_t a, double b)
{
    if (a >= 0) return compare_u64_f64((uint64_t)a, b);
    return -compare_u64_f64(0 - (uint64_t)a, -b);
}

static int
compare_integers(const hwi_json *a, const hwi_json *b)
{
    if (a->kind != b->kind) return a->kind == HWI_JSON_UINT ? 1 : -1; /* UINT is above INT64_MAX */
    if (a->kind == HWI_JSON_INT) return a->integer < b->integer ? -1 : a->integer > b->integer;
    uint64_t ua = (uint64_t)a->integer, ub = (uint64_t)b->integer;
    return ua < ub ? -1 : ua > ub;
}

static int
compare_to_f64(const hwi_json *a, double b)
{
    if (a->kind == HWI_JSON_UINT) return compare_u64_f64((uint64_t)a->integer, b);
    return compare_i64_f64(a->integer, b);
}

int
hwi_number_compare(const hwi_json *a, const hwi_json *b)
{
    bool da = a->kind == HWI_JSON_DOUBLE, db = b->kind == HWI_JSON_DOUBLE;

    if (da && db) return a->number < b->number ? -1 : a->number > b->number;
    if (da) return -compare_to_f64(b, a->number);
    if (db) return compare_to_f64(a, b->number);
    return compare_integers(a, b);
}

uint64_t
hwi_order_f64(double v)
{
    uint64_t bits;
    double d = v == 0 ? 0 : v;

    memcpy(&bits, &d, 8);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

double
hwi_order_f64_back(uint64_t key)
{
    uint64_t bits = key >> 63 ? key ^ (uint64_t)1 << 63 : ~key;
    double v;

    memcpy(&v, &bits, 8);
    return v;
}

bool
hwi_number_as_f64(const hwi_json *number, double *out)
{
    if (number->kind == HWI_JSON_DOUBLE) {
        *out = number->number;
        return true;
    }
    *out =
        number->kind == HWI_JSON_UINT ? (double)(uint64_t)number->integer : (double)number->integer;
    return compare_to_f64(number, *out) == 0;
}

/* ---- dates */

typedef struct scanner {
    const char *at, *end;
} scanner;

static bool
take(scanner *s, char c)
{
    if (s->at == s->end || *s->at != c) return false;
    s->at++;
    return true;
}

static bool
take_digits(scanner *s, int count, int *out)
{
    *out = 0;
    for (int i = 0; i < count; i++, s->at++) {
        if (s->at == s->end || *s->at < '0' || *s->at > '9') return false;
        *out = *out * 10 + (*s->at - '0');
    }
    return true;
}

/* Days since 1970-01-01 in the Gregorian calendar; years start in March, so that the leap day is
 * the last of its year (Howard Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t
days_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static bool
is_day(int year, int month, int day)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12 || day < 1) return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= days[month - 1] + (leap && month == 2 ? 1 : 0);
}

static bool
take_date(scanner *s, int64_t *days)
{
    int year, month, day;

    if (!take_digits(s, 4, &year) || !take(s, '-')) return false;
    if (!take_digits(s, 2, &month) || !take(s, '-')) return false;
    if (!take_digits(s, 2, &day) || !is_day(year, month, day)) return false;
    *days = days_from_civil(year, month, day);
    return true;
}

static bool
take_fraction(scanner *s, int64_t *micros)
{
    int64_t unit = 100000;
    const char *from = s->at;

    *micros = 0;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++, unit /= 10)
        *micros += (*s->at - '0') * unit;
    return s->at > from;
}

static bool
take_time(scanner *s, int64_t *micros)
{
    int hour, minute, second = 0;
    int64_t fraction = 0;

    if (!take_digits(s, 2, &hour) || !take(s, ':') || !take_digits(s, 2, &minute)) return false;
    if (take(s, ':')) {
        if (!take_digits(s, 2, &second)) return false;
        if (take(s, '.') && !take_fraction(s, &fraction)) return false;
    }
    if (hour > 23 || minute > 59 || second > 60) return false;
    *micros = ((int64_t)hour * 3600 + minute * 60 + second) * 1000000 + fraction;
    return true;
}

/* Z, +hh, +hhmm or +hh:mm; nothing is UTC. */
static bool
take_zone(scanner *s, int64_t *micros)
{
    int hours, minutes = 0;

    *micros = 0;
    if (s->at == s->end || take(s, 'Z') || take(s, 'z')) return true;
    bool west = *s->at == '-';
    if (!take(s, '+') && !take(s, '-')) return false;
    if (!take_digits(s, 2, &hours)) return false;
    bool colon = take(s, ':');
    if ((colon || s->at < s->end) && !take_digits(s, 2, &minutes)) return false;
    if (hours > 23 || minutes > 59) return false;
    *micros = ((int64_t)hours * 60 + minutes) * (west ? -60000000 : 60000000);
    return true;
}

bool
hwi_date_parse(const char *text, size_t bytes, int64_t *micros)
{
    scanner s = {text, text + bytes};
    int64_t days, time = 0, zone = 0;

    if (!take_date(&s, &days)) return false;
    if (s.at < s.end) {
        if (!take(&s, 'T') && !take(&s, 't') && !take(&s, ' ')) return false;
        if (!take_time(&s, &time) || !take_zone(&s, &zone)) return false;
    }
    if (s.at != s.end) return false;
    *micros = days * 86400000000 + time - zone;
    return true;
}
