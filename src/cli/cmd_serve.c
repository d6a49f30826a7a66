/* cmd_serve.c - serve: a database over HTTP.
 *
 * The options are the server's table of settings (server/config.h): one list makes the file, the
 * environment and these flags. A flag is kept as text and judged where the others are.
 */
#include "cli.h"

#include <stdio.h>

#include "commands.h"
#ifdef HAVE_SERVER
#include "server/server.h"
#ifdef HAVE_EMBEDDING
#include "embedder.h"
#define EMBEDDING &cli_embedding
#else
#define EMBEDDING NULL
#endif

extern char **environ;

typedef struct serve_args {
    cli_common common;
    const char *db, *config_path;
    bool print_config;
#define MEMBER(section, key, ...) const char *section##_##key;
    HWI_CONFIG_KEYS(MEMBER)
#undef MEMBER
} serve_args;

#define OPTION(section, key, type, flag, otherwise, low, high, shared, secret, value, help)        \
    {flag, 0, CLI_TEXT, offsetof(serve_args, section##_##key), value, help, NULL},

enum {
#define COUNT_ONE(section, key, ...) KEY_##section##_##key,
    HWI_CONFIG_KEYS(COUNT_ONE)
#undef COUNT_ONE
        KEY_COUNT
};

static void
warn(const char *line)
{
    cli_complain("%s", line);
}

static hw_status
read_config(void *arg, hwi_config *out, hw_error *err)
{
    const serve_args *a = arg;
    hwi_config_given given[KEY_COUNT + 1];
    size_t n = 0;

#define GIVE(section, key, ...)                                                                    \
    if (a->section##_##key) given[n++] = (hwi_config_given){#section "." #key, a->section##_##key};
    HWI_CONFIG_KEYS(GIVE)
#undef GIVE
    given[n] = (hwi_config_given){0};
    return hwi_config_read(a->config_path, environ, given, warn, out, err);
}

static int
print_config(hwi_config *config)
{
    hwi_buf b = {0};

    hwi_config_print(config, &b);
    cli_need(!b.failed);
    fwrite(b.data, 1, b.size, stdout);
    hwi_buf_release(&b);
    hwi_config_release(config);
    return CLI_OK;
}

static int
run_serve(cli *c, const void *args)
{
    serve_args a = *(const serve_args *)args;
    hwi_config config;
    hwi_server *server;
    hw_error err = {0};
    hw_status st;

    (void)c;
    if (read_config(&a, &config, &err) != HW_OK) return cli_fail_input(&err);
    if (a.print_config) return print_config(&config);
    if (hwi_server_open(&config, a.db, &server, &err) != HW_OK) return cli_fail_input(&err);
    st = hwi_server_embed(server, EMBEDDING, &err);
    if (st == HW_OK) st = hwi_server_run(server, read_config, &a, &err);
    hwi_server_close(server);
    return st == HW_OK ? CLI_OK : cli_fail(&err);
}
#else
typedef struct serve_args {
    cli_common common;
    const char *db;
} serve_args;

static int
run_serve(cli *c, const void *args)
{
    (void)c, (void)args;
    cli_complain("this hashwood was built without its server");
    return CLI_FAILED;
}
#endif

const cli_command cli_serve_command = {
    .name = "serve",
    .summary = "serve a database over HTTP",
    .about = "Serves the database DB, a folder or fdb:..., created when absent, with the REST "
             "interface of Qdrant, "
             "so that its clients can be used, and a web page at /dashboard. Listens on "
             "127.0.0.1:6333 until told otherwise.\n\n"
             "Each option is also a key of the configuration file (--config-path, else "
             "/etc/hashwood/config.yaml) and a variable in the environment: --http-port is "
             "http_port below service in the file, and HASHWOOD__SERVICE__HTTP_PORT. Options weigh "
             "more than the environment, that more than the file.\n\n"
             "TERM and INT stop the server once it has finished what it was asked; HUP makes it "
             "read keys, certificates and the level of the log again.",
    .examples = "hashwood serve photos.hw\n"
                "# on all addresses, with a key\n"
                "HASHWOOD__SERVICE__API_KEY=secret hashwood serve photos.hw --host 0.0.0.0\n"
                "hashwood serve photos.hw --print-config\n",
    .operands =
        (const cli_operand[]){{"DB",
                               "folder of the database, or fdb:... (else storage.storage_path)",
                               offsetof(serve_args, db), true, false},
                              {0}},
    .options =
        (const cli_option[]){
#ifdef HAVE_SERVER
            {"config-path", 0, CLI_TEXT, offsetof(serve_args, config_path), "FILE",
             "configuration file (YAML)", NULL},
            {"print-config", 0, CLI_FLAG, offsetof(serve_args, print_config), NULL,
             "print the settings in force as YAML, and stop", NULL},
            HWI_CONFIG_KEYS(OPTION)
#endif
                {0}},
    .args_bytes = sizeof(serve_args),
    .run = run_serve};
