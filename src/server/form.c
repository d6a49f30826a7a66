/* form.c - the parts of a form.
 *
 *     --edge CRLF header CRLF header CRLF CRLF content CRLF --edge CRLF ... CRLF --edge--
 *
 * The parser of the HTTP library works on a stream and hands out pieces; here the body is bounded
 * and whole, so parts can be borrowed from it without a copy. */
#include "form.h"

#include <stdio.h>
#include <strings.h>

#define EDGE_BYTES_MAX 70u /* RFC 2046 */

static const uint8_t *
find(const uint8_t *at, const uint8_t *end, const char *what, size_t bytes)
{
    while ((size_t)(end - at) >= bytes) {
        const uint8_t *hit = memchr(at, what[0], (size_t)(end - at) - bytes + 1);
        if (hit == NULL) return NULL;
        if (memcmp(hit, what, bytes) == 0) return hit;
        at = hit + 1;
    }
    return NULL;
}

bool
hwi_form_is_one(const char *content_type)
{
    return content_type && strncasecmp(content_type, "multipart/form-data", 19) == 0;
}

/* "CRLF--edge", which ends each part. */
static bool
read_edge(const char *content_type, char out[EDGE_BYTES_MAX + 5])
{
    const char *at = content_type;

    while ((at = strchr(at, ';')) != NULL) {
        at += 1 + strspn(at + 1, " \t");
        if (strncasecmp(at, "boundary=", 9) != 0) continue;
        at += 9;
        size_t bytes = *at == '"' ? strcspn(++at, "\"") : strcspn(at, "; \t");
        if (bytes == 0 || bytes > EDGE_BYTES_MAX) return false;
        snprintf(out, EDGE_BYTES_MAX + 5, "\r\n--%.*s", (int)bytes, at);
        return true;
    }
    return false;
}

/* A parameter of a header line, such as name="photo"; NULL when there is none. */
static const char *
parameter(const char *line, size_t bytes, const char *name, hwi_arena *arena, bool *failed)
{
    size_t name_bytes = strlen(name), n = 0;
    const char *end = line + bytes, *at = line;
    char *out;

    for (;; at++) {
        at = memchr(at, ';', (size_t)(end - at));
        if (at == NULL) return NULL;
        do at++;
        while (at < end && (*at == ' ' || *at == '\t'));
        if ((size_t)(end - at) > name_bytes && strncasecmp(at, name, name_bytes) == 0 &&
            at[name_bytes] == '=')
            break;
        at--;
    }
    at += name_bytes + 1;
    bool quoted = at < end && *at == '"';
    at += quoted;
    out = hwi_arena_alloc(arena, (size_t)(end - at) + 1);
    *failed |= out == NULL;
    for (; out && at < end && (quoted ? *at != '"' : *at != ';'); at++) {
        if (quoted && *at == '\\' && at + 1 < end) at++;
        out[n++] = *at;
    }
    if (out) out[n] = '\0';
    return out;
}

/* The headers of a part; *at moves behind the empty line. */
static hw_status
read_headers(const uint8_t **at, const uint8_t *end, hwi_arena *arena, hwi_form_part *part,
             hw_error *err)
{
    static const char wanted[] = "content-disposition:";
    bool failed = false;

    *part = (hwi_form_part){.name = ""};
    for (;;) {
        const uint8_t *stop = find(*at, end, "\r\n", 2);
        const char *line = (const char *)*at;
        if (stop == NULL) return hwi_fail(err, HW_EINVAL, "form: a part has no content");
        size_t bytes = (size_t)(stop - *at);
        *at = stop + 2;
        if (bytes == 0) return failed ? hwi_nomem(err, 0) : HW_OK;
        if (bytes < sizeof wanted || strncasecmp(line, wanted, sizeof wanted - 1) != 0) continue;
        const char *name = parameter(line, bytes, "name", arena, &failed);
        if (name) part->name = name;
        part->file_name = parameter(line, bytes, "filename", arena, &failed);
    }
}

hw_status
hwi_form_read(const char *content_type, hw_bytes body, hwi_arena *arena,
              hwi_form_part parts[HWI_FORM_PARTS_MAX], size_t *count, hw_error *err)
{
    char edge[EDGE_BYTES_MAX + 5];
    const uint8_t *at = body.data, *end = at + body.size;

    *count = 0;
    if (!read_edge(content_type, edge))
        return hwi_fail(err, HW_EINVAL, "form: the content type names no boundary");
    size_t edge_bytes = strlen(edge);
    /* the first edge may stand at the very beginning */
    if (body.size >= edge_bytes - 2 && memcmp(at, edge + 2, edge_bytes - 2) == 0)
        at += edge_bytes - 2;
    else if ((at = body.size ? find(at, end, edge, edge_bytes) : NULL) != NULL)
        at += edge_bytes;
    while (at && end - at >= 2 && memcmp(at, "--", 2) != 0) {
        const uint8_t *line = find(at, end, "\r\n", 2), *stop;
        if (*count == HWI_FORM_PARTS_MAX)
            return hwi_fail(err, HW_EINVAL, "form: more than %u parts", HWI_FORM_PARTS_MAX);
        if (line == NULL) return hwi_fail(err, HW_EINVAL, "form: an edge without a part");
        at = line + 2;
        HWI_TRY(read_headers(&at, end, arena, &parts[*count], err));
        /* a part without content ends with the empty line's own CRLF */
        stop = find(at - 2, end, edge, edge_bytes);
        if (stop == NULL) return hwi_fail(err, HW_EINVAL, "form: a part without end");
        parts[(*count)++].content = hwi_bytes(at, stop < at ? 0 : (size_t)(stop - at));
        at = stop + edge_bytes;
    }
    if (at == NULL || end - at < 2) return hwi_fail(err, HW_EINVAL, "form: it has no end");
    return HW_OK;
}
