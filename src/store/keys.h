/* keys.h - where everything lies: the subspaces of the key space and the keys in them.
 *
 * A key is a tuple that starts with the number of its subspace and, save in META and NAME, the
 * number of a collection; so all a collection holds is a handful of ranges, and dropping it is
 * deleting them. c is a collection number, v the number of a vector field, g a generation.
 *
 *     0 META   ()                     format version, uuid, creation time (meta.c)
 *              (1)                    the next collection number
 *              (2, c)                 a collection whose drop was begun (api/drop.c)
 *              (3, alias)             the name of a collection (api/aliases.c)
 *              (4, c)                 a collection that is being restored (api/drop.c)
 *              (5)                    the manifest, in files alone (dump.h)
 *     1 NAME   (name)                 collection number
 *     2 CONF   (c)                    settings
 *     3 ID     (c, kind, id)          slot of a point
 *     4 REC    (c, slot)              payload
 *     5 SLOT   (c, page)              ids by slot
 *     6 VEC    (c, v, page)           vectors by slot; (c, v, slot) where they vary in size
 *     7 MODEL  (c, v, g)              what one generation was trained to
 *     8 TREE   (c, v, g, node)        nodes of the partition
 *     9 LEAF   (c, v, g, leaf, part)  bucket pages
 *    10 PIX    (c, field, value, slot chunk)  payload index
 *    11 CAL    (c, v, g)              calibration
 *    12 COUNT  (c)                    counters as the collection began with them (records/counts.c)
 *              (c, 1, group)          slots given out again (ingest/holes.c)
 *              (c, 2) (c, 3)          counters: versions and points since
 *              (c, 4, lane)           where fresh slots come from
 *              (c, 5)                 where the next lane's begin
 *    13 STATE  (c, v)                 which generation serves
 *              (c, v, 1) (c, v, 2)    counters: vectors and changes since that was written
 *              (c, v, 3)              how its tree has grown since
 *    14 LOG    (c, v)                 how far back the log goes
 *              (c, v, stamp)          changes of the tree; not part of a copy or backup
 *    15 JOB    (c, ...)               long work in progress
 *    16 LOC    (c, v, g, page)        leaf of every slot
 *    17 HAS    (c, v, page)           slots that have this multi-vector or sparse vector
 *    18 INV    (c, v, index, slot)    sparse vectors by index: slots and weights from that slot on
 *    19 IDS    (c, id / 16)           slots of sixteen points with integer ids (records/ids.c)
 *
 * Every function starts the key afresh; more elements may be appended. A key short of its last
 * elements is the prefix of a range: hwi_key_sub(k, HWI_SUB_LEAF, c), append v and g, and
 * hwi_key_range_end covers one generation's leaves.
 */
#ifndef HWI_KEYS_H
#define HWI_KEYS_H

#include "store/tuple.h"

typedef enum hwi_sub {
    HWI_SUB_META = 0,
    HWI_SUB_NAME = 1,
    HWI_SUB_CONF = 2,
    HWI_SUB_ID = 3,
    HWI_SUB_REC = 4,
    HWI_SUB_SLOT = 5,
    HWI_SUB_VEC = 6,
    HWI_SUB_MODEL = 7,
    HWI_SUB_TREE = 8,
    HWI_SUB_LEAF = 9,
    HWI_SUB_PIX = 10,
    HWI_SUB_CAL = 11,
    HWI_SUB_COUNT = 12,
    HWI_SUB_STATE = 13,
    HWI_SUB_LOG = 14,
    HWI_SUB_JOB = 15,
    HWI_SUB_LOC = 16,
    HWI_SUB_HAS = 17,
    HWI_SUB_INV = 18,
    HWI_SUB_IDS = 19
} hwi_sub;

#define HWI_SUB_COLL_FIRST HWI_SUB_CONF /* subspaces whose second element is a collection */
#define HWI_SUB_COLL_LAST HWI_SUB_IDS

/* The subspace alone, the prefix of all it holds. */
void hwi_key_space(hwi_key *k, hwi_sub sub);
/* The subspace and a collection: complete for CONF and COUNT, a prefix for the others. */
void hwi_key_sub(hwi_key *k, hwi_sub sub, uint32_t coll);

void hwi_key_meta(hwi_key *k);
void hwi_key_next_coll(hwi_key *k);
void hwi_key_name(hwi_key *k, const char *name, size_t bytes);
void hwi_key_id(hwi_key *k, uint32_t coll, const hw_id *id);
void hwi_key_ids(hwi_key *k, uint32_t coll, uint64_t block);
void hwi_key_rec(hwi_key *k, uint32_t coll, uint32_t slot);
void hwi_key_slot(hwi_key *k, uint32_t coll, uint32_t page);
void hwi_key_vec(hwi_key *k, uint32_t coll, uint32_t field, uint32_t page);
void hwi_key_model(hwi_key *k, uint32_t coll, uint32_t field, uint32_t generation);
void hwi_key_leaf(hwi_key *k, uint32_t coll, uint32_t field, uint32_t generation, uint32_t leaf,
                  uint32_t part);
void hwi_key_cal(hwi_key *k, uint32_t coll, uint32_t field, uint32_t generation);
void hwi_key_state(hwi_key *k, uint32_t coll, uint32_t field);
/* A prefix of stamped keys. */
void hwi_key_log(hwi_key *k, uint32_t coll, uint32_t field);

/* Whether a key means something only in the store it was written to: copies leave it out. */
bool hwi_key_is_transient(hw_bytes key);

/* A short fixed name of a subspace ("leaf"), or "?" for a number that is none. */
const char *hwi_sub_text(uint64_t sub);

/* A key as people read it, for messages: "leaf(3, 0, 2, 17, 1)". Any bytes are safe; NUL-terminated
 * and cut to `room`. Returns its length. */
size_t hwi_key_print(hw_bytes key, char *out, size_t room);

#endif
