/* Formulas, and the values, dates and places they read. */
#include "support/hwt.h"

#include <math.h>

#include "server/query/query.h"

static const char point_json[] =
    "{\"a\": 4, \"half\": 0.5, \"one\": [7], \"two\": [1, 2], \"none\": [], \"text\": \"x\","
    " \"in\": {\"b\": 3}, \"list\": [{\"c\": 8}], \"when\": \"2024-02-29T12:00:00Z\","
    " \"at\": {\"lat\": 52.52, \"lon\": 13.4}, \"null\": null, \"odd.key\": 9}";

static const hwi_json *
parsed(hwi_request *r, const char *text)
{
    const hwi_json *j;
    hw_error err;
    if (hwi_json_parse(text, strlen(text), &r->arena, &j, &err) != HW_OK)
        fail_msg("%s: %s", text, err.message);
    return j;
}

/* The value of a formula for the point above, scores 2 and -3; NaN when refused, with the reason in
 * r->refusal. */
static float
value_of(hwi_request *r, const char *body)
{
    const hwi_formula *f;
    float out;
    bool conditions[] = {true, false};
    hwi_formula_point point = {.scores = (float[]){2, -3, NAN},
                               .score_count = 3,
                               .payload = parsed(r, point_json),
                               .conditions = conditions};
    r->status = 200;
    r->refusal[0] = '\0';
    if (!hwi_formula_read(r, parsed(r, body), &f)) return NAN;
    return hwi_formula_value(r, f, &point, &out) ? out : NAN;
}

static void
assert_value(const char *body, double expected)
{
    hwi_request r = {0};
    double found = (double)value_of(&r, body);
    if (!(fabs(found - expected) <= 1e-6 * (1 + fabs(expected))))
        fail_msg("%s is %.9g, not %.9g (%s)", body, found, expected, r.refusal);
    hwi_arena_release(&r.arena);
    hwi_buf_release(&r.out);
}

static void
assert_refused(const char *body, int status, const char *says)
{
    hwi_request r = {0};
    float found = value_of(&r, body);
    if (!isnan(found)) fail_msg("%s is %g, not refused", body, (double)found);
    assert_int_equal(status, r.status);
    if (!strstr(r.refusal, says)) fail_msg("%s: %s", body, r.refusal);
    hwi_arena_release(&r.arena);
    hwi_buf_release(&r.out);
}

static void
variables_have_values(void **state)
{
    (void)state;
    assert_value("{\"formula\": 2.5}", 2.5);
    assert_value("{\"formula\": \"$score\"}", 2);
    assert_value("{\"formula\": \"$score[0]\"}", 2);
    assert_value("{\"formula\": \"$score[1]\"}", -3);
    assert_value("{\"formula\": \"$score[2]\"}", 0);
    assert_value("{\"formula\": \"$score[2]\", \"defaults\": {\"$score[2]\": 0.25}}", 0.25);
    assert_value("{\"formula\": \"$score[9]\", \"defaults\": {\"$score[9]\": 5}}", 5);
    assert_value("{\"formula\": \"a\"}", 4);
    assert_value("{\"formula\": \"one\"}", 7);
    assert_value("{\"formula\": \"in.b\"}", 3);
    assert_value("{\"formula\": \"list[].c\"}", 8);
    assert_value("{\"formula\": \"list[0].c\"}", 8);
    assert_value("{\"formula\": \"two[1]\"}", 2);
    assert_value("{\"formula\": \"\\\"odd.key\\\"\"}", 9);
    assert_value("{\"formula\": \"missing\", \"defaults\": {\"missing\": 6}}", 6);
    assert_value("{\"formula\": \"none\", \"defaults\": {\"none\": 6}}", 6);
    assert_value("{\"formula\": \"null\", \"defaults\": {\"null\": 6}}", 6);
}

static void
operations_compute(void **state)
{
    (void)state;
    assert_value("{\"formula\": {\"sum\": [\"a\", 1, {\"neg\": \"half\"}]}}", 4.5);
    assert_value("{\"formula\": {\"sum\": []}}", 0);
    assert_value("{\"formula\": {\"mult\": [\"a\", 0.5, \"$score\"]}}", 4);
    assert_value("{\"formula\": {\"mult\": []}}", 1);
    assert_value("{\"formula\": {\"abs\": \"$score[1]\"}}", 3);
    assert_value("{\"formula\": {\"div\": {\"left\": \"a\", \"right\": 8}}}", 0.5);
    assert_value("{\"formula\": {\"div\": {\"left\": 1, \"right\": 0, \"by_zero_default\": 3}}}",
                 3);
    assert_value("{\"formula\": {\"sqrt\": \"a\"}}", 2);
    assert_value("{\"formula\": {\"pow\": {\"base\": \"a\", \"exponent\": -0.5}}}", 0.5);
    assert_value("{\"formula\": {\"exp\": 1}}", 2.718281828);
    assert_value("{\"formula\": {\"ln\": {\"exp\": 3}}}", 3);
    assert_value("{\"formula\": {\"log10\": 1000}}", 3);
    assert_value("{\"formula\": {\"sum\": [{\"key\": \"a\", \"match\": {\"value\": 4}},"
                 " {\"mult\": [10, {\"has_id\": [1]}]}]}}",
                 1);
    assert_value("{\"formula\": {\"datetime\": \"1970-01-02\"}}", 86400);
    assert_value("{\"formula\": {\"sum\": [{\"datetime_key\": \"when\"},"
                 " {\"neg\": {\"datetime\": \"2024-02-28T11:59:59.5Z\"}}]}}",
                 86400.5);
    assert_value(
        "{\"formula\": {\"geo_distance\": {\"origin\": {\"lat\": 48.8566, \"lon\": 2.3522},"
        " \"to\": \"at\"}}}",
        877153.7);
}

/* At the target a decay is 1, `scale` away it is `midpoint`. */
static void
decays_pass_through_their_midpoint(void **state)
{
    (void)state;
    assert_value("{\"formula\": {\"exp_decay\": {\"x\": \"a\", \"target\": 4}}}", 1);
    assert_value("{\"formula\": {\"exp_decay\": {\"x\": \"a\", \"target\": 1, \"scale\": 3}}}",
                 0.5);
    assert_value("{\"formula\": {\"gauss_decay\": {\"x\": \"a\", \"target\": 6, \"scale\": 2,"
                 " \"midpoint\": 0.25}}}",
                 0.25);
    assert_value("{\"formula\": {\"lin_decay\": {\"x\": \"a\", \"target\": 2, \"scale\": 2,"
                 " \"midpoint\": 0.75}}}",
                 0.75);
    assert_value("{\"formula\": {\"lin_decay\": {\"x\": \"a\", \"scale\": 2}}}", 0);
}

/* What follows a zero need not have a value. */
static void
zeroes_cut_short(void **state)
{
    (void)state;
    assert_value("{\"formula\": {\"mult\": [0, \"missing\"]}}", 0);
    assert_value("{\"formula\": {\"div\": {\"left\": 0, \"right\": \"missing\"}}}", 0);
}

static void
mistakes_are_refused(void **state)
{
    (void)state;
    assert_refused("{\"formula\": \"missing\"}", 400, "No value found in a payload nor defaults");
    assert_refused("{\"formula\": \"text\"}", 400, "Value is not a number");
    assert_refused("{\"formula\": \"null\"}", 400, "No value found in a payload nor defaults");
    assert_refused("{\"formula\": \"two\"}", 400, "several values");
    assert_refused("{\"formula\": {\"datetime_key\": \"text\"}}", 400, "not a date");
    assert_refused("{\"formula\": {\"datetime_key\": \"a\"}}", 400, "not a string");
    assert_refused("{\"formula\": {\"geo_distance\": {\"origin\": {\"lat\": 1, \"lon\": 1},"
                   " \"to\": \"a\"}}}",
                   400, "geo point");
    assert_refused("{\"formula\": {\"geo_distance\": {\"origin\": {\"lat\": 91, \"lon\": 1},"
                   " \"to\": \"at\"}}}",
                   400, "lat");
    assert_refused("{\"formula\": {\"datetime\": \"yesterday\"}}", 400, "yesterday");
    assert_refused("{\"formula\": {\"div\": {\"left\": 1, \"right\": 0}}}", 400, "non-finite");
    assert_refused("{\"formula\": {\"sqrt\": -1}}", 400, "non-finite");
    assert_refused("{\"formula\": {\"ln\": 0}}", 400, "non-finite");
    assert_refused("{\"formula\": {\"pow\": {\"base\": 0, \"exponent\": -1}}}", 400, "non-finite");
    assert_refused("{\"formula\": {\"exp\": 200}}", 400, "non-finite"); /* beyond a float */
    assert_refused("{\"formula\": \"$wrong\"}", 400, "reserved word");
    assert_refused("{\"formula\": \"$score[x]\"}", 400, "reserved variable");
    assert_refused("{\"formula\": \"a..b\"}", 400, "payload variable");
    assert_refused("{\"formula\": \"\"}", 400, "payload variable");
    assert_refused("{\"formula\": true}", 400, "Expression");
    assert_refused("{\"formula\": {\"plus\": [1]}}", 400, "Expression");
    assert_refused("{\"formula\": {\"sum\": 1}}", 400, "Expression");
    assert_refused("{\"formula\": {\"div\": {\"left\": 1}}}", 400, "Expression");
    assert_refused("{\"formula\": 1, \"defaults\": {\"$score\": \"x\"}}", 422, "must be a number");
    assert_refused("{\"formula\": 1, \"defaults\": {\"$wrong\": 1}}", 422, "reserved word");
    assert_refused("{\"formula\": {\"exp_decay\": {\"x\": 1, \"midpoint\": 1}}}", 400, "midpoint");
    assert_refused("{\"formula\": {\"lin_decay\": {\"x\": 1, \"midpoint\": 1.5}}}", 400,
                   "midpoint");
    assert_refused("{\"formula\": {\"lin_decay\": {\"x\": 1, \"scale\": 0}}}", 400, "scale");
}

static void
formulas_have_a_greatest_size(void **state)
{
    (void)state;
    hwi_buf b = {0};
    hwi_buf_text(&b, "{\"formula\": {\"sum\": [1");
    for (int i = 0; i < 3000; i++) hwi_buf_text(&b, ", 1");
    hwi_buf_add(&b, "]}}", 4);
    assert_refused((const char *)b.data, 400, "more than 2048 parts");
    hwi_buf_clear(&b);
    hwi_buf_text(&b, "{\"formula\": {\"sum\": [1");
    for (int i = 0; i < 65; i++) hwi_buf_text(&b, ", {\"has_id\": []}");
    hwi_buf_add(&b, "]}}", 4);
    assert_refused((const char *)b.data, 400, "more than 64 conditions");
    hwi_buf_release(&b);
}

static void
dates_are_seconds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double seconds; /* NaN: no date */
    } cases[] = {
        {"1970-01-01", 0},
        {"1969-12-31T23:59:59Z", -1},
        {"2000-03-01", 951868800},
        {"2024-02-29T10:00:00.25+02:00", 1709193600.25},
        {"2024-02-29 10:00", 1709200800},
        {"2024-02-29t10:00:00z", 1709200800},
        {"2024-02-29T10:00:00-0530", 1709220600},
        {"2023-02-29", NAN},
        {"2024-13-01", NAN},
        {"2024-01-01T24:00", NAN},
        {"2024-01-01T10:00:00+99:00", NAN},
        {"2024-01-01x", NAN},
        {"2024-1-1", NAN},
        {"2024-01-01T10", NAN},
        {"", NAN},
    };
    for (size_t i = 0; i < HWI_COUNT(cases); i++) {
        double found = NAN;
        bool is_date = hwi_date_seconds(cases[i].text, &found);
        if (is_date == isnan(cases[i].seconds)) fail_msg("%s", cases[i].text);
        if (is_date && fabs(found - cases[i].seconds) > 1e-6)
            fail_msg("%s is %.6f, not %.6f", cases[i].text, found, cases[i].seconds);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_have_values),
        cmocka_unit_test(operations_compute),
        cmocka_unit_test(decays_pass_through_their_midpoint),
        cmocka_unit_test(zeroes_cut_short),
        cmocka_unit_test(mistakes_are_refused),
        cmocka_unit_test(formulas_have_a_greatest_size),
        cmocka_unit_test(dates_are_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
