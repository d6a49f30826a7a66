/* snapshot_files.h - the folder of snapshots.
 *
 *     snapshots/full-snapshot-2026-01-31-12-00-00-000001.snapshot          the whole storage
 *     snapshots/collections/photos/photos-2026-01-31-12-00-00-000001.snapshot
 *     ...                                      .snapshot.checksum          SHA-256 in hexadecimal
 *
 * Names come from clients. A name is [A-Za-z0-9._-], does not begin with a dot, and is looked up in
 * one folder only; what it leads to must be a plain file, not a link.
 */
#ifndef HWI_SNAPSHOT_FILES_H
#define HWI_SNAPSHOT_FILES_H

#include "server/request.h"

#define HWI_SHA256_TEXT 64u

/* The folder of a collection's snapshots (its real name, not an alias), NULL: of the whole storage.
 * Made when absent. Arena text; NULL after refusing. */
const char *hwi_snapshot_folder(hwi_request *r, const char *collection);
/* A path for a new snapshot, not yet there; a hidden one is not listed. */
const char *hwi_snapshot_new(hwi_request *r, const char *folder, const char *prefix,
                             bool is_hidden);
/* The path of an existing snapshot; NULL after refusing (404). */
const char *hwi_snapshot_find(hwi_request *r, const char *folder, const char *name);
/* The path that a location means, file:// or plain, which must lie inside the snapshots folder; NULL
 * after refusing. */
const char *hwi_snapshot_locate(hwi_request *r, const char *location);

/* SHA-256 of a file as text, HWI_SHA256_TEXT + 1 bytes. */
bool hwi_snapshot_sum(hwi_request *r, const char *path, char *out);
/* Whether the file has this SHA-256 (NULL: not asked). `sum` must be valid text: see below. */
bool hwi_snapshot_is_sum(const char *text);
/* Writes, or reads (false when there is none), the sum kept beside a snapshot. */
bool hwi_snapshot_keep_sum(hwi_request *r, const char *path, const char *sum);
bool hwi_snapshot_kept_sum(const char *path, char *out);

/* Appends {"name", "creation_time", "size", "checksum"}, or all of a folder's as an array. */
bool hwi_snapshot_describe(hwi_request *r, const char *path);
bool hwi_snapshot_list(hwi_request *r, const char *folder);
/* Removes a snapshot and its sum. */
bool hwi_snapshot_remove(hwi_request *r, const char *path);

#endif
