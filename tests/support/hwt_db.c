#include "support/hwt_db.h"

#include <stdio.h>

void
hwt_db_open(hwt_db *d, bool on_disk)
{
    hw_error err;
    *d = (hwt_db){.opts = HW_DB_OPTS_INIT};
    d->opts.no_sync = true;
    d->opts.busy_timeout_ms = 60000;
    d->opts.map_bytes = (uint64_t)1 << 30;
    d->on_disk = on_disk || hwt_on_fdb();
    if (d->on_disk) hwt_place_new(&d->place);
    hwt_ok(hw_db_open(d->on_disk ? d->place.name : "mem:", &d->opts, &d->db, &err), &err);
}

void
hwt_db_reopen(hwt_db *d)
{
    hw_error err;
    if (!d->on_disk) return;
    hw_db_close(d->db);
    hwt_ok(hw_db_open(d->place.name, &d->opts, &d->db, &err), &err);
}

void
hwt_db_close(hwt_db *d)
{
    hw_db_close(d->db);
    if (d->on_disk) hwt_place_remove(&d->place);
}

static void
print_damage(void *arg, const char *where, const char *what)
{
    (void)arg;
    print_error("damage: %s: %s\n", where, what);
}

void
hwt_db_check(hw_db *db)
{
    hw_error err;
    hwt_ok(hw_db_check(db, NULL, print_damage, NULL, &err), &err);
}

hw_collection *
hwt_collection(hw_db *db, const char *name, const char *config)
{
    hw_collection *c;
    hw_error err;
    hwt_ok(hw_collection_create(db, name, config, &err), &err);
    hwt_ok(hw_collection_open(db, name, &c, &err), &err);
    return c;
}
