/* map.c - an ordered map from keys to whatever its user keeps there, as a skip list.
 *
 * Chosen for being short: forward and backward steps and insertion are all the one search below.
 */
#include "parts.h"

#include <stdlib.h>
#include <string.h>

#define LEVELS 20u

static sd_node *
new_node(sd_bytes key, unsigned levels)
{
    sd_node *n = sd_new(sizeof *n + levels * sizeof n->next[0] + key.size);
    uint8_t *copy = (uint8_t *)&n->next[levels];

    if (key.size) memcpy(copy, key.data, key.size);
    n->key = (sd_bytes){copy, key.size};
    return n;
}

/* The last node before the key (or at it, with and_key) on each level. */
static sd_node *
search(const sd_map *m, sd_bytes key, bool and_key, sd_node *before[LEVELS])
{
    sd_node *at = m->head;

    for (unsigned level = LEVELS; at && level-- > 0;) {
        for (sd_node *n; (n = at->next[level]); at = n) {
            int order = sd_compare(n->key, key);
            if (and_key ? order > 0 : order >= 0) break;
        }
        if (before) before[level] = at;
    }
    return at;
}

sd_node *
sd_map_from(const sd_map *m, sd_bytes key, bool beyond)
{
    sd_node *before = search(m, key, beyond, NULL);
    return before ? before->next[0] : NULL;
}

sd_node *
sd_map_until(const sd_map *m, sd_bytes key, bool and_key)
{
    sd_node *at = search(m, key, and_key, NULL);
    return at == m->head ? NULL : at;
}

sd_node *
sd_map_find(const sd_map *m, sd_bytes key)
{
    sd_node *n = sd_map_from(m, key, false);
    return n && sd_compare(n->key, key) == 0 ? n : NULL;
}

static unsigned
draw_levels(sd_map *m)
{
    unsigned levels = 1;

    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    for (uint64_t bits = m->random >> 20; (bits & 3) == 0 && levels < LEVELS; bits >>= 2) levels++;
    return levels;
}

sd_node *
sd_map_put(sd_map *m, sd_bytes key)
{
    sd_node *before[LEVELS];

    if (!m->head) m->head = new_node((sd_bytes){NULL, 0}, LEVELS);
    sd_node *n = search(m, key, false, before)->next[0];
    if (n && sd_compare(n->key, key) == 0) return n;

    unsigned levels = draw_levels(m);
    n = new_node(key, levels);
    for (unsigned level = 0; level < levels; level++) {
        n->next[level] = before[level]->next[level];
        before[level]->next[level] = n;
    }
    n->prev = before[0] == m->head ? NULL : before[0];
    if (n->next[0]) n->next[0]->prev = n;
    m->count++;
    return n;
}

void
sd_map_remove(sd_map *m, sd_bytes key)
{
    sd_node *before[LEVELS];

    if (!m->head) return;
    sd_node *n = search(m, key, false, before)->next[0];
    if (!n || sd_compare(n->key, key) != 0) return;
    for (unsigned level = 0; level < LEVELS; level++)
        if (before[level]->next[level] == n) before[level]->next[level] = n->next[level];
    if (n->next[0]) n->next[0]->prev = n->prev;
    free(n);
    m->count--;
}

void
sd_map_release(sd_map *m)
{
    for (sd_node *next, *n = m->head; n; n = next) {
        next = n->next[0];
        free(n);
    }
    m->head = NULL;
    m->count = 0;
}
