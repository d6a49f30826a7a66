/* access.c - who may do what: keys and the tokens they sign.
 *
 * A caller shows one text, a key or a JWT (RFC 7519, HS256 only: a token that names another
 * algorithm, "none" included, is no token of ours). Signed tokens say what their owner may do, as
 * Qdrant's do:
 *
 *     {"exp": 1700000000, "access": "r" | "m" | [{"collection": "a", "access": "r"|"rw"|"prw"}, ...],
 *      "value_exists": {"collection": "users", "matches": [{"key": "id", "value": 7}]}}
 *
 * Keys are compared in time that says nothing about where they differ, and so are signatures.
 */
#include "access.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>

#define LEEWAY_S 30 /* clocks differ */
#define TOKEN_BYTES_MAX 16384u
#define MAC_BYTES 32u

struct hwi_keys {
    hwi_arena arena;
    const char *write[2], *read; /* "" when there is none */
    bool has_tokens;
};

hw_status
hwi_keys_new(const hwi_config *config, hwi_keys **out, hw_error *err)
{
    const char *from[] = {config->service_api_key, config->service_alt_api_key,
                          config->service_read_only_api_key};
    hwi_keys *k = hwi_alloc_zero(sizeof *k);
    const char **to[3];

    *out = NULL;
    if (k == NULL) return hwi_nomem(err, sizeof *k);
    to[0] = &k->write[0], to[1] = &k->write[1], to[2] = &k->read;
    for (size_t i = 0; i < HWI_COUNT(from); i++) {
        *to[i] = hwi_arena_text(&k->arena, from[i], strlen(from[i]));
        if (*to[i]) continue;
        hwi_keys_free(k);
        return hwi_nomem(err, strlen(from[i]));
    }
    k->has_tokens = config->service_jwt_rbac;
    *out = k;
    return HW_OK;
}

void
hwi_keys_free(hwi_keys *k)
{
    if (k == NULL) return;
    hwi_arena_release(&k->arena);
    hwi_free(k);
}

bool
hwi_keys_open(const hwi_keys *k)
{
    return !k->write[0][0] && !k->write[1][0] && !k->read[0];
}

static bool
same_bytes(const void *a, const void *b, size_t bytes)
{
    const volatile uint8_t *p = a, *q = b;
    uint8_t differ = 0;

    for (size_t i = 0; i < bytes; i++) differ = (uint8_t)(differ | (p[i] ^ q[i]));
    return differ == 0;
}

bool
hwi_same_secret(const char *given, const char *secret)
{
    size_t bytes = strlen(given), secret_bytes = strlen(secret);
    volatile uint8_t differ = bytes != secret_bytes || secret_bytes == 0;

    for (size_t i = 0; i < bytes; i++) {
        uint8_t with = secret_bytes ? (uint8_t)secret[i % secret_bytes] : 0;
        differ = (uint8_t)(differ | ((uint8_t)given[i] ^ with));
    }
    return differ == 0;
}

/* ---- Tokens */

/* Value of a base64url digit, -1 for others. */
static int
digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* Decodes base64url without padding; NULL when it is none. */
static uint8_t *
decode(const char *text, size_t bytes, hwi_arena *arena, size_t *out_bytes)
{
    uint8_t *out = hwi_arena_alloc(arena, bytes + 1);
    uint32_t window = 0, bits = 0;
    size_t n = 0;

    if (out == NULL || bytes % 4 == 1) return NULL;
    for (size_t i = 0; i < bytes; i++) {
        int d = digit(text[i]);
        if (d < 0) return NULL;
        window = window << 6 | (uint32_t)d;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        out[n++] = (uint8_t)(window >> bits);
    }
    *out_bytes = n;
    return out;
}

static const hwi_json *
decode_json(const char *text, size_t bytes, hwi_arena *arena)
{
    size_t n;
    uint8_t *raw = decode(text, bytes, arena, &n);
    const hwi_json *j;

    if (raw == NULL || hwi_json_parse((char *)raw, n, arena, &j, NULL) != HW_OK) return NULL;
    return j->kind == HWI_JSON_OBJECT ? j : NULL;
}

static bool
is_signed_by(const char *key, const char *text, size_t bytes, const uint8_t *mac)
{
    uint8_t own[MAC_BYTES];

    return key[0] && gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, strlen(key), text, bytes, own) == 0 &&
           same_bytes(own, mac, MAC_BYTES);
}

static bool
is_text(const hwi_json *j, const char *text)
{
    return j && j->kind == HWI_JSON_TEXT && strcmp(j->text, text) == 0;
}

static hwi_rights
rights_of(const hwi_json *j)
{
    return is_text(j, "r")     ? HWI_RIGHTS_READ
           : is_text(j, "prw") ? HWI_RIGHTS_POINTS
           : is_text(j, "rw")  ? HWI_RIGHTS_WRITE
                               : HWI_RIGHTS_NONE;
}

/* The "access" claim; false when malformed. */
static bool
read_access(const hwi_json *claim, hwi_access *out, const char **why)
{
    *why = "Invalid API key or JWT";
    if (claim == NULL || is_text(claim, "m")) {
        out->everywhere = HWI_RIGHTS_ALL;
        return true;
    }
    if (is_text(claim, "r")) {
        out->everywhere = HWI_RIGHTS_READ;
        return true;
    }
    if (claim->kind != HWI_JSON_ARRAY) return false;
    for (const hwi_json *j = claim->child; j; j = j->next) {
        const hwi_json *name = hwi_json_member(j, "collection");
        const hwi_json *payload = hwi_json_member(j, "payload");
        if (name == NULL || name->kind != HWI_JSON_TEXT ||
            rights_of(hwi_json_member(j, "access")) == HWI_RIGHTS_NONE)
            return false;
        if (payload && payload->kind != HWI_JSON_NULL) {
            *why = "The 'payload' constraint is deprecated and should not be used";
            return false;
        }
    }
    out->collections = claim;
    return true;
}

static hwi_verdict
read_claims(const hwi_json *claims, int64_t now_s, hwi_access *out, const char **why)
{
    const hwi_json *exp = hwi_json_member(claims, "exp"), *sub = hwi_json_member(claims, "subject");
    const hwi_json *value = hwi_json_member(claims, "value_exists");

    if (!read_access(hwi_json_member(claims, "access"), out, why)) return HWI_VERDICT_UNKNOWN;
    if (exp && exp->kind != HWI_JSON_NULL) {
        if (!hwi_json_is_number(exp)) return HWI_VERDICT_UNKNOWN;
        if (exp->number < (double)(now_s - LEEWAY_S)) {
            *why = "ExpiredSignature";
            return HWI_VERDICT_FORBIDDEN;
        }
    }
    if (sub == NULL || sub->kind != HWI_JSON_TEXT) sub = hwi_json_member(claims, "sub");
    out->subject = sub && sub->kind == HWI_JSON_TEXT ? sub->text : "token";
    if (value && value->kind != HWI_JSON_NULL) out->value_exists = value;
    return HWI_VERDICT_OK;
}

static hwi_verdict
judge_token(const hwi_keys *k, const char *token, int64_t now_s, hwi_arena *arena, hwi_access *out,
            const char **why)
{
    const char *first = strchr(token, '.'), *second = first ? strchr(first + 1, '.') : NULL;
    const hwi_json *header, *claims;
    uint8_t *mac;
    size_t mac_bytes, signed_bytes;

    *why = "Invalid API key or JWT";
    if (second == NULL || strlen(token) > TOKEN_BYTES_MAX) return HWI_VERDICT_UNKNOWN;
    header = decode_json(token, (size_t)(first - token), arena);
    mac = decode(second + 1, strlen(second + 1), arena, &mac_bytes);
    if (!is_text(hwi_json_member(header, "alg"), "HS256") || mac == NULL)
        return HWI_VERDICT_UNKNOWN;
    signed_bytes = (size_t)(second - token);
    if (mac_bytes != MAC_BYTES || (!is_signed_by(k->write[0], token, signed_bytes, mac) &&
                                   !is_signed_by(k->write[1], token, signed_bytes, mac))) {
        *why = "InvalidSignature";
        return HWI_VERDICT_FORBIDDEN;
    }
    claims = decode_json(first + 1, (size_t)(second - first - 1), arena);
    return claims ? read_claims(claims, now_s, out, why) : HWI_VERDICT_UNKNOWN;
}

/* ---- Judging */

hwi_verdict
hwi_keys_judge(const hwi_keys *k, const char *token, int64_t now_s, hwi_arena *arena,
               hwi_access *out, const char **why)
{
    *out = (hwi_access){0};
    if (hwi_keys_open(k)) {
        *out = (hwi_access){.everywhere = HWI_RIGHTS_ALL, .subject = "anybody"};
        return HWI_VERDICT_OK;
    }
    if (token == NULL) {
        *why = "Must provide an API key or an Authorization bearer token";
        return HWI_VERDICT_UNKNOWN;
    }
    /* `|`, not `||`: how long it takes says nothing about which key it was. */
    if (hwi_same_secret(token, k->write[0]) | hwi_same_secret(token, k->write[1])) {
        *out = (hwi_access){.everywhere = HWI_RIGHTS_ALL, .subject = "api key"};
        return HWI_VERDICT_OK;
    }
    if (hwi_same_secret(token, k->read)) {
        *out = (hwi_access){.everywhere = HWI_RIGHTS_READ, .subject = "read-only api key"};
        return HWI_VERDICT_OK;
    }
    if (k->has_tokens) return judge_token(k, token, now_s, arena, out, why);
    *why = "Invalid API key or JWT";
    return HWI_VERDICT_UNKNOWN;
}

static hwi_rights
rights_for(const hwi_access *a, const char *collection)
{
    hwi_rights best = a->everywhere;

    if (collection == NULL || a->collections == NULL) return best;
    for (const hwi_json *j = a->collections->child; j; j = j->next) {
        hwi_rights here = rights_of(hwi_json_member(j, "access"));
        if (is_text(hwi_json_member(j, "collection"), collection) && here > best) best = here;
    }
    return best;
}

bool
hwi_access_has(const hwi_access *a, hwi_rights rights, const char *collection)
{
    return rights_for(a, collection) >= rights;
}

bool
hwi_access_any(const hwi_access *a)
{
    return a->everywhere > HWI_RIGHTS_NONE || (a->collections && a->collections->child);
}
