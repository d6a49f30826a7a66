/* picture.c - two pixels to a character cell, one above the other:
 *
 *     upper half block: foreground = upper pixel, background = lower pixel
 *
 * which makes pixels about square. Without colours a cell is one character of a ramp from dark to
 * bright, for the mean of its two pixels. Pictures are scaled to the brightest pixel each, and
 * averaged down when the row would be wider than the terminal.
 */
#include "picture.h"

#include <stdlib.h>
#include <unistd.h>

#include "table.h"

#define GAP 2u
#define CAPTION_MIN 12u
#define WIDTH_WITHOUT_TERMINAL 200u

hw_status
cli_picture_size(const char *text, uint32_t *width, uint32_t *height, hw_error *err)
{
    char end;

    if (sscanf(text, "%ux%u%c", width, height, &end) == 2 && *width > 0 && *height > 0 &&
        *width <= 512 && *height <= 512)
        return HW_OK;
    return hwi_fail(err, HW_EINVAL, "--draw is `%s`, expected WIDTHxHEIGHT up to 512x512", text);
}

cli_colors
cli_colors_pick(const char *wanted)
{
    const char *term = getenv("TERM"), *color = getenv("COLORTERM"), *none = getenv("NO_COLOR");

    if (wanted && strcmp(wanted, "none") == 0) return CLI_COLORS_NONE;
    if (wanted && strcmp(wanted, "256") == 0) return CLI_COLORS_256;
    if (wanted && strcmp(wanted, "full") == 0) return CLI_COLORS_FULL;
    if (!isatty(STDOUT_FILENO) || (none && *none)) return CLI_COLORS_NONE;
    if (color && (strstr(color, "truecolor") || strstr(color, "24bit"))) return CLI_COLORS_FULL;
    if (term && strstr(term, "256color")) return CLI_COLORS_256;
    return CLI_COLORS_NONE;
}

/* Mean of the pixels that fall on cell (x, y) of a picture shown at `to` size, as 0..255. */
static unsigned
sample(const float *values, const uint32_t from[2], const uint32_t to[2], uint32_t x, uint32_t y,
       float scale)
{
    uint32_t x0 = x * from[0] / to[0], x1 = HWI_MAX((x + 1) * from[0] / to[0], x0 + 1);
    uint32_t y0 = y * from[1] / to[1], y1 = HWI_MAX((y + 1) * from[1] / to[1], y0 + 1);
    float sum = 0;

    for (uint32_t j = y0; j < y1; j++)
        for (uint32_t i = x0; i < x1; i++) sum += values[j * from[0] + i];
    sum = sum / (float)((x1 - x0) * (y1 - y0)) * scale;
    return sum < 0 ? 0 : sum > 255 ? 255 : (unsigned)sum;
}

static float
scale_of(const float *values, size_t count)
{
    float top = 0;

    for (size_t i = 0; i < count; i++) top = values[i] > top ? values[i] : top;
    return top > 0 ? 255 / top : 0;
}

static void
draw_cell(unsigned upper, unsigned lower, cli_colors colors)
{
    static const char ramp[] = " .:-=+*#%@";

    switch (colors) {
    case CLI_COLORS_FULL:
        printf("\033[38;2;%u;%u;%u;48;2;%u;%u;%um\u2580", upper, upper, upper, lower, lower, lower);
        break;
    case CLI_COLORS_256: /* 232..255 are the greys */
        printf("\033[38;5;%u;48;5;%um\u2580", 232 + upper * 23 / 255, 232 + lower * 23 / 255);
        break;
    case CLI_COLORS_NONE:
        putchar(ramp[(upper + lower) * (sizeof ramp - 2) / 510]);
        break;
    }
}

static void
draw_line(const cli_picture *picture, const uint32_t from[2], const uint32_t to[2], uint32_t line,
          cli_colors colors)
{
    float scale = scale_of(picture->values, (size_t)from[0] * from[1]);

    for (uint32_t x = 0; x < to[0]; x++) {
        unsigned upper = sample(picture->values, from, to, x, line * 2, scale);
        bool last = line * 2 + 1 == to[1];
        unsigned lower = last ? 0 : sample(picture->values, from, to, x, line * 2 + 1, scale);

        draw_cell(upper, lower, colors);
    }
    if (colors != CLI_COLORS_NONE) fputs("\033[0m", stdout);
}

/* Columns of each picture with its caption: tiny pictures make room for theirs. */
static size_t
slot_width(const cli_picture *pictures, size_t count, uint32_t width)
{
    size_t slot = width;

    for (size_t i = 0; i < count; i++) {
        for (size_t row = 0; row < HWI_COUNT(pictures->caption); row++) {
            const char *text = pictures[i].caption[row];
            size_t wanted = cli_text_width(text, strlen(text));
            slot = HWI_MAX(slot, HWI_MIN(wanted, CAPTION_MIN));
        }
    }
    return slot;
}

static void
draw_caption(const char *text, size_t width)
{
    size_t bytes = cli_text_fit(text, strlen(text), width);
    size_t columns = cli_text_width(text, bytes);

    printf("%.*s%*s", (int)bytes, text, (int)(width - columns), "");
}

void
cli_draw_pictures(const cli_picture *pictures, size_t count, uint32_t width, uint32_t height,
                  cli_colors colors)
{
    size_t columns = cli_terminal_columns();
    size_t room = (columns ? columns : WIDTH_WITHOUT_TERMINAL) / HWI_MAX(count, 1);
    uint32_t from[2] = {width, height}, to[2] = {width, height};
    size_t slot;

    if (room < width + GAP) {
        to[0] = (uint32_t)HWI_MAX(room > GAP ? room - GAP : 1, 4);
        to[1] = HWI_MAX(height * to[0] / width, 1);
    }
    slot = slot_width(pictures, count, to[0]);
    for (uint32_t line = 0; line * 2 < to[1]; line++) {
        for (size_t i = 0; i < count; i++) {
            draw_line(&pictures[i], from, to, line, colors);
            printf("%*s", (int)(slot - to[0] + GAP), "");
        }
        putchar('\n');
    }
    for (size_t row = 0; row < HWI_COUNT(pictures->caption); row++) {
        for (size_t i = 0; i < count; i++) {
            draw_caption(pictures[i].caption[row], slot);
            printf("%*s", (int)GAP, "");
        }
        putchar('\n');
    }
}
