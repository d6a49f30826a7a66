/* request.c - what handlers ask of a request: its parts, its collection, its refusals.
 *
 * A handler sees an hwi_request, which is the first member of an hwi_exchange; here one is taken for
 * the other. Everything handed out lives in the request's arena or until the request ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "route.h"
#include "server_impl.h"

static const hwi_exchange *
whole(const hwi_request *r)
{
    return (const hwi_exchange *)r;
}

/* ---- Asking */

const char *
hwi_request_param(const hwi_request *r, const char *name)
{
    int n = hwi_route_param(whole(r)->route, name);

    HWI_ASSERT(n >= 0); /* a handler asks for what its own pattern has */
    return r->params[n];
}

static const char *
find_pair(const hwi_pair *pairs, size_t count, const char *name, bool any_case)
{
    for (size_t i = 0; i < count; i++)
        if ((any_case ? strcasecmp : strcmp)(pairs[i].name, name) == 0) return pairs[i].value;
    return NULL;
}

const char *
hwi_request_arg(const hwi_request *r, const char *name)
{
    return find_pair(whole(r)->args, whole(r)->arg_count, name, false);
}

const char *
hwi_request_header(const hwi_request *r, const char *name)
{
    return find_pair(whole(r)->headers, whole(r)->header_count, name, true);
}

bool
hwi_request_flag(hwi_request *r, const char *name, bool otherwise, bool *out)
{
    const char *text = hwi_request_arg(r, name);

    *out = otherwise;
    if (text == NULL) return true;
    *out = strcmp(text, "true") == 0;
    if (*out || strcmp(text, "false") == 0) return true;
    return hwi_refuse(
        r, 400, "Deserialize error in query parameters: %s is `%.100s`, not `true` or `false`",
        name, text);
}

void *
hwi_request_alloc(hwi_request *r, size_t bytes)
{
    void *memory = hwi_arena_alloc(&r->arena, bytes);

    if (memory == NULL) hwi_refuse(r, 503, "Service unavailable: out of memory");
    return memory;
}

/* ---- Collections */

/* Who only reads gets a handle of its own, which sees one snapshot and ends when the request must. */
static hw_collection *
handle_of(hwi_exchange *x, size_t i)
{
    hwi_request *r = &x->request;
    hw_error err = {0};

    if (x->route->need != HWI_NEED_READ) return x->opened[i]->collection;
    if (x->held[i] == NULL && hw_collection_hold(x->opened[i]->collection, r->deadline_ms,
                                                 r->cancel, &x->held[i], &err) != HW_OK) {
        if (err.status == HW_ENOTFOUND)
            hwi_refuse(r, 404, "Not found: Collection `%.300s` doesn't exist!", x->opened[i]->name);
        else
            hwi_refuse_engine(r, &err);
    }
    return x->held[i];
}

/* Of the collection in the path and of one that a body names Qdrant says in different words that it is
 * not there. */
static hw_collection *
open_collection(hwi_request *r, const char *name, bool is_in_path)
{
    hwi_exchange *x = (hwi_exchange *)r;
    hw_error err = {0};
    hw_status st;

    for (size_t i = 0; i < x->opened_count; i++)
        if (strcmp(x->opened[i]->name, name) == 0) return handle_of(x, i);
    if (x->opened_count == HWI_OPENED_MAX) {
        hwi_refuse(r, 400, "Wrong input: more than %u collections in one request", HWI_OPENED_MAX);
        return NULL;
    }
    st = hwi_open_get(&r->server->open, name, &x->opened[x->opened_count], &err);
    if (st == HW_OK) {
        x->found_collection = true;
        x->held[x->opened_count] = NULL;
        return handle_of(x, x->opened_count++);
    }
    if (st == HW_ENOTFOUND || st == HW_EINVAL)
        hwi_refuse(r, 404,
                   is_in_path ? "Not found: Collection `%.300s` doesn't exist!"
                              : "Not found: Collection %.300s not found",
                   name);
    else
        hwi_refuse_engine(r, &err);
    return NULL;
}

hw_collection *
hwi_request_collection(hwi_request *r)
{
    return open_collection(r, hwi_request_param(r, "collection"), true);
}

hw_collection *
hwi_request_collection_named(hwi_request *r, const char *name)
{
    if (hwi_request_may(r, HWI_NEED_READ, name)) return open_collection(r, name, false);
    hwi_refuse(r, 403, "Forbidden: Access to collection %.300s is required", name);
    return NULL;
}

static hwi_rights
rights_of_need(hwi_need need)
{
    static const hwi_rights rights[] = {[HWI_NEED_NOTHING] = HWI_RIGHTS_NONE,
                                        [HWI_NEED_READ] = HWI_RIGHTS_READ,
                                        [HWI_NEED_WRITE] = HWI_RIGHTS_POINTS,
                                        [HWI_NEED_MANAGE] = HWI_RIGHTS_ALL};
    return rights[need];
}

bool
hwi_request_may(const hwi_request *r, hwi_need need, const char *collection)
{
    return hwi_access_has(&whole(r)->access, rights_of_need(need), collection);
}

bool
hwi_request_may_all(const hwi_request *r, hwi_need need)
{
    return hwi_access_has(&whole(r)->access, rights_of_need(need), NULL);
}

/* ---- Refusing */

static bool
refuse(hwi_request *r, int status, const char *prefix, const char *format, va_list args)
{
    size_t n = (size_t)snprintf(r->refusal, sizeof r->refusal, "%s", prefix);

    r->status = status;
    hwi_buf_clear(&r->out);
    vsnprintf(r->refusal + n, sizeof r->refusal - n, format, args);
    r->kind = HWI_BODY_RESULT;
    r->extra_status = NULL;
    r->send_file = NULL;
    return false;
}

bool
hwi_refuse(hwi_request *r, int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    refuse(r, status, "", format, args);
    va_end(args);
    return false;
}

bool
hwi_refuse_format(hwi_request *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    refuse(r, 400, "Format error in JSON body: ", format, args);
    va_end(args);
    return false;
}

bool
hwi_refuse_value(hwi_request *r, const char *field, const char *format, ...)
{
    char why[600];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    return hwi_refuse(r, 422, "Validation error in JSON body: [%s: %s]", field, why);
}

bool
hwi_refuse_engine(hwi_request *r, const hw_error *err)
{
    static const struct {
        hw_status status;
        int code;
        const char *prefix;
    } codes[] = {{HW_EINVAL, 400, "Wrong input: "},
                 {HW_ENOTFOUND, 404, "Not found: "},
                 {HW_EEXIST, 409, "Wrong input: "},
                 {HW_EBUSY, 503, "Service unavailable: "},
                 {HW_ENOSPC, 507, "No space left: "},
                 {HW_EREADONLY, 403, "Forbidden: "},
                 {HW_ECANCELED, 503, "Service unavailable: "},
                 {HW_ETIMEOUT, 408, "Timeout: "},
                 {HW_ELIMIT, 400, "Wrong input: "},
                 {HW_EUNSUPPORTED, 400, "Wrong input: "},
                 {HW_ECONFLICT, 503, "Service unavailable: "},
                 {HW_ENOMEM, 503, "Service unavailable: "},
                 {HW_EVERSION, 400, "Wrong input: "}};

    for (size_t i = 0; i < HWI_COUNT(codes); i++)
        if (codes[i].status == err->status)
            return hwi_refuse(r, codes[i].code, "%s%s", codes[i].prefix, err->message);
    return hwi_refuse(r, 500, "Service internal error: %s", err->message);
}
