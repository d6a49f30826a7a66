/* log.c - lines on standard output, text or JSON.
 *
 *     2026-01-31T12:00:00.123Z INFO  request method=GET path=/collections status=200 us=211
 *     {"time":"2026-01-31T12:00:00.123Z","level":"info","message":"request","method":"GET", ...}
 *
 * A line is built in memory and written with one call, so lines of several threads do not mix. What
 * came from a caller is escaped as in JSON in both forms: no caller can forge a line.
 */
#include "log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"

static const char *const level_names[] = {"audit", "error", "warn", "info", "debug"};

hwi_level
hwi_level_of(const char *name)
{
    for (size_t i = 0; i < HWI_COUNT(level_names); i++)
        if (strcmp(level_names[i], name) == 0) return (hwi_level)i;
    return HWI_INFO;
}

static void
add_time(hwi_buf *b)
{
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    hwi_buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
                   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000);
}

static bool
is_plain(const char *text)
{
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c == '"' || *c == '\\' || *c == '=' || (unsigned char)*c >= 0x7f)
            return false;
    return text[0] != '\0';
}

static void
add_text_line(hwi_buf *b, hwi_level level, const char *what, const hwi_log_field *fields)
{
    static const char *const shown[] = {"AUDIT", "ERROR", "WARN ", "INFO ", "DEBUG"};

    add_time(b);
    hwi_buf_printf(b, " %s ", shown[level]);
    for (const char *c = what; *c; c++) hwi_buf_add(b, *c < ' ' && *c >= 0 ? " " : c, 1);
    for (; fields && fields->key; fields++) {
        hwi_buf_printf(b, " %s=", fields->key);
        if (fields->raw)
            hwi_buf_text(b, fields->raw);
        else if (is_plain(fields->text))
            hwi_buf_text(b, fields->text);
        else
            hwi_json_write_text(b, fields->text, strlen(fields->text));
    }
}

static void
add_json_line(hwi_buf *b, hwi_level level, const char *what, const hwi_log_field *fields)
{
    hwi_buf_text(b, "{\"time\":\"");
    add_time(b);
    hwi_buf_printf(b, "\",\"level\":\"%s\",\"message\":", level_names[level]);
    hwi_json_write_text(b, what, strlen(what));
    for (; fields && fields->key; fields++) {
        hwi_buf_printf(b, ",\"%s\":", fields->key);
        if (fields->raw)
            hwi_buf_text(b, fields->raw);
        else
            hwi_json_write_text(b, fields->text, strlen(fields->text));
    }
    hwi_buf_text(b, "}");
}

void
hwi_log_line(hwi_log *log, hwi_level level, const char *what, const hwi_log_field *fields)
{
    hwi_buf b = {0};

    if ((int)level > log->level) return;
    if (log->is_json)
        add_json_line(&b, level, what, fields);
    else
        add_text_line(&b, level, what, fields);
    hwi_buf_text(&b, "\n");
    /* A log that cannot be written is no reason to stop serving. */
    ssize_t written = b.failed ? 0 : write(STDOUT_FILENO, b.data, b.size);
    (void)written;
    hwi_buf_release(&b);
}

void
hwi_log_say(hwi_log *log, hwi_level level, const char *format, ...)
{
    char text[1024];
    va_list args;

    if ((int)level > log->level) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    hwi_log_line(log, level, text, NULL);
}
