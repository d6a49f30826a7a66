/* files.h - which files there are below some folders, and what a point should say of one.
 */
#ifndef HWI_FILES_H
#define HWI_FILES_H

#include "embed/embed.h"

#define HWI_FILES_MAX 10000000u

typedef struct hwi_file {
    const char *path;  /* as given, and what follows below it */
    size_t root_bytes; /* of `path`: the folder that was named; 0: the file itself was */
    uint64_t bytes;    /* when it was found */
} hwi_file;

typedef struct hwi_files {
    hwi_file *items;
    size_t count;
    hwi_arena arena;
} hwi_files;

/* All regular files at and below some paths, each once per path, in byte order of their names.
 * Hidden ones (".x") are left out, links to folders are not followed, so a loop of links ends. HW_ENOTFOUND
 * when a path given is not there; what cannot be read below is told through `skipped`. */
typedef void (*hwi_skipped_fn)(void *arg, const char *path, const char *why);
HW_CHECKED hw_status hwi_files_find(const char *const *paths, size_t count, hwi_skipped_fn skipped,
                                    void *arg, hwi_files *out, hw_error *err);
void hwi_files_release(hwi_files *files);

/* The content of a regular file of at most bytes_max: HW_ELIMIT before anything is read of a larger
 * one. Never waits: a pipe or a device is HW_EINVAL. HW_ENOTFOUND, HW_EIO, HW_ENOMEM. */
HW_CHECKED hw_status hwi_file_read(const char *path, size_t bytes_max, hwi_buf *out, hw_error *err);
/* The same of its first `bytes`, or fewer when it is shorter. */
HW_CHECKED hw_status hwi_file_start(const char *path, size_t bytes, hwi_buf *out, hw_error *err);

/* The id of the point for a path: the same path gives the same UUID (version 8, from XXH3-128). */
hw_id hwi_file_id(const char *path);
/* 16 hexadecimal digits of its content's XXH3-64, and a NUL. */
void hwi_file_hash(hw_bytes content, char *out);

/* 32 hexadecimal digits of the XXH3-128 of some files, one after the other, and a NUL. HW_EIO,
 * HW_ENOTFOUND. */
#define HWI_DIGEST_ROOM 33u
HW_CHECKED hw_status hwi_files_digest(const char *const *paths, size_t count,
                                      char out[HWI_DIGEST_ROOM], hw_error *err);

/* Whether a side file rather than something to embed: NAME.txt or NAME.json beside NAME.png. */
bool hwi_file_is_note(const char *path);

/* The payload: path, name, labels (folders below the root), type, bytes, hash, width and height or
 * seconds; caption and captions by language from NAME.txt; the keys of NAME.json; the thumbnail as
 * `image`, the preview of a sound as `sound`, both data URIs. */
void hwi_file_describe(const hwi_file *file, hw_bytes content, const char *hash,
                       const hwi_media_facts *facts, hwi_buf *out);

#endif
