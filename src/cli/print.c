/* print.c - JSON for programs as it came, the same facts indented for people.
 *
 *     name: photos                        {"name":"photos","points":60000,
 *     points: 60,000                       "vectors":{"image":{"dim":512,"metric":"cosine"}}}
 *     vectors:
 *       image: dim 512, metric cosine
 *
 * One renderer serves describe, stats, explain and why, so that a new fact in the engine's JSON
 * shows up in the command line by itself.
 */
#include "cli.h"

#include <time.h>

#define LINE_WIDTH 100u

void
cli_print_line(hwi_buf *b)
{
    cli_need(!b->failed);
    fwrite(b->data, 1, b->size, stdout);
    fputc('\n', stdout);
    hwi_buf_release(b);
}

void
cli_add_plain(hwi_buf *b, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c == '\n' || c == '\t' || c == '\r') c = ' ';
        if (c < 32 || c == 127) c = '?';
        /* U+0080..U+009F, control characters too, are C2 80..9F */
        if (c == 0xc2 && i + 1 < bytes && (uint8_t)text[i + 1] < 0xa0) c = '?', i++;
        hwi_buf_add(b, &c, 1);
    }
}

char *
cli_count(uint64_t n, char *out)
{
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), at = 0;

    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0) out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
    return out;
}

char *
cli_count_of(uint64_t n, const char *noun, char *out)
{
    char number[32];

    snprintf(out, 64, "%s %.30s%s", cli_count(n, number), noun, n == 1 ? "" : "s");
    return out;
}

char *
cli_bytes(uint64_t n, char *out)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    double size = (double)n;
    size_t unit = 0;

    while (size >= 1024 && unit + 1 < HWI_COUNT(units)) size /= 1024, unit++;
    snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", size, units[unit]);
    return out;
}

/* ---- JSON for people */

static bool
ends_in_bytes(const hwi_json *j)
{
    static const char suffix[] = "bytes";
    return j->key && j->key_bytes >= 5 && memcmp(j->key + j->key_bytes - 5, suffix, 5) == 0;
}

/* Seconds since 1970 under a key that says so: "created_s". */
static bool
add_time(hwi_buf *b, const hwi_json *j)
{
    static const char key[] = "created_s";
    time_t seconds = (time_t)j->integer;
    struct tm when;
    char text[32];

    if (!j->key || strcmp(j->key, key) != 0 || !gmtime_r(&seconds, &when)) return false;
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &when);
    hwi_buf_text(b, text);
    return true;
}

static void
add_number(hwi_buf *b, const hwi_json *j)
{
    char text[32];

    if (j->kind == HWI_JSON_DOUBLE) {
        hwi_buf_printf(b, "%.6g", j->number);
    } else if (add_time(b, j)) {
        return;
    } else if (j->kind == HWI_JSON_INT && j->integer < 0) {
        hwi_buf_printf(b, "%lld", (long long)j->integer);
    } else if (ends_in_bytes(j) && j->integer >= 1024) {
        hwi_buf_text(b, cli_bytes((uint64_t)j->integer, text));
    } else {
        hwi_buf_text(b, cli_count((uint64_t)j->integer, text));
    }
}

static bool
is_scalar(const hwi_json *j)
{
    return j->kind != HWI_JSON_ARRAY && j->kind != HWI_JSON_OBJECT;
}

static void
add_scalar(hwi_buf *b, const hwi_json *j)
{
    switch (j->kind) {
    case HWI_JSON_TEXT:
        cli_add_plain(b, j->text, j->text_bytes);
        break;
    case HWI_JSON_BOOL:
        hwi_buf_text(b, j->boolean ? "yes" : "no");
        break;
    case HWI_JSON_NULL:
        hwi_buf_text(b, "none");
        break;
    default:
        add_number(b, j);
        break;
    }
}

/* "dim 512, metric cosine" or "1, 2, 3": false when it holds anything nested or gets too long. */
static bool
add_inline(hwi_buf *b, const hwi_json *j)
{
    size_t start = b->size;

    for (const hwi_json *child = j->child; child; child = child->next) {
        if (!is_scalar(child)) goto undo;
        if (child != j->child) hwi_buf_text(b, ", ");
        if (child->key) {
            cli_add_plain(b, child->key, child->key_bytes);
            hwi_buf_text(b, " ");
        }
        add_scalar(b, child);
        if (b->size - start > LINE_WIDTH) goto undo;
    }
    return true;
undo:
    b->size = start;
    return false;
}

static void
add_indented(hwi_buf *b, const hwi_json *j, int depth)
{
    for (const hwi_json *child = j->child; child; child = child->next) {
        hwi_buf_printf(b, "%*s", depth * 2, "");
        if (child->key) {
            cli_add_plain(b, child->key, child->key_bytes);
            hwi_buf_text(b, child->key_bytes ? ":" : "(unnamed):");
        } else {
            hwi_buf_text(b, "-");
        }
        if (is_scalar(child)) {
            hwi_buf_text(b, " ");
            add_scalar(b, child);
            hwi_buf_text(b, "\n");
            continue;
        }
        hwi_buf_text(b, " ");
        if (child->count == 0) hwi_buf_text(b, "none");
        if (add_inline(b, child)) {
            hwi_buf_text(b, "\n");
            continue;
        }
        hwi_buf_text(b, "\n");
        add_indented(b, child, depth + 1); /* as deep as HWI_JSON_DEPTH_MAX at most */
    }
}

void
cli_print_json(const cli *c, const char *json)
{
    hwi_arena arena = {0};
    const hwi_json *tree;
    hwi_buf b = {0};

    if (c->mode != CLI_MODE_JSON &&
        hwi_json_parse(json, strlen(json), &arena, &tree, NULL) == HW_OK && !is_scalar(tree)) {
        add_indented(&b, tree, 0);
        cli_need(!b.failed);
        fwrite(b.data, 1, b.size, stdout);
        hwi_buf_release(&b);
    } else {
        puts(json);
    }
    hwi_arena_release(&arena);
}
