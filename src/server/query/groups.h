/* groups.h - groups of points being gathered. */
#ifndef HWI_SERVER_GROUPS_H
#define HWI_SERVER_GROUPS_H

#include "server/query/query.h"

typedef struct hwi_group_member {
    hw_id id;
    float score;
    uint32_t arrival;
} hwi_group_member;

typedef struct hwi_group {
    hwi_group_member *members; /* at most group_size */
    uint32_t count, room;
    hwi_group_member best;
} hwi_group;

typedef struct hwi_groups {
    hwi_run *run;
    hwi_search *search;
    const hwi_grouping *how;
    const char *base; /* filter of every round */
    size_t base_bytes;
    hw_id *keys; /* of groups: numbers, texts; negative numbers as the 16 bytes of a UUID */
    hwi_group *groups;
    size_t count, room;
    hwi_idmap by_key;
    hw_id *seen;
    size_t seen_count, seen_room;
    uint32_t arrivals;
    uint32_t depth; /* points asked of one round */
    size_t found;   /* points the last round gave */
    bool by_score, lower_is_better;
} hwi_groups;

/* Prepares the search: from then on it asks for candidates of groups. */
bool hwi_groups_begin(hwi_groups *g, hwi_run *run, hwi_search *search, const hwi_grouping *how);
/* Searches until the groups are full or nothing is left. */
bool hwi_groups_gather(hwi_groups *g);
/* The best groups, as many as are asked for; *count may be less. */
bool hwi_groups_best(hwi_groups *g, uint32_t **best, size_t *count);
/* Puts a group's members in order, best first. */
void hwi_groups_sort(hwi_groups *g, hwi_group *of);
void hwi_groups_write_key(hwi_buf *b, const hw_id *key);

#endif
