/* Keys and tokens: who is let in, and to what. */
#include "support/hwt.h"

#include <gnutls/crypto.h>
#include <stdio.h>

#include "server/access.h"

static hwi_keys *
keys_of(const char *write, const char *read, bool tokens)
{
    hwi_config c = {.service_api_key = write,
                    .service_alt_api_key = "",
                    .service_read_only_api_key = read,
                    .service_jwt_rbac = tokens};
    hwi_keys *k;
    assert_int_equal(HW_OK, hwi_keys_new(&c, &k, NULL));
    return k;
}

static void
add_base64(hwi_buf *b, const void *data, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *p = data;
    for (size_t at = 0; at < bytes; at += 3) {
        uint32_t window = 0;
        size_t n = HWI_MIN(bytes - at, 3);
        for (size_t i = 0; i < 3; i++) window = window << 8 | (i < n ? p[at + i] : 0);
        for (size_t i = 0; i <= n; i++) hwi_buf_add(b, &digits[window >> (18 - 6 * i) & 63], 1);
    }
}

/* A token of these claims, signed with a key. */
static const char *
token_of(const char *header, const char *claims, const char *key)
{
    static hwi_buf b;
    uint8_t mac[32];
    hwi_buf_clear(&b);
    add_base64(&b, header, strlen(header));
    hwi_buf_text(&b, ".");
    add_base64(&b, claims, strlen(claims));
    gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, strlen(key), b.data, b.size, mac);
    hwi_buf_text(&b, ".");
    add_base64(&b, mac, sizeof mac);
    hwi_buf_add(&b, "", 1);
    return (char *)b.data;
}

#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define NOW 1700000000

static hwi_verdict
judge(const hwi_keys *k, const char *token, hwi_access *out)
{
    static hwi_arena arena; /* lives as long as the process; claims stay readable */
    const char *why = NULL;
    hwi_verdict v = hwi_keys_judge(k, token, NOW, &arena, out, &why);
    if (v != HWI_VERDICT_OK) assert_true(why && why[0]);
    return v;
}

static void
without_keys_everybody_may_do_everything(void **state)
{
    (void)state;
    hwi_keys *k = keys_of("", "", false);
    hwi_access a;
    assert_true(hwi_keys_open(k));
    assert_int_equal(HWI_VERDICT_OK, judge(k, NULL, &a));
    assert_true(hwi_access_has(&a, HWI_RIGHTS_ALL, NULL));
    hwi_keys_free(k);
}

static void
keys_give_their_rights_and_nothing_else_does(void **state)
{
    (void)state;
    hwi_keys *k = keys_of("write", "read", false);
    hwi_access a;
    assert_int_equal(HWI_VERDICT_OK, judge(k, "write", &a));
    assert_true(hwi_access_has(&a, HWI_RIGHTS_ALL, "c"));
    assert_int_equal(HWI_VERDICT_OK, judge(k, "read", &a));
    assert_true(hwi_access_has(&a, HWI_RIGHTS_READ, "c"));
    assert_false(hwi_access_has(&a, HWI_RIGHTS_POINTS, "c"));
    const char *wrong[] = {NULL, "", "writ", "writee", "writewrite", "WRITE", "read ", "a.b.c"};
    for (size_t i = 0; i < HWI_COUNT(wrong); i++) {
        assert_int_equal(HWI_VERDICT_UNKNOWN, judge(k, wrong[i], &a));
        assert_false(hwi_access_has(&a, HWI_RIGHTS_READ, "c"));
        assert_false(hwi_access_any(&a));
    }
    hwi_keys_free(k);
    k = keys_of("", "read", false); /* an empty key is none, not one that "" opens */
    assert_int_equal(HWI_VERDICT_UNKNOWN, judge(k, "", &a));
    hwi_keys_free(k);
}

static void
tokens_say_what_their_owner_may_do(void **state)
{
    (void)state;
    hwi_keys *k = keys_of("secret", "", true);
    hwi_access a;
    assert_int_equal(HWI_VERDICT_OK, judge(k, token_of(HS256, "{}", "secret"), &a));
    assert_true(hwi_access_has(&a, HWI_RIGHTS_ALL, NULL)); /* no access claim: everything */
    assert_int_equal(HWI_VERDICT_OK, judge(k, token_of(HS256, "{\"access\":\"r\"}", "secret"), &a));
    assert_true(hwi_access_has(&a, HWI_RIGHTS_READ, NULL));
    assert_false(hwi_access_has(&a, HWI_RIGHTS_POINTS, "c"));
    assert_int_equal(HWI_VERDICT_OK,
                     judge(k,
                           token_of(HS256,
                                    "{\"subject\":\"eve\",\"access\":[{\"collection\":\"a\","
                                    "\"access\":\"rw\"},{\"collection\":\"b\",\"access\":\"r\"},"
                                    "{\"collection\":\"c\",\"access\":\"prw\"}]}",
                                    "secret"),
                           &a));
    assert_string_equal("eve", a.subject);
    assert_true(hwi_access_has(&a, HWI_RIGHTS_WRITE, "a"));
    assert_false(hwi_access_has(&a, HWI_RIGHTS_ALL, "a"));
    assert_true(hwi_access_has(&a, HWI_RIGHTS_READ, "b"));
    assert_false(hwi_access_has(&a, HWI_RIGHTS_POINTS, "b"));
    assert_true(hwi_access_has(&a, HWI_RIGHTS_POINTS, "c"));
    assert_false(hwi_access_has(&a, HWI_RIGHTS_WRITE, "c"));
    assert_false(hwi_access_has(&a, HWI_RIGHTS_READ, "d"));
    assert_false(hwi_access_has(&a, HWI_RIGHTS_READ, NULL));
    assert_true(hwi_access_any(&a));
    hwi_keys_free(k);
}

static void
tokens_expire_with_some_leeway(void **state)
{
    (void)state;
    hwi_keys *k = keys_of("secret", "", true);
    hwi_access a;
    char claims[64];
    const struct {
        int64_t exp;
        hwi_verdict verdict;
    } cases[] = {{NOW + 60, HWI_VERDICT_OK},
                 {NOW, HWI_VERDICT_OK},
                 {NOW - 30, HWI_VERDICT_OK},
                 {NOW - 31, HWI_VERDICT_FORBIDDEN}};
    for (size_t i = 0; i < HWI_COUNT(cases); i++) {
        snprintf(claims, sizeof claims, "{\"exp\":%lld}", (long long)cases[i].exp);
        assert_int_equal(cases[i].verdict, judge(k, token_of(HS256, claims, "secret"), &a));
    }
    hwi_keys_free(k);
}

static void
forged_and_malformed_tokens_are_refused(void **state)
{
    (void)state;
    hwi_keys *k = keys_of("secret", "", true), *no_tokens = keys_of("secret", "", false);
    hwi_access a;
    const char *good = token_of(HS256, "{}", "secret");
    assert_int_equal(HWI_VERDICT_UNKNOWN, judge(no_tokens, good, &a));
    assert_int_equal(HWI_VERDICT_FORBIDDEN, judge(k, token_of(HS256, "{}", "other"), &a));
    assert_int_equal(HWI_VERDICT_FORBIDDEN, judge(k, token_of(HS256, "{}", ""), &a));
    const char *headers[] = {"{\"alg\":\"none\"}", "{\"alg\":\"HS512\"}", "{}", "[]", "x"};
    for (size_t i = 0; i < HWI_COUNT(headers); i++)
        assert_int_equal(HWI_VERDICT_UNKNOWN, judge(k, token_of(headers[i], "{}", "secret"), &a));
    const char *claims[] = {
        "[]",
        "x",
        "{\"exp\":\"soon\"}",
        "{\"access\":\"rw\"}",
        "{\"access\":7}",
        "{\"access\":[{\"collection\":\"a\"}]}",
        "{\"access\":[{\"collection\":\"a\",\"access\":\"m\"}]}",
        "{\"access\":[{\"collection\":\"a\",\"access\":\"r\",\"payload\":{}}]}"};
    for (size_t i = 0; i < HWI_COUNT(claims); i++)
        assert_int_equal(HWI_VERDICT_UNKNOWN, judge(k, token_of(HS256, claims[i], "secret"), &a));
    hwi_keys_free(k);
    hwi_keys_free(no_tokens);
}

/* Every change of one character of a good token is refused. */
static void
no_character_of_a_token_can_be_changed(void **state)
{
    (void)state;
    hwi_keys *k = keys_of("secret", "", true);
    hwi_access a;
    char token[512];
    snprintf(token, sizeof token, "%s", token_of(HS256, "{\"access\":\"r\"}", "secret"));
    size_t bytes = strlen(token);
    for (size_t i = 0; i + 1 < bytes; i++) { /* the last character holds unused bits */
        char was = token[i];
        token[i] = was == 'A' ? 'B' : 'A';
        assert_int_not_equal(HWI_VERDICT_OK, judge(k, token, &a));
        token[i] = was;
    }
    assert_int_equal(HWI_VERDICT_OK, judge(k, token, &a));
    hwi_keys_free(k);
}

static void
secrets_compare_whole(void **state)
{
    (void)state;
    assert_true(hwi_same_secret("abc", "abc"));
    assert_false(hwi_same_secret("abc", "abd"));
    assert_false(hwi_same_secret("abcabc", "abc")); /* the secret is read around and around */
    assert_false(hwi_same_secret("ab", "abc"));
    assert_false(hwi_same_secret("", "abc"));
    assert_false(hwi_same_secret("", ""));
    assert_false(hwi_same_secret("abc", ""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_keys_everybody_may_do_everything),
        cmocka_unit_test(keys_give_their_rights_and_nothing_else_does),
        cmocka_unit_test(tokens_say_what_their_owner_may_do),
        cmocka_unit_test(tokens_expire_with_some_leeway),
        cmocka_unit_test(forged_and_malformed_tokens_are_refused),
        cmocka_unit_test(no_character_of_a_token_can_be_changed),
        cmocka_unit_test(secrets_compare_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
