#include "support/hwt_api.h"

#include "base/json.h"

hw_db *
hwt_memory_db(void)
{
    hw_db *db;
    hw_error err;
    hwt_ok(hw_db_open("mem:", NULL, &db, &err), &err);
    return db;
}

void
hwt_put_photo(hw_collection *c, uint64_t id, float x, const char *payload)
{
    hw_error err;
    hw_id key = HW_ID_U64(id);
    hwt_ok(hw_collection_upsert(c, &key, (float[]){x, 0, 0}, 1, payload ? &payload : NULL, &err),
           &err);
}

uint64_t
hwt_count(hw_collection *c, const char *filter)
{
    uint64_t n;
    hw_error err;
    hwt_ok(hw_collection_count(c, filter, filter ? strlen(filter) : 0, &n, &err), &err);
    return n;
}

void
hwt_assert_json_has(char *json, const char *part)
{
    hwi_arena arena = {0};
    const hwi_json *tree;
    assert_int_equal(HW_OK, hwi_json_parse(json, strlen(json), &arena, &tree, NULL));
    if (!strstr(json, part)) fail_msg("%s lacks %s", json, part);
    hwi_arena_release(&arena);
    hw_free(json);
}
