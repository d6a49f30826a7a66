/* describe.c - what a point says of its file: the payload.
 *
 * Side files bring captions and tags. NAME.txt is a caption, its first line; further lines of the
 * form "de.utf8=Hund" are the same in other languages, as Tux Paint's stamps have them. NAME.json
 * is an object whose keys join the payload, but for those that are there already: what the file
 * itself says, and captions when there is a NAME.txt. A side file that does not decode is left out:
 * the picture is still worth finding. */
#include "embed/files.h"

#include <stdio.h>

#include "base/json.h"

#define NOTE_BYTES_MAX ((size_t)256 << 10)
#define NOTE_KEYS_MAX 1024u

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static size_t
stem_bytes(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && dot != name ? (size_t)(dot - name) : strlen(name);
}

bool
hwi_file_is_note(const char *path)
{
    const char *name = base_name(path), *end = name + stem_bytes(name);
    static const char *const ends[] = {".txt", ".json", ".dat", ".md"};
    for (size_t i = 0; i < HWI_COUNT(ends); i++) {
        if (strcmp(end, ends[i]) == 0) return true;
    }
    return false;
}

/* ---- Members ---- */

static void
add_key(hwi_buf *b, const char *key)
{
    if (b->size && b->data[b->size - 1] != '{') hwi_buf_text(b, ",");
    hwi_json_write_text(b, key, strlen(key));
    hwi_buf_text(b, ":");
}

static void
add_text(hwi_buf *b, const char *key, const char *text, size_t bytes)
{
    add_key(b, key);
    hwi_json_write_text(b, text, bytes);
}

/* The folders between the one that was named and the file. */
static void
add_labels(hwi_buf *b, const hwi_file *file)
{
    const char *at = file->path + file->root_bytes, *name = base_name(file->path);
    bool first = true;
    add_key(b, "labels");
    hwi_buf_text(b, "[");
    for (const char *end; file->root_bytes && at < name; at = end + 1) {
        end = strchr(at, '/');
        if (!end || end >= name) break;
        if (end == at) continue;
        if (!first) hwi_buf_text(b, ",");
        hwi_json_write_text(b, at, (size_t)(end - at));
        first = false;
    }
    hwi_buf_text(b, "]");
}

static const char *
type_of(hw_bytes content)
{
    const uint8_t *c = content.data;
    static const struct {
        size_t at;
        const char *magic, *type;
    } kinds[] = {{0, "\xFF\xD8\xFF", "image/jpeg"}, {1, "PNG", "image/png"},
                 {8, "WEBP", "image/webp"},         {8, "WAVE", "audio/wav"},
                 {0, "fLaC", "audio/flac"},         {0, "OggS", "audio/ogg"},
                 {0, "ID3", "audio/mpeg"},          {0, "\xFF\xFB", "audio/mpeg"},
                 {8, "AIFF", "audio/aiff"}};
    for (size_t i = 0; i < HWI_COUNT(kinds); i++) {
        size_t bytes = strlen(kinds[i].magic);
        if (content.size < kinds[i].at + bytes) continue;
        if (memcmp(c + kinds[i].at, kinds[i].magic, bytes) == 0) return kinds[i].type;
    }
    return "application/octet-stream";
}

static void
add_base64(hwi_buf *b, hw_bytes data)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = data.data;
    for (size_t i = 0; i < data.size; i += 3) {
        size_t left = data.size - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                     (left > 2 ? p[i + 2] : 0);
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=',
                        left > 2 ? digits[v & 63] : '='};
        hwi_buf_add(b, four, 4);
    }
}

/* A data URI, when there is something. */
static void
add_data(hwi_buf *b, const char *key, const char *type, const hwi_buf *data)
{
    if (data->size == 0) return;
    add_key(b, key);
    hwi_buf_printf(b, "\"data:%s;base64,", type);
    add_base64(b, hwi_buf_bytes(data));
    hwi_buf_text(b, "\"");
}

static void
add_facts(hwi_buf *b, const hwi_media_facts *facts)
{
    if (facts->width) {
        add_key(b, "width");
        hwi_buf_printf(b, "%u,\"height\":%u", facts->width, facts->height);
    }
    if (facts->seconds > 0) {
        add_key(b, "seconds");
        hwi_json_write_f64(b, facts->seconds);
    }
    add_data(b, "image", "image/jpeg", &facts->thumbnail);
    add_data(b, "sound", facts->preview_type, &facts->preview);
}

/* ---- Side files ---- */

static bool
read_note(const char *path, const char *ending, hwi_buf *out)
{
    char side[4096];
    const char *name = base_name(path);
    int n = snprintf(side, sizeof side, "%.*s%s", (int)((size_t)(name - path) + stem_bytes(name)),
                     path, ending);
    if (n < 0 || (size_t)n >= sizeof side) return false;
    if (hwi_file_read(side, NOTE_BYTES_MAX, out, NULL) == HW_OK &&
        hwi_utf8_valid(out->data, out->size)) {
        return true;
    }
    hwi_buf_release(out);
    return false;
}

/* "de.utf8=Hund" -> language "de", text "Hund". */
static bool
split_translation(const char *line, size_t bytes, size_t *language_bytes, size_t *text_at)
{
    const char *equals = memchr(line, '=', bytes), *dot = memchr(line, '.', bytes);
    if (!equals || equals == line || equals - line > 24) return false;
    *language_bytes = (size_t)((dot && dot < equals ? dot : equals) - line);
    *text_at = (size_t)(equals - line) + 1;
    return *text_at < bytes;
}

static void
add_captions(hwi_buf *b, const char *text, size_t bytes)
{
    bool first = true, open = false;
    for (size_t at = 0; at < bytes; first = false) {
        const char *line = text + at, *end = memchr(line, '\n', bytes - at);
        size_t line_bytes = end ? (size_t)(end - line) : bytes - at, language, from;
        at += line_bytes + 1;
        if (line_bytes && line[line_bytes - 1] == '\r') line_bytes--;
        if (first) {
            if (line_bytes) add_text(b, "caption", line, line_bytes);
            continue;
        }
        if (!split_translation(line, line_bytes, &language, &from)) continue;
        if (!open) {
            add_key(b, "captions");
            hwi_buf_text(b, "{");
        } else {
            hwi_buf_text(b, ",");
        }
        open = true;
        hwi_json_write_text(b, line, language);
        hwi_buf_text(b, ":");
        hwi_json_write_text(b, line + from, line_bytes - from);
    }
    if (open) hwi_buf_text(b, "}");
}

/* Whether the payload has this key already, or will have it from the facts. */
static bool
is_taken(const hwi_json *j, const hwi_media_facts *facts, bool has_captions)
{
    const struct {
        const char *key;
        bool there;
    } own[] = {{"path", true},
               {"name", true},
               {"labels", true},
               {"type", true},
               {"bytes", true},
               {"hash", true},
               {"caption", has_captions},
               {"captions", has_captions},
               {"width", facts->width > 0},
               {"height", facts->width > 0},
               {"seconds", facts->seconds > 0},
               {"image", facts->thumbnail.size > 0},
               {"sound", facts->preview.size > 0}};

    for (size_t i = 0; i < HWI_COUNT(own); i++)
        if (own[i].there && strlen(own[i].key) == j->key_bytes &&
            memcmp(own[i].key, j->key, j->key_bytes) == 0)
            return true;
    return false;
}

/* Each key once, as it was last: programs differ in which of two they take. */
static void
add_members(hwi_buf *b, hw_bytes text, const hwi_media_facts *facts, bool has_captions)
{
    hwi_arena arena = {0};
    const hwi_json *tree;

    if (hwi_json_parse(text.data, text.size, &arena, &tree, NULL) == HW_OK &&
        tree->kind == HWI_JSON_OBJECT && tree->count <= NOTE_KEYS_MAX) {
        for (const hwi_json *j = tree->child; j; j = j->next) {
            if (is_taken(j, facts, has_captions)) continue;
            if (strlen(j->key) != j->key_bytes || hwi_json_member(tree, j->key) != j) continue;
            add_key(b, j->key);
            hwi_json_write(b, j);
        }
    }
    hwi_arena_release(&arena);
}

void
hwi_file_describe(const hwi_file *file, hw_bytes content, const char *hash,
                  const hwi_media_facts *facts, hwi_buf *out)
{
    const char *name = base_name(file->path), *type = type_of(content);
    hwi_buf note = {0};
    bool has_captions;
    hwi_buf_text(out, "{");
    add_text(out, "path", file->path, strlen(file->path));
    add_text(out, "name", name, stem_bytes(name));
    add_labels(out, file);
    add_text(out, "type", type, strlen(type));
    add_key(out, "bytes");
    hwi_buf_printf(out, "%zu", content.size);
    add_text(out, "hash", hash, strlen(hash));
    has_captions = read_note(file->path, ".txt", &note);
    if (has_captions) {
        add_captions(out, (const char *)note.data, note.size);
        hwi_buf_release(&note);
    }
    if (read_note(file->path, ".json", &note)) {
        add_members(out, hwi_buf_bytes(&note), facts, has_captions);
        hwi_buf_release(&note);
    }
    add_facts(out, facts);
    hwi_buf_text(out, "}");
}
