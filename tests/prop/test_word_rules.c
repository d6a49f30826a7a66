/* Settings of text indexes: what words they give, and that an index and a test of payloads agree on
 * every condition under any of them. */
#include "support/hwt_db.h"
#include "support/hwt_payload.h"

#include <stdio.h>

#include "payload/filter.h"
#include "payload/values.h"
#include "payload/word_rules.h"

/* ---- words */

static const struct {
    const char *params, *text, *words, *query; /* query NULL: the same */
} cuts[] = {
    {"{}", "Red Chairs, 2x", "red chairs 2x", NULL},
    {"{\"lowercase\": false}", "Red Chairs", "Red Chairs", NULL},
    {"{\"tokenizer\": \"whitespace\"}", " Red-ish  (chairs)\t2x ", "red-ish (chairs) 2x", NULL},
    {"{\"tokenizer\": \"multilingual\"}", "Red \xe6\xa4\x85\xe5\xad\x90",
     "red \xe6\xa4\x85 \xe5\xad\x90", NULL},
    {"{\"tokenizer\": \"prefix\", \"min_token_len\": 2, \"max_token_len\": 4}", "a red chairs",
     "re red ch cha chai", "red chai"},
    {"{\"tokenizer\": \"prefix\"}", "Gr\xc3\xbcn", "g gr gr\xc3\xbc gr\xc3\xbcn", "gr\xc3\xbcn"},
    {"{\"min_token_len\": 2, \"max_token_len\": 3}", "a re red chai \xc3\xbc\xc3\xb1",
     "re red \xc3\xbc\xc3\xb1", NULL},
    {"{\"ascii_folding\": true}", "A\xc3\xa7\xc3\xa3o Stra\xc3\x9f\x65", "acao strasse", NULL},
    {"{\"ascii_folding\": true, \"lowercase\": false}", "\xc3\x89t\xc3\xa9", "Ete", NULL},
    {"{\"stopwords\": \"english\"}", "The chair of the king", "chair king", NULL},
    {"{\"stopwords\": {\"languages\": [\"english\"], \"custom\": [\"King\"]}}", "The King's chair",
     "s chair", NULL},
    {"{\"stopwords\": {\"custom\": [\"the\"]}, \"lowercase\": false}", "The the", "The", NULL},
    {"{\"stopwords\": null, \"stemmer\": {\"type\": \"none\"}, \"on_disk\": true}", "the x",
     "the x", NULL},
};

static void
expect_words(const char *params, const char *text, bool is_query, const char *expected)
{
    hwi_arena arena = {0};
    const hwi_json *json;
    const hwi_word_rules *rules;
    hwi_words it;
    hwi_buf out = {0};
    hw_error err;
    hwt_ok(hwi_json_parse(params, strlen(params), &arena, &json, &err), &err);
    hwt_ok(hwi_word_rules_read(json, &arena, &rules, &err), &err);
    hwi_words_init(&it, rules, text, strlen(text));
    it.is_query = is_query;
    while (hwi_words_next(&it)) {
        if (out.size) hwi_buf_text(&out, " ");
        hwi_buf_add(&out, it.word, it.bytes);
    }
    hwi_buf_fill(&out, 0, 1);
    assert_string_equal(expected, (char *)out.data);
    hwi_buf_release(&out);
    hwi_arena_release(&arena);
}

static void
texts_are_cut_as_the_settings_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < HWI_COUNT(cuts); i++) {
        expect_words(cuts[i].params, cuts[i].text, false, cuts[i].words);
        expect_words(cuts[i].params, cuts[i].text, true,
                     cuts[i].query ? cuts[i].query : cuts[i].words);
    }
}

static void
wrong_settings_name_the_key(void **state)
{
    (void)state;
    static const struct {
        const char *params, *says;
        hw_status st;
    } wrong[] = {{"{\"tokenizer\": \"words\"}", "tokenizer", HW_EINVAL},
                 {"{\"lowercase\": 1}", "lowercase", HW_EINVAL},
                 {"{\"min_token_len\": -1}", "min_token_len", HW_EINVAL},
                 {"{\"stopwords\": 3}", "stopwords", HW_EINVAL},
                 {"{\"stopwords\": {\"custom\": [1]}}", "stopwords.custom", HW_EINVAL},
                 {"{\"stopwords\": \"klingon\"}", "klingon", HW_EUNSUPPORTED},
                 {"{\"stemmer\": {\"type\": \"snowball\", \"language\": \"english\"}}", "stemmer",
                  HW_EUNSUPPORTED}};
    for (size_t i = 0; i < HWI_COUNT(wrong); i++) {
        hwi_arena arena = {0};
        const hwi_json *json;
        const hwi_word_rules *rules;
        hw_error err;
        hwt_ok(hwi_json_parse(wrong[i].params, strlen(wrong[i].params), &arena, &json, &err), &err);
        assert_int_equal(wrong[i].st, hwi_word_rules_read(json, &arena, &rules, &err));
        assert_non_null(strstr(err.message, wrong[i].says));
        hwi_arena_release(&arena);
    }
}

/* ---- index and payloads agree */

enum { ROUNDS = 40, PLACES = 120, FILTERS = 80 };

static const char *const words[] = {
    "Red", "red", "reddish", "the", "THE", "chair", "Chairs", "a", "\xc3\x89t\xc3\xa9",
    "ete", "of",  "2x",      "x-y", "x",   "y"};

static void
random_text(hwi_rng *rng, hwi_buf *out)
{
    size_t n = hwi_rng_below(rng, 5);
    hwi_buf_text(out, "\"");
    for (size_t i = 0; i < n; i++) {
        if (i) hwi_buf_text(out, hwi_rng_below(rng, 4) ? " " : ", ");
        hwi_buf_text(out, words[hwi_rng_below(rng, HWI_COUNT(words))]);
    }
    hwi_buf_text(out, "\"");
}

static void
random_payload(hwi_rng *rng, hwi_buf *out)
{
    hwi_buf_text(out, "{\"t\": ");
    if (hwi_rng_below(rng, 3)) {
        random_text(rng, out);
    } else {
        hwi_buf_text(out, "[");
        random_text(rng, out);
        hwi_buf_text(out, ", 7, ");
        random_text(rng, out);
        hwi_buf_text(out, "]");
    }
    hwi_buf_text(out, ", \"o\": [{\"t\": ");
    random_text(rng, out);
    hwi_buf_text(out, "}, {\"t\": ");
    random_text(rng, out);
    hwi_buf_text(out, "}]}");
}

static void
random_condition(hwi_rng *rng, hwi_buf *out)
{
    static const char *const tests[] = {"text", "text_any", "phrase", "value", "prefix"};
    bool nested = hwi_rng_below(rng, 4) == 0;
    const char *key = nested || hwi_rng_below(rng, 3) ? "t" : "o[].t";
    hwi_buf_text(out, hwi_rng_below(rng, 3) ? "{\"must\": [" : "{\"must_not\": [");
    if (nested) hwi_buf_text(out, "{\"nested\": {\"key\": \"o\", \"filter\": {\"must\": [");
    hwi_buf_printf(out, "{\"key\": \"%s\", \"match\": {\"%s\": ", key,
                   tests[hwi_rng_below(rng, HWI_COUNT(tests))]);
    random_text(rng, out);
    hwi_buf_text(out, nested ? "}}]}}}]}" : "}}]}");
}

typedef struct verdicts {
    uint64_t points, decided; /* by the index alone */
} verdicts;

static void
check_filter(const hwt_points *p, hw_store_txn *t, const hwi_buf *text, verdicts *v)
{
    hw_error err;
    hwi_arena arena = {0};
    const hwi_filter *f;
    hwi_filter_resolved r;
    hwt_ok(hwi_filter_parse_for((char *)text->data, text->size, p->schema, &arena, &f, &err), &err);
    hwt_ok(hwi_filter_resolve(f, t, &(hwi_conf){.coll = p->coll, .schema = *p->schema}, NULL, &r,
                              &err),
           &err);
    for (size_t i = 0; i < p->count; i++) {
        bool yes = false, may, sure;
        if (p->live[i])
            hwt_ok(hwi_filter_matches(f, NULL, hwi_buf_bytes(&p->payload[i]), &yes, &err), &err);
        may = roaring_bitmap_contains(r.may, (uint32_t)i * p->stride);
        sure = roaring_bitmap_contains(r.sure, (uint32_t)i * p->stride);
        v->points += p->live[i];
        v->decided += p->live[i] && (sure || !may);
        if ((yes && !may) || (sure && !yes))
            fail_msg("payload %.*s, filter %.*s, settings of field 1", (int)p->payload[i].size,
                     (char *)p->payload[i].data, (int)text->size, (char *)text->data);
    }
    hwi_filter_resolved_release(&r);
    hwi_arena_release(&arena);
}

static void
index_and_payloads_agree_under_any_settings(void **state)
{
    verdicts v = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        hwi_rng rng;
        hwt_store s;
        hwt_points p;
        hw_error err;
        hwi_arena arena = {0};
        hwi_buf text = {0};
        const char *params = cuts[seed % HWI_COUNT(cuts)].params;
        hwi_pix_field fields[] = {
            {.number = 1, .path = "t", .type = HWI_PIX_TEXT, .ready = true},
            {.number = 2, .path = "o[].t", .type = HWI_PIX_TEXT, .ready = true}};
        hwi_schema schema = {fields, 2};
        hwi_rng_init(&rng, seed);
        hwt_ok(hwi_json_parse(params, strlen(params), &arena, &fields[0].params, &err), &err);
        fields[1].params = fields[0].params;
        hwt_store_open(&s, HWT_MEM);
        hwt_points_init(&p, s.store, &schema, PLACES, 1);
        for (size_t i = 0; i < PLACES; i++) {
            hwi_buf_clear(&text);
            random_payload(&rng, &text);
            hwi_buf_fill(&text, 0, 1);
            hwt_points_put(&p, i, (char *)text.data);
        }
        hw_store_txn *t = hwt_begin(s.store, HW_TXN_READ);
        for (int i = 0; i < FILTERS; i++) {
            hwi_buf_clear(&text);
            random_condition(&rng, &text);
            check_filter(&p, t, &text, &v);
        }
        hwi_store_abort(t);
        hwi_buf_release(&text);
        hwt_points_release(&p);
        hwt_store_close(&s);
        hwi_arena_release(&arena);
    }
    print_message("%llu verdicts, %llu by the index alone\n", (unsigned long long)v.points,
                  (unsigned long long)v.decided);
    assert_true(v.decided * 2 > v.points); /* indexes are of use at all */
}

/* ---- settings are kept */

static uint64_t
count(hw_collection *c, const char *filter)
{
    uint64_t n;
    hw_error err;
    hwt_ok(hw_collection_count(c, filter, strlen(filter), &n, &err), &err);
    return n;
}

static void
expect_described(hw_collection *c, const char *part)
{
    char *json;
    hw_error err;
    hwt_ok(hw_collection_describe(c, &json, &err), &err);
    if (!strstr(json, part)) fail_msg("%s lacks %s", json, part);
    hw_free(json);
}

static void
settings_are_kept_given_back_and_obeyed(void **state)
{
    (void)state;
    static const char prefix[] = "{\"type\":\"text\",\"tokenizer\":\"prefix\",\"min_token_len\":2}";
    static const char filter[] = "{\"must\": [{\"key\": \"t\", \"match\": {\"text\": \"cha\"}}]}";
    hwt_db d;
    hw_error err;
    hwt_db_open(&d, true);
    hw_collection *c = hwt_collection(
        d.db, "c",
        "{\"dim\": 1, \"metric\": \"l2\", \"payload_indexes\": {\"k\": {\"type\": \"keyword\", "
        "\"is_tenant\": true}}}");
    const char *payload = "{\"t\": \"Red chair\", \"k\": [\"a\", \"b\"]}";
    hwt_ok(hw_collection_upsert(c, &HW_ID_U64(1), (float[]){1}, 1, &payload, &err), &err);
    hwt_ok(hw_collection_upsert(c, &HW_ID_U64(2), (float[]){1}, 1, NULL, &err), &err);
    assert_int_equal(0, count(c, filter));
    hwt_ok(hw_collection_index_payload(c, "t", prefix, NULL, NULL, &err), &err);
    assert_int_equal(1, count(c, filter));
    assert_int_equal(HW_EEXIST,
                     hw_collection_index_payload(c, "t", "{\"type\": \"text\"}", NULL, NULL, &err));
    hwt_ok(hw_collection_index_payload(c, "t", prefix, NULL, NULL, &err), &err);
    hwt_ok(hw_collection_index_payload(c, "t", "text", NULL, NULL, &err), &err);
    hwt_ok(hw_collection_index_payload(c, "n", "{\"type\": \"integer\", \"lookup\": false}", NULL,
                                       NULL, &err),
           &err);
    assert_int_equal(
        HW_EINVAL, hw_collection_index_payload(c, "x", "{\"type\": \"texts\"}", NULL, NULL, &err));
    assert_int_equal(HW_EINVAL,
                     hw_collection_index_payload(c, "x", "{\"type\":", NULL, NULL, &err));
    hw_collection_close(c);
    hwt_db_reopen(&d);
    hwt_ok(hw_collection_open(d.db, "c", &c, &err), &err);
    expect_described(c, "\"t\":{\"type\":\"text\",\"ready\":true,\"points\":1,\"params\":{\"type\":"
                        "\"text\",\"tokenizer\":\"prefix\",\"min_token_len\":2}}");
    expect_described(c, "\"k\":{\"type\":\"keyword\",\"ready\":true,\"points\":1,\"params\":"
                        "{\"type\":\"keyword\",\"is_tenant\":true}}");
    expect_described(c, "\"n\":{\"type\":\"integer\",\"ready\":true,\"points\":0,\"params\":");
    assert_int_equal(1, count(c, filter));
    hwt_db_check(d.db);
    hw_collection_close(c);
    hwt_db_close(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_cut_as_the_settings_say),
        cmocka_unit_test(wrong_settings_name_the_key),
        cmocka_unit_test(index_and_payloads_agree_under_any_settings),
        cmocka_unit_test(settings_are_kept_given_back_and_obeyed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
