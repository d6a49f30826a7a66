/* config_impl.h - between config.c and config_file.c; nobody else needs it. */
#ifndef HWI_CONFIG_IMPL_H
#define HWI_CONFIG_IMPL_H

#include "base/json.h"
#include "config.h"

const hwi_config_key *hwi_config_find(const char *name);
/* A key of Qdrant's that hashwood has no use for. */
bool hwi_config_passed_over(const char *name);
/* HW_EINVAL with the nearest known key. */
hw_status hwi_config_unknown(const char *name, const char *place, hw_error *err);

/* Sets what the YAML file at path says; path NULL: the usual place, if there is a file. */
HW_CHECKED hw_status hwi_config_read_file(hwi_config *c, const char *path,
                                          void (*warn)(const char *line), hw_error *err);

#endif
