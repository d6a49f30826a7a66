/* picture.h - vectors that are grey pictures, drawn in the terminal side by side. */
#ifndef CLI_PICTURE_H
#define CLI_PICTURE_H

#include "cli.h"

typedef enum cli_colors {
    CLI_COLORS_NONE, /* a ramp of characters */
    CLI_COLORS_256,
    CLI_COLORS_FULL
} cli_colors;

typedef struct cli_picture {
    const float *values; /* width x height, row by row */
    char caption[2][64];
} cli_picture;

/* "28x28" */
hw_status cli_picture_size(const char *text, uint32_t *width, uint32_t *height, hw_error *err);

/* What standard output can show; `wanted` (auto, none, 256, full) overrides. */
cli_colors cli_colors_pick(const char *wanted);

/* Draws pictures in one row, captions below; made smaller when they would not fit the terminal. */
void cli_draw_pictures(const cli_picture *pictures, size_t count, uint32_t width, uint32_t height,
                       cli_colors colors);

#endif
