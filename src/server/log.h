/* log.h - lines on standard output, text or JSON. Safe to share. */
#ifndef HWI_LOG_H
#define HWI_LOG_H

#include "base/base.h"

/* Audit lines are written at every level. */
typedef enum hwi_level { HWI_AUDIT, HWI_ERROR, HWI_WARN, HWI_INFO, HWI_DEBUG } hwi_level;

typedef struct hwi_log {
    bool is_json;
    _Atomic(int) level; /* may change while others write */
} hwi_log;

/* "error" ... "debug" */
hwi_level hwi_level_of(const char *name);

/* One member of a line beside time, level and message; ends with a NULL key. `raw` is JSON or a
 * number, written as it is; else `text` is quoted where it must be. */
typedef struct hwi_log_field {
    const char *key, *text, *raw;
} hwi_log_field;

void hwi_log_line(hwi_log *log, hwi_level level, const char *what, const hwi_log_field *fields);
void hwi_log_say(hwi_log *log, hwi_level level, const char *format, ...) HW_PRINTF(3, 4);

#endif
