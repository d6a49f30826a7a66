/* say.c - what goes to standard error: complaints, failures, remarks. */
#include "cli.h"

#include <stdlib.h>

void
cli_complain(const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fputs("hashwood: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

int
cli_fail(const hw_error *err)
{
    cli_complain("%s", err->message[0] ? err->message : hw_status_text(err->status));
    return CLI_FAILED;
}

int
cli_fail_input(const hw_error *err)
{
    cli_fail(err);
    return err->status == HW_EINVAL ? CLI_USAGE : CLI_FAILED;
}

void
cli_remark(const cli *c, const char *format, ...)
{
    va_list args;

    if (c->quiet || c->mode == CLI_MODE_JSON) return;
    fflush(stdout);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void
cli_out_of_memory(void)
{
    cli_complain("out of memory");
    exit(CLI_FAILED);
}
