/* job.c - u8 format, u8 phase, 2 spare, generation u32, process u64; format 2 adds host u64, beat u64.
 *
 * A process number says something on its own machine alone, so the record names that too: the boot and the
 * host's name, which tells containers apart that share a machine. Of a process elsewhere one can only
 * say when it was last heard of. */
#include "index/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define FORMAT_1_BYTES 16u
#define BYTES 32u
#define BEAT_EVERY_US 20000000u

/* ---- where we are ---- */

static uint64_t
this_host(void)
{
    char text[256] = {0}; /* boot, then name */
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd >= 0 ? read(fd, text, 64) : 0;

    if (fd >= 0) close(fd);
    if (bytes < 0) bytes = 0;
    if (gethostname(text + bytes, sizeof text - 1 - (size_t)bytes) != 0) text[bytes] = 0;
    uint64_t host = hwi_checksum(text, strlen(text));
    return host ? host : 1;
}

static uint64_t
now_s(void)
{
    time_t now = time(NULL);
    return now < 0 ? 0 : (uint64_t)now;
}

/* ---- the record ---- */

void
hwi_job_key(hwi_key *k, uint32_t coll, uint32_t field)
{
    hwi_key_sub(k, HWI_SUB_JOB, coll);
    hwi_key_uint(k, field);
}

hw_status
hwi_job_get(hw_store_txn *txn, uint32_t coll, uint32_t field, hwi_job *out, hw_error *err)
{
    hwi_key key;
    hw_bytes value;

    *out = (hwi_job){.phase = HWI_NO_JOB};
    hwi_job_key(&key, coll, field);
    hw_status st = hwi_store_get(txn, hwi_key_view(&key), &value, err);
    if (st == HW_ENOTFOUND) return HW_OK;
    HWI_TRY(st);
    const uint8_t *b = value.data;
    bool is_sound =
        (value.size == FORMAT_1_BYTES && b[0] == 1) || (value.size == BYTES && b[0] == 2);
    if (!is_sound || b[1] < HWI_BUILDING || b[1] > HWI_CLEANING)
        return hwi_fail(err, HW_ECORRUPT, "build job of %zu bytes does not decode", value.size);
    out->phase = (hwi_job_phase)b[1];
    out->generation = hwi_get_u32(b + 4);
    out->process = hwi_get_u64(b + 8);
    if (value.size == BYTES) out->host = hwi_get_u64(b + 16), out->beat_s = hwi_get_u64(b + 24);
    return HW_OK;
}

hw_status
hwi_job_put(hw_store_txn *txn, uint32_t coll, uint32_t field, hwi_job_phase phase,
            uint32_t generation, hw_error *err)
{
    uint8_t b[BYTES] = {2, (uint8_t)phase};
    hwi_key key;

    hwi_put_u32(b + 4, generation);
    hwi_put_u64(b + 8, (uint64_t)getpid());
    hwi_put_u64(b + 16, this_host());
    hwi_put_u64(b + 24, now_s());
    hwi_job_key(&key, coll, field);
    return hwi_store_put(txn, hwi_key_view(&key), hwi_bytes(b, sizeof b), err);
}

bool
hwi_job_is_alive(const hwi_job *job)
{
    if (job->host && job->host != this_host()) return now_s() < job->beat_s + HWI_JOB_SILENCE_S;
    if (job->process == 0 || job->process == (uint64_t)getpid()) return false;
    return kill((pid_t)job->process, 0) == 0 || errno == EPERM;
}

/* ---- still alive ---- */

hw_status
hwi_job_check(hw_store_txn *txn, uint32_t coll, uint32_t field, uint32_t generation, hw_error *err)
{
    hwi_job job;

    HWI_TRY(hwi_job_get(txn, coll, field, &job, err));
    if (job.phase == HWI_BUILDING && job.generation == generation) return HW_OK;
    return hwi_fail(err, HW_EBUSY, "another process has taken over this build");
}

typedef struct beat {
    uint32_t coll, field, generation;
} beat;

static hw_status
beat_body(hw_store_txn *txn, void *arg, hw_error *err)
{
    const beat *b = arg;

    HWI_TRY(hwi_job_check(txn, b->coll, b->field, b->generation, err));
    return hwi_job_put(txn, b->coll, b->field, HWI_BUILDING, b->generation, err);
}

hw_status
hwi_job_beat(hw_store *store, uint32_t coll, uint32_t field, uint32_t generation, uint64_t *last_us,
             hw_error *err)
{
    beat b = {coll, field, generation};

    if (*last_us && hwi_clock_us() < *last_us + BEAT_EVERY_US) return HW_OK;
    *last_us = hwi_clock_us();
    return hwi_store_run(store, beat_body, &b, err);
}
