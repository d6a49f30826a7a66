/* spans.c - a scanner for the top level of one JSON object.
 *
 * It knows strings (so that brackets in text do not count) and the depth of brackets, and nothing
 * else: the values it cuts out are parsed properly by those who use them. Not recursive: any depth
 * is safe.
 */
#include "spans.h"

bool
hwi_span_is(hwi_span span, const char *text)
{
    return span.bytes == strlen(text) && memcmp(span.text, text, span.bytes) == 0;
}

static void
skip_blanks(hwi_members *m)
{
    while (m->at < m->end && (*m->at == ' ' || *m->at == '\t' || *m->at == '\n' || *m->at == '\r'))
        m->at++;
}

static hw_status
fail_at(const hwi_members *m, const char *expected, hw_error *err)
{
    return hwi_fail(err, HW_EINVAL, "malformed JSON at byte %zu: expected %s",
                    (size_t)(m->at - m->start), expected);
}

static hw_status
expect(hwi_members *m, char c, hw_error *err)
{
    char expected[4] = {'`', c, '`', 0};

    skip_blanks(m);
    if (m->at == m->end || *m->at != c) return fail_at(m, expected, err);
    m->at++;
    return HW_OK;
}

/* From the opening quote to behind the closing one. */
static hw_status
skip_string(hwi_members *m, hw_error *err)
{
    for (m->at++; m->at < m->end && *m->at != '"'; m->at++)
        if (*m->at == '\\' && m->at + 1 < m->end) m->at++;
    if (m->at == m->end) return fail_at(m, "`\"`", err);
    m->at++;
    return HW_OK;
}

static hw_status
skip_brackets(hwi_members *m, hw_error *err)
{
    size_t depth = 0;

    do {
        char c = *m->at;
        if (c == '"') {
            HWI_TRY(skip_string(m, err));
            continue;
        }
        if (c == '[' || c == '{') depth++;
        if (c == ']' || c == '}') depth--;
        m->at++;
    } while (depth > 0 && m->at < m->end);
    return depth == 0 ? HW_OK : fail_at(m, "a closing bracket", err);
}

static hw_status
skip_value(hwi_members *m, hw_error *err)
{
    const char *start = m->at;

    if (m->at == m->end) return fail_at(m, "a value", err);
    if (*m->at == '"') return skip_string(m, err);
    if (*m->at == '[' || *m->at == '{') return skip_brackets(m, err);
    while (m->at < m->end && strchr(",]} \t\r\n", *m->at) == NULL) m->at++;
    return m->at > start ? HW_OK : fail_at(m, "a value", err);
}

hw_status
hwi_members_begin(hwi_members *m, const char *text, size_t bytes, hw_error *err)
{
    *m = (hwi_members){.start = text, .at = text, .end = text + bytes, .first = true};
    return expect(m, '{', err);
}

static hw_status
end_object(hwi_members *m, hw_error *err)
{
    m->at++;
    skip_blanks(m);
    return m->at == m->end ? HW_OK : fail_at(m, "the end", err);
}

hw_status
hwi_members_next(hwi_members *m, hwi_span *key, hwi_span *value, bool *more, hw_error *err)
{
    const char *start;

    *more = false;
    skip_blanks(m);
    if (m->at < m->end && *m->at == '}') return end_object(m, err);
    if (!m->first) HWI_TRY(expect(m, ',', err));
    m->first = false;
    skip_blanks(m);
    if (m->at == m->end || *m->at != '"') return fail_at(m, "a key", err);
    start = m->at;
    HWI_TRY(skip_string(m, err));
    *key = (hwi_span){start + 1, (size_t)(m->at - start) - 2};
    HWI_TRY(expect(m, ':', err));
    skip_blanks(m);
    start = m->at;
    HWI_TRY(skip_value(m, err));
    *value = (hwi_span){start, (size_t)(m->at - start)};
    *more = true;
    return HW_OK;
}
