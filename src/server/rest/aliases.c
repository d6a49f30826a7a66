/* aliases.c - second names of collections.
 *
 * A request is a list of actions that take effect together. They are played through on a copy of
 * the current list first: renaming needs to know where an alias leads, also one that an earlier
 * action of the same request made. What differs in the end goes to the engine as one transaction.
 */
#include "server/rest/args.h"
#include "server/rest/calls.h"
#include "server/server.h"

typedef struct plan {
    hw_alias *aliases; /* collection NULL: removed */
    size_t count, room;
} plan;

/* ---- The current list */

static bool
read_aliases(hwi_request *r, const hwi_json **out)
{
    char *text;
    hw_error err;
    if (!hwi_ok(r, hw_db_aliases(r->db, &text, &err), &err)) return false;
    hw_status st = hwi_json_parse(text, strlen(text), &r->arena, out, &err);
    hw_free(text);
    return hwi_ok(r, st, &err);
}

static const char *
text_member(const hwi_json *o, const char *key)
{
    const hwi_json *j = hwi_json_member(o, key);
    return j && j->kind == HWI_JSON_TEXT ? j->text : "";
}

static bool
write_aliases(hwi_request *r, const char *collection)
{
    const hwi_json *aliases;
    bool is_first = true;
    if (!read_aliases(r, &aliases)) return false;
    hwi_buf_text(&r->out, "{\"aliases\":[");
    for (const hwi_json *a = aliases->child; a; a = a->next) {
        const char *of = text_member(a, "collection_name");
        if (collection && strcmp(of, collection) != 0) continue;
        if (!hwi_request_may(r, HWI_NEED_READ, of)) continue;
        if (!is_first) hwi_buf_text(&r->out, ",");
        is_first = false;
        hwi_json_write(&r->out, a);
    }
    hwi_buf_text(&r->out, "]}");
    return true;
}

bool
hwi_call_aliases_list(hwi_request *r)
{
    return write_aliases(r, NULL);
}

bool
hwi_call_aliases_of(hwi_request *r)
{
    if (!hwi_request_collection(r)) return false;
    return write_aliases(r, hwi_request_param(r, "collection"));
}

/* ---- Changing it */

static hw_alias *
find(plan *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->aliases[i].name, name) == 0) return &p->aliases[i];
    }
    return NULL;
}

static void
set(plan *p, const char *name, const char *collection)
{
    hw_alias *known = find(p, name);
    if (!known) known = &p->aliases[p->count++];
    *known = (hw_alias){name, collection};
}

static bool
required(hwi_request *r, const hwi_json *o, const char *key, const char **out)
{
    if (!hwi_read_text(r, o, key, out)) return false;
    if (!*out) return hwi_refuse_format(r, "missing field `%s`", key);
    return **out || hwi_refuse_value(r, key, "must not be empty");
}

static bool
create(hwi_request *r, const hwi_json *o, plan *p)
{
    const char *alias, *collection;
    if (!required(r, o, "collection_name", &collection) || !required(r, o, "alias_name", &alias)) {
        return false;
    }
    set(p, alias, collection);
    return true;
}

static bool
drop(hwi_request *r, const hwi_json *o, plan *p)
{
    const char *alias;
    if (!required(r, o, "alias_name", &alias)) return false;
    if (find(p, alias)) set(p, alias, NULL); /* an unknown one is gone already */
    return true;
}

static bool
rename_one(hwi_request *r, const hwi_json *o, plan *p)
{
    const char *from, *to;
    if (!required(r, o, "old_alias_name", &from) || !required(r, o, "new_alias_name", &to)) {
        return false;
    }
    hw_alias *old = find(p, from);
    if (!old || !old->collection) {
        return hwi_refuse(r, 404, "Not found: Alias %.255s does not exists!", from);
    }
    const char *collection = old->collection;
    set(p, from, NULL);
    set(p, to, collection);
    return true;
}

static bool
act(hwi_request *r, const hwi_json *j, plan *p)
{
    const hwi_json *o = hwi_args_member(j, "create_alias");
    if (o) return create(r, o, p);
    o = hwi_args_member(j, "delete_alias");
    if (o) return drop(r, o, p);
    o = hwi_args_member(j, "rename_alias");
    if (o) return rename_one(r, o, p);
    return hwi_refuse_format(r,
                             "actions: expected `create_alias`, `delete_alias` or `rename_alias`");
}

/* Leaves only what differs from `before`. */
static void
keep_changes(plan *p, const hwi_json *before)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        hw_alias a = p->aliases[i];
        const char *was = NULL;
        for (const hwi_json *b = before->child; b; b = b->next) {
            if (strcmp(text_member(b, "alias_name"), a.name) == 0) {
                was = text_member(b, "collection_name");
            }
        }
        bool is_same = was && a.collection ? strcmp(was, a.collection) == 0 : was == a.collection;
        if (!is_same) p->aliases[kept++] = a;
    }
    p->count = kept;
}

/* Refuses with the first collection that is not there. */
static bool
refuse_unknown(hwi_request *r, const plan *p, const hw_error *err)
{
    hw_collection *c;
    for (size_t i = 0; i < p->count; i++) {
        const char *name = p->aliases[i].collection;
        hw_status st = name ? hw_collection_open(r->db, name, &c, NULL) : HW_ENOTFOUND;
        if (st == HW_OK) hw_collection_close(c);
        if (!name || st == HW_OK) continue;
        return hwi_refuse(r, 404, "Not found: Collection `%.255s` doesn't exist!", name);
    }
    return hwi_refuse_engine(r, err);
}

static bool
apply(hwi_request *r, const plan *p)
{
    hw_error err;
    if (p->count == 0) return true;
    hw_status st = hw_db_alias(r->db, p->aliases, p->count, &err);
    for (size_t i = 0; i < p->count; i++) hwi_server_forget(r->server, p->aliases[i].name);
    if (st == HW_EEXIST) return hwi_refuse(r, 409, "Wrong input: %s", err.message);
    if (st == HW_ENOTFOUND) return refuse_unknown(r, p, &err);
    return hwi_ok(r, st, &err);
}

bool
hwi_call_aliases_change(hwi_request *r)
{
    plan p = {0};
    const hwi_json *before, *body = hwi_args_body(r);
    if (!body || !hwi_args_timeout(r)) return false;
    const hwi_json *actions = hwi_json_member(body, "actions");
    if (!actions || actions->kind != HWI_JSON_ARRAY) {
        return hwi_refuse_format(r, "actions: expected an array");
    }
    if (!hwi_request_may_all(r, HWI_NEED_MANAGE)) {
        return hwi_refuse(r, 403, "Forbidden: Global manage access is required");
    }
    if (!read_aliases(r, &before)) return false;
    p.room = before->count + 2 * actions->count;
    p.aliases = hwi_request_alloc(r, (p.room + 1) * sizeof *p.aliases);
    if (!p.aliases) return false;
    for (const hwi_json *b = before->child; b; b = b->next) {
        set(&p, text_member(b, "alias_name"), text_member(b, "collection_name"));
    }
    for (const hwi_json *j = actions->child; j; j = j->next) {
        if (!act(r, j, &p)) return false;
    }
    keep_changes(&p, before);
    if (!apply(r, &p)) return false;
    hwi_buf_text(&r->out, "true");
    return true;
}
