/* embedder.h - which embedder made a collection's vectors, and the embedders of a server.
 */
#ifndef CLI_EMBEDDER_H
#define CLI_EMBEDDER_H

#include "cli.h"
#include "embed/embed.h"

/* A collection says under "metadata" what made the vectors of a field:
 *
 *     {"embedders": {"": {"name": "resnet18.onnx", "digest": "8f3a..", "media": "image"}}}
 *
 * Vectors of different makers are not comparable, whatever their length. So: HW_EINVAL when the
 * collection names another one than `about` (unless it is empty and `write`); with `write` it is
 * noted down if it is not there yet. */
hw_status cli_embedder_agree(hw_collection *c, const char *name, const char *vector,
                             const hwi_embedder_info *about, bool write, hw_error *err);

/* What `serve` hands to the server (server/embedding.h). */
extern const struct hwi_embedding cli_embedding;

#endif
