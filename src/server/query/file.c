/* file.c - search by a file: a picture or a sound instead of a vector.
 *
 *     body (a file, or a form with one) -> embedder -> vector -> what points/query does with it
 *
 * What else there is to say (limit, filter, ...) comes as arguments of the path or as fields of the
 * form, each the JSON that points/query takes under that name. The body of points/query is made of
 * them with a vector that stands in for the one to come. So everything about the request is judged,
 * rate limits included, before a file is decoded, which is what costs.
 */
#include "server/embedding.h"
#include "server/form.h"
#include "server/query/query.h"
#include "server/server.h"

/* ---- What came in */

typedef struct asked {
    const char *file_name; /* NULL: not said */
    hw_bytes content;
    hwi_form_part fields[HWI_FORM_PARTS_MAX];
    size_t field_count;
} asked;

static bool
take_form(hwi_request *r, const char *type, asked *out)
{
    const hw_bytes body = hwi_bytes(r->raw, r->raw_bytes);
    size_t files = 0;
    hw_error err = {0};

    if (!hwi_ok(r, hwi_form_read(type, body, &r->arena, out->fields, &out->field_count, &err),
                &err))
        return false;
    for (size_t i = 0; i < out->field_count; i++) {
        if (out->fields[i].file_name == NULL) continue;
        files++;
        out->file_name = out->fields[i].file_name;
        out->content = out->fields[i].content;
    }
    return files == 1 ||
           hwi_refuse(r, 400, "Wrong input: the form has %zu files, expected 1", files);
}

static bool
take_file(hwi_request *r, asked *out)
{
    const char *type = hwi_request_header(r, "content-type");

    out->field_count = 0;
    out->file_name = NULL;
    out->content = hwi_bytes(r->raw, r->raw_bytes);
    if (hwi_form_is_one(type) && !take_form(r, type, out)) return false;
    return out->content.size > 0 ||
           hwi_refuse(r, 400,
                      "Wrong input: no file: send its bytes as the body, or a form with one file");
}

/* A field of the form, else an argument of the path. */
static bool
find_field(hwi_request *r, const asked *a, const char *name, hw_bytes *out)
{
    const char *text = hwi_request_arg(r, name);

    *out = hwi_bytes(text, text ? strlen(text) : 0);
    for (size_t i = 0; i < a->field_count; i++)
        if (a->fields[i].file_name == NULL && strcmp(a->fields[i].name, name) == 0)
            *out = a->fields[i].content;
    return out->size > 0;
}

/* ---- The search */

/* "name": value, the value being JSON by itself. */
static bool
add_field(hwi_request *r, const asked *a, const char *name, hwi_buf *body)
{
    const hwi_json *value;
    hwi_arena arena = {0};
    hw_error err = {0};
    hw_bytes text;

    if (!find_field(r, a, name, &text)) return true;
    hw_status st = hwi_json_parse(text.data, text.size, &arena, &value, &err);
    if (st == HW_OK) {
        hwi_buf_printf(body, ",\"%s\":", name);
        hwi_buf_add(body, text.data, text.size);
    } else {
        hwi_refuse(r, st == HW_EINVAL ? 400 : 503, "Wrong input: %s: %s", name, err.message);
    }
    hwi_arena_release(&arena);
    return st == HW_OK;
}

/* The body of points/query, with 1, 0, 0 ... for the vector. */
static bool
write_body(hwi_request *r, const asked *a, const hwi_shape_field *field, hwi_buf *body)
{
    static const char *const names[] = {"limit",        "offset",       "filter",
                                        "params",       "with_payload", "with_vector",
                                        "with_vectors", "explain",      "score_threshold"};

    hwi_buf_text(body, "{\"using\":");
    hwi_json_write_text(body, field->name, strlen(field->name));
    hwi_buf_text(body, ",\"query\":[1");
    for (uint32_t i = 1; i < field->dim; i++) hwi_buf_text(body, ",0");
    hwi_buf_text(body, "]");
    for (size_t i = 0; i < HWI_COUNT(names); i++)
        if (!add_field(r, a, names[i], body)) return false;
    hwi_buf_text(body, "}");
    return !body->failed || hwi_refuse(r, 503, "Service unavailable: out of memory");
}

static bool
decode(hwi_run *run, const asked *a, const hwi_shape_field *field, hwi_search *out)
{
    hwi_request *r = run->request;
    const hwi_json *tree;
    hwi_buf body = {0};
    hw_error err = {0};
    bool ok = write_body(r, a, field, &body);

    if (ok) {
        hw_status st = hwi_json_parse((const char *)body.data, body.size, &r->arena, &tree, &err);
        ok = hwi_ok(r, st, &err) && hwi_decode_search(run, tree, out);
    }
    hwi_buf_release(&body);
    return ok;
}

/* Takes the vector that stands in for it out again. */
static bool
embed(hwi_run *run, const asked *a, const hwi_embedding_choice *choice, hwi_search *s)
{
    float *vector = hwi_request_alloc(run->request, choice->about.dim * sizeof *vector);

    if (vector == NULL) return false;
    if (!hwi_embedding_run(run->request, choice, a->file_name, a->content, vector)) return false;
    s->plan.target.vector.values = vector;
    return true;
}

/* `using` is text; NULL when it is not said. */
static bool
read_using(hwi_request *r, const asked *a, const char **out)
{
    hw_bytes text;

    *out = NULL;
    if (!find_field(r, a, "using", &text)) return true;
    *out = hwi_arena_text(&r->arena, text.data, text.size);
    return *out || hwi_refuse(r, 503, "Service unavailable: out of memory");
}

static bool
choose(hwi_run *run, const asked *a, hwi_embedding_choice *out)
{
    hwi_request *r = run->request;
    hw_error err = {0};
    const char *using;

    if (!read_using(r, a, &using)) return false;
    if (using && !hwi_shape_field_named(r, &run->shape, using)) return false;
    hw_status st = hwi_embedding_choose(r, &run->shape, using, out, &err);
    if (st == HW_EUNSUPPORTED) return hwi_refuse(r, 405, "Not available: %s", err.message);
    return hwi_ok(r, st, &err);
}

bool
hwi_handle_search_file(hwi_request *r)
{
    hwi_embedding_choice choice;
    hwi_run run;
    hwi_search s;
    asked a;
    bool ok = hwi_run_begin(&run, r) && take_file(r, &a) && choose(&run, &a, &choice) &&
              decode(&run, &a, choice.field, &s) && hwi_admit(&run, &s, 1, NULL) &&
              embed(&run, &a, &choice, &s) && hwi_prepare(&run, &s, 1) &&
              hwi_execute(&run, &s, 1) && hwi_answer_search(&run, &s, false);

    hwi_run_end(&run);
    return ok;
}

/* ---- Whether it can be done */

static void
add_choice(hwi_buf *out, const hwi_embedding_choice *c)
{
    hwi_buf_text(out, out->size ? "," : "");
    hwi_json_write_text(out, c->field->name, strlen(c->field->name));
    hwi_buf_text(out, ":{\"embedder\":");
    hwi_json_write_text(out, c->about.name, strlen(c->about.name));
    hwi_buf_printf(out, ",\"media\":\"%s\"}", c->about.media);
}

/* Clients ask before they offer it: {"vectors": {"": {"embedder", "media"}}}, or why not. */
bool
hwi_handle_embedding(hwi_request *r)
{
    hwi_buf vectors = {0};
    hwi_embedding_choice choice;
    hwi_shape shape;
    hw_error err = {0}, why = {0};
    hw_collection *c = hwi_request_collection(r);

    if (c == NULL || !hwi_shape_of(r, c, &shape)) return false;
    for (size_t i = 0; i < shape.field_count; i++)
        if (hwi_embedding_choose(r, &shape, shape.fields[i].name, &choice, &err) == HW_OK)
            add_choice(&vectors, &choice);
    if (hwi_embedding_choose(r, &shape, NULL, &choice, &why) == HW_OK) why.message[0] = '\0';
    hwi_buf_printf(&r->out, "{\"available\":%s,\"max_file_size_mb\":%u,\"vectors\":{",
                   vectors.size ? "true" : "false",
                   hwi_server_config(r->server)->embedding_max_file_size_mb);
    if (vectors.size) hwi_buf_add(&r->out, vectors.data, vectors.size);
    hwi_buf_text(&r->out, "}");
    if (why.message[0]) {
        hwi_buf_text(&r->out, ",\"why\":");
        hwi_json_write_text(&r->out, why.message, strlen(why.message));
    }
    hwi_buf_text(&r->out, "}");
    bool ok = !vectors.failed;
    hwi_buf_release(&vectors);
    return ok || hwi_refuse(r, 503, "Service unavailable: out of memory");
}
