/* Settings: where each may be said, what weighs more, what is refused and in which words. */
#include "support/hwt.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/config.h"

static char remark[1024];

static void
take_remark(const char *line)
{
    snprintf(remark, sizeof remark, "%s", line);
}

/* Writes a file and returns its path. */
static const char *
file_of(const char *text)
{
    static char path[] = "server_config_test.yaml";
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

static hwi_config
read_all(const char *file, char *const *environment, const hwi_config_given *given)
{
    hwi_config c;
    hw_error err = {0};
    remark[0] = '\0';
    if (hwi_config_read(file_of(file), environment, given, take_remark, &c, &err) != HW_OK)
        fail_msg("%s", err.message);
    return c;
}

/* The message of a failure, which must be HW_EINVAL. */
static const char *
refused(const char *file, char *const *environment, const hwi_config_given *given)
{
    static hw_error err;
    hwi_config c;
    assert_int_equal(HW_EINVAL,
                     hwi_config_read(file_of(file), environment, given, take_remark, &c, &err));
    return err.message;
}

static void
flags_weigh_more_than_environment_than_file_than_defaults(void **state)
{
    (void)state;
    const char *file = "service:\n  http_port: 1001\n  host: \"file\"\n  queue_length: 5\n";
    char *environment[] = {(char *)"HASHWOOD__SERVICE__HTTP_PORT=1002",
                           (char *)"HASHWOOD__SERVICE__HOST=environment",
                           (char *)"QDRANT__SERVICE__HOST=other", NULL};
    const hwi_config_given given[] = {{"service.http_port", "1003"}, {0}};
    hwi_config c = read_all(file, environment, given);
    assert_int_equal(1003, c.service_http_port);
    assert_string_equal("environment", c.service_host); /* our own name wins over Qdrant's */
    assert_int_equal(5, c.service_queue_length);
    assert_int_equal(32, c.service_max_request_size_mb);
    hwi_config_release(&c);
}

static void
names_of_qdrant_work_for_the_keys_it_has(void **state)
{
    (void)state;
    char *environment[] = {(char *)"QDRANT__SERVICE__API_KEY=secret",
                           (char *)"QDRANT__LOG_LEVEL=WARN",
                           (char *)"QDRANT__STORAGE__OPTIMIZERS__FLUSH_INTERVAL_SEC=3", NULL};
    hwi_config c = read_all("log_level: debug\nlogger:\n  format: json\n", environment, NULL);
    assert_string_equal("secret", c.service_api_key);
    assert_string_equal("warn", c.log_level);
    assert_string_equal("json", c.log_format);
    assert_non_null(strstr(remark, "QDRANT__STORAGE__OPTIMIZERS__FLUSH_INTERVAL_SEC"));
    hwi_config_release(&c);
}

static void
a_file_made_for_qdrant_is_understood(void **state)
{
    (void)state;
    hwi_config c = read_all("log_level: INFO\n"
                            "storage:\n"
                            "  storage_path: ./storage\n"
                            "  snapshots_config:\n    snapshots_storage: local\n"
                            "  wal:\n    wal_capacity_mb: 32\n"
                            "  performance: {max_search_threads: 0, list: [1, {a: b}]}\n"
                            "service:\n  host: 0.0.0.0\n  grpc_port: 6334\n  api_key: null\n"
                            "cluster:\n  enabled: false\n  p2p:\n    port: 6335\n"
                            "telemetry_disabled: false\n"
                            "tls:\n  cert: ./tls/cert.pem\n  cert_ttl: 3600\n",
                            NULL, NULL);
    assert_string_equal("./storage", c.storage_storage_path);
    assert_string_equal("0.0.0.0", c.service_host);
    assert_string_equal("", c.service_api_key);
    assert_string_equal("./tls/cert.pem", c.tls_cert);
    hwi_config_release(&c);
}

static void
an_unknown_key_names_the_nearest_known_one(void **state)
{
    (void)state;
    char *environment[] = {(char *)"HASHWOOD__SERVICE__APIKEY=x", NULL};
    const char *said = refused("service:\n  http_prot: 1\n", NULL, NULL);
    assert_non_null(strstr(said, "line 2: unknown key service.http_prot"));
    assert_non_null(strstr(said, "service.http_port"));
    said = refused("", environment, NULL);
    assert_non_null(strstr(said, "HASHWOOD__SERVICE__APIKEY"));
    assert_non_null(strstr(said, "service.api_key"));
    assert_non_null(strstr(refused("api_key: x\n", NULL, NULL), "service.api_key"));
}

static void
values_out_of_range_are_refused_with_the_limits(void **state)
{
    (void)state;
    const char *bad[][2] = {
        {"service:\n  http_port: 65536\n", "from 0 to 65535"},
        {"service:\n  http_port: 80.5\n", "whole number"},
        {"service:\n  http_port: -1\n", "from 0"},
        {"service:\n  http_port: nan\n", "whole number"},
        {"service:\n  enable_cors: maybe\n", "neither true nor false"},
        {"service:\n  recall_sample: 2\n", "from 0 to 1"},
        {"service:\n  compat: milvus\n", "hashwood|qdrant"},
        {"service:\n  host: [a, b]\n", "takes no list"},
        {"service: 3\n", "unknown key service"},
        {"- a\n- b\n", "takes no list"},
        {"just text\n", "not a map"},
        {"service:\n  host: *alias\n", "alias"},
        {"a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}\n", "levels"},
        {"service:\n\thost: x\n", "line 2"},
        {"service:\n  enable_tls: true\n", "tls.cert"},
        {"service:\n  jwt_rbac: true\n", "service.api_key"},
    };
    for (size_t i = 0; i < HWI_COUNT(bad); i++) {
        const char *said = refused(bad[i][0], NULL, NULL);
        if (strstr(said, bad[i][1]) == NULL) fail_msg("%s: %s", bad[i][0], said);
    }
}

static void
what_is_printed_reads_back_and_hides_secrets(void **state)
{
    (void)state;
    const hwi_config_given given[] = {{"service.api_key", "very secret"},
                                      {"tls.cert", "a \"b\"\n c"},
                                      {"service.slow_query_secs", "0.25"},
                                      {0}};
    hwi_config c = read_all("", NULL, given), again;
    hwi_buf printed = {0};
    hwi_config_print(&c, &printed);
    hwi_buf_add(&printed, "", 1);
    assert_null(strstr((char *)printed.data, "very secret"));
    again = read_all((char *)printed.data, NULL, NULL);
    assert_string_equal("a \"b\"\n c", again.tls_cert);
    assert_true(again.service_slow_query_secs == 0.25);
    hwi_config_release(&c);
    hwi_config_release(&again);
    hwi_buf_release(&printed);
}

/* Any bytes as a file: refused or understood, never a crash. */
static void
mangled_files_are_harmless(void **state)
{
    (void)state;
    const char text[] = "service:\n  http_port: 1\n  tls: {a: [1, 2], b: c}\nstorage:\n  wal:\n"
                        "    x: 1\n? a\n: b\n--- \n- !!set {x}\n";
    hwi_rng rng;
    hwi_rng_init(&rng, 11);
    for (int round = 0; round < 3000; round++) {
        char mangled[sizeof text];
        hwi_config c;
        memcpy(mangled, text, sizeof text);
        for (int n = 0; n < 4; n++)
            mangled[hwi_rng_below(&rng, sizeof text - 1)] = (char)(1 + hwi_rng_below(&rng, 127));
        if (hwi_config_read(file_of(mangled), NULL, NULL, NULL, &c, NULL) == HW_OK)
            hwi_config_release(&c);
    }
}

/* Every key is in docs/configuration.md as the table would write it. */
static void
the_documented_table_is_the_table(void **state)
{
    (void)state;
    static char doc[65536];
    FILE *f = fopen(HWT_SOURCE_DIR "/docs/configuration.md", "rb");
    assert_non_null(f);
    doc[fread(doc, 1, sizeof doc - 1, f)] = '\0';
    fclose(f);
    for (const hwi_config_key *k = hwi_config_keys; k->name; k++) {
        char row[1024];
        snprintf(row, sizeof row, "| `%s` | `--%s` | %s | %s |%s\n", k->name, k->flag,
                 k->otherwise[0] ? k->otherwise : "", k->help, k->shared ? " yes |" : " |");
        if (strstr(doc, row) == NULL) fail_msg("docs/configuration.md lacks: %s", row);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_weigh_more_than_environment_than_file_than_defaults),
        cmocka_unit_test(names_of_qdrant_work_for_the_keys_it_has),
        cmocka_unit_test(a_file_made_for_qdrant_is_understood),
        cmocka_unit_test(an_unknown_key_names_the_nearest_known_one),
        cmocka_unit_test(values_out_of_range_are_refused_with_the_limits),
        cmocka_unit_test(what_is_printed_reads_back_and_hides_secrets),
        cmocka_unit_test(mangled_files_are_harmless),
        cmocka_unit_test(the_documented_table_is_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
