/* args.c - query arguments and members that many calls share.
 *
 * There is one authority for writes and every answer is given after the commit, so all orderings
 * and consistencies collapse into the strongest: their values are checked and otherwise ignored.
 */
#include "server/rest/args.h"

#include <errno.h>
#include <stdlib.h>

static bool
check_word(hwi_request *r, const char *name, const char *const *words)
{
    const char *value = hwi_request_arg(r, name);
    if (!value) return true;
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(value, words[i]) == 0) return true;
    }
    return hwi_refuse(r, 400,
                      "Deserialize error in query parameters: unknown value `%.100s` of `%s`",
                      value, name);
}

static bool
is_count(const char *text, unsigned long *out)
{
    char *end;
    errno = 0;
    if (*text < '0' || *text > '9') return false;
    *out = strtoul(text, &end, 10);
    return errno == 0 && *end == '\0';
}

bool
hwi_args_timeout(hwi_request *r)
{
    unsigned long seconds;
    const char *value = hwi_request_arg(r, "timeout");
    if (!value) return true;
    if (!is_count(value, &seconds)) {
        return hwi_refuse(r, 400,
                          "Deserialize error in query parameters: invalid digit in timeout");
    }
    if (seconds > 0) return true;
    return hwi_refuse(r, 422,
                      "Validation error in query parameters: [timeout: value 0 invalid, must be 1 "
                      "or larger]");
}

bool
hwi_args_write(hwi_request *r, bool *wait)
{
    static const char *const orderings[] = {"weak", "medium", "strong", NULL};
    return hwi_request_flag(r, "wait", false, wait) && check_word(r, "ordering", orderings) &&
           hwi_args_timeout(r);
}

bool
hwi_args_read(hwi_request *r)
{
    static const char *const consistencies[] = {"majority", "quorum", "all", NULL};
    unsigned long replicas;
    const char *value = hwi_request_arg(r, "consistency");
    if (value && is_count(value, &replicas)) {
        if (replicas > 0) return hwi_args_timeout(r);
        return hwi_refuse(r, 422,
                          "Validation error in query parameters: [consistency: value 0 invalid, "
                          "must be 1 or larger]");
    }
    return check_word(r, "consistency", consistencies) && hwi_args_timeout(r);
}

const hwi_json *
hwi_args_body(hwi_request *r)
{
    if (r->body && r->body->kind == HWI_JSON_OBJECT) return r->body;
    hwi_refuse_format(r, r->body ? "expected an object" : "EOF while parsing a value");
    return NULL;
}

const hwi_json *
hwi_args_member(const hwi_json *o, const char *key)
{
    const hwi_json *j = hwi_json_member(o, key);
    return j && j->kind != HWI_JSON_NULL ? j : NULL;
}

bool
hwi_args_shard(hwi_request *r, const hwi_json *o)
{
    if (!hwi_args_member(o, "shard_key")) return true;
    return hwi_refuse(r, 400,
                      "Wrong input: Shard key selector is not supported: the collection has no "
                      "shard keys");
}
