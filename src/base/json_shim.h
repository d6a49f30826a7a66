/* json_shim.h - between json.c, json_parse.c and json_shim.cpp; nobody else needs it. */
#ifndef HWI_JSON_SHIM_H
#define HWI_JSON_SHIM_H

#include "json.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hwi_json_verdict {
    HWI_JSON_PARSED,
    HWI_JSON_DECLINED, /* malformed, too deep, or a number out of range: ask the careful parser */
    HWI_JSON_NO_MEMORY
} hwi_json_verdict;

/* simdjson's answer. *out is set when it parsed. packs: arrays of numbers are packed. */
hwi_json_verdict hwi_json_simd(const char *text, size_t bytes, bool packs, hwi_arena *arena,
                               const hwi_json **out);

/* Decimal text of a JSON number to the nearest double; false when it is beyond the largest. Does
 * not look at the locale, as strtod would. */
bool hwi_json_to_f64(const char *text, size_t bytes, double *out);

/* Shortest decimals that read back as v, which is finite; `out` has room for 32 bytes. Returns the
 * length, without terminator. */
size_t hwi_json_print_f32(float v, char *out);
size_t hwi_json_print_f64(double v, char *out);

/* ---- json_parse.c ---- */

/* The careful parser: slower, knows where an error is. Contract of hwi_json_parse. */
HW_CHECKED hw_status hwi_json_parse_careful(const char *text, size_t bytes, hwi_arena *arena,
                                            const hwi_json **out, hw_error *err);

/* Bytes of the JSON number that `text` begins with, 0 if there is none; *whole tells whether it has
 * neither fraction nor exponent. */
size_t hwi_json_number_bytes(const char *text, size_t bytes, bool *whole);

/* Fills kind, integer and number from the text of a number; false when it is beyond a double. */
bool hwi_json_number(const char *text, size_t bytes, bool whole, hwi_json *node);

#ifdef __cplusplus
}
#endif
#endif
