/* embed_run.h - many files into a collection, or one into a vector: what `embed` does.
 */
#ifndef CLI_EMBED_RUN_H
#define CLI_EMBED_RUN_H

#include "cli.h"
#include "embed/files.h"
#include "progress.h"

/* Processor time of all threads by step, and the time that writing took on the clock. */
typedef struct cli_embed_costs {
    uint64_t read_ns, decode_ns, fit_ns, model_ns, preview_ns, write_ns;
    uint64_t write_wall_ns;
} cli_embed_costs;

typedef struct cli_embed_run {
    hwi_embedder *embedder;
    cli_collection to;
    const char *vector; /* NULL: the unnamed one */
    uint32_t threads, thumbnail, preview_seconds;
    bool again; /* unchanged files as well */
    hwi_skipped_fn skipped;
    void *arg;
    cli_progress *progress;

    /* What came of it. */
    uint64_t written, unchanged, other;
    cli_embed_costs costs;
} cli_embed_run;

/* Bad files are told through `skipped`; the others are in the collection when it returns. */
hw_status cli_embed_files(cli_embed_run *run, const hwi_files *files, hw_error *err);

/* The vector of one file, of as many floats as the embedder gives. */
hw_status cli_embed_file(cli_embed_run *run, const char *path, float *out, hw_error *err);

#endif
