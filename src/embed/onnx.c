/* onnx.c - a model behind ONNX Runtime.
 *
 * The runtime is no dependency: it is opened when a model is. Its interface is one table of
 * functions that only ever grows at its end, so we ask for version 16 of it (any release since
 * 2023 has it) and know the places of the few functions used. Declared here are those alone. */
#include "embed/embed.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#define API_VERSION 16u
#define ELEMENT_FLOAT 1
#define LOG_ERRORS 3

/* ---- The runtime's table ---- */

typedef void (*any_function)(void); /* cast to what it is before the call */
typedef struct ort_base {
    const any_function *(*get_api)(uint32_t version);
    const char *(*version)(void);
} ort_base;

enum place {
    GET_ERROR_MESSAGE = 2,
    CREATE_ENV = 3,
    CREATE_SESSION = 7,
    RUN = 9,
    CREATE_SESSION_OPTIONS = 10,
    SET_INTRA_OP_THREADS = 24,
    GET_INPUT_COUNT = 30,
    GET_OUTPUT_COUNT = 31,
    GET_INPUT_TYPE = 33,
    GET_OUTPUT_TYPE = 34,
    GET_INPUT_NAME = 36,
    GET_OUTPUT_NAME = 37,
    CREATE_TENSOR = 49,
    GET_TENSOR_DATA = 51,
    CAST_TO_TENSOR_INFO = 55,
    GET_ELEMENT_TYPE = 60,
    GET_RANK = 61,
    GET_DIMS = 62,
    GET_ELEMENT_COUNT = 64,
    GET_TENSOR_SHAPE = 65,
    CREATE_CPU_MEMORY = 69,
    ALLOCATOR_FREE = 76,
    GET_ALLOCATOR = 78,
    RELEASE_ENV = 92,
    RELEASE_STATUS = 93,
    RELEASE_MEMORY = 94,
    RELEASE_SESSION = 95,
    RELEASE_VALUE = 96,
    RELEASE_TYPE = 98,
    RELEASE_SHAPE = 99,
    RELEASE_OPTIONS = 100
};

static const any_function *table;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

/* Calls a function of the table that returns a status (NULL is success). */
#define ORT(place, types, ...) (((void *(*)types)table[place])(__VA_ARGS__))
#define ORT_RELEASE(place, what) (((void (*)(void *))table[place])(what))

static void
open_runtime(void)
{
    const char *const names[] = {getenv("HASHWOOD_ONNXRUNTIME"), "libonnxruntime.so",
                                 "libonnxruntime.so.1", "libonnxruntime.dylib"};
    for (size_t i = 0; i < HWI_COUNT(names) && !table; i++) {
        void *handle = names[i] && names[i][0] ? dlopen(names[i], RTLD_NOW | RTLD_LOCAL) : NULL;
        void *found = handle ? dlsym(handle, "OrtGetApiBase") : NULL;
        const ort_base *(*get_base)(void);
        if (!found) continue;
        memcpy(&get_base, &found, sizeof found); /* ISO C has no cast for this */
        table = get_base()->get_api(API_VERSION);
    }
}

struct hwi_onnx {
    void *env, *options, *session, *memory;
    char *input_name, *output_name; /* of the runtime's allocator */
    hwi_onnx_shape input, output;
};

static hw_status
take(void *status, const char *what, hw_error *err)
{
    if (!status) return HW_OK;
    const char *text = ((const char *(*)(const void *))table[GET_ERROR_MESSAGE])(status);
    hw_status st = hwi_fail(err, HW_EINVAL, "%s: %.300s", what, text);
    ORT_RELEASE(RELEASE_STATUS, status);
    return st;
}

/* ---- Opening a model ---- */

static hw_status
read_shape(void *type, const char *what, hwi_onnx_shape *out, hw_error *err)
{
    const void *info = NULL;
    int element = 0;
    HWI_TRY(take(ORT(CAST_TO_TENSOR_INFO, (const void *, const void **), type, &info), what, err));
    if (!info) return hwi_fail(err, HW_EINVAL, "%s is no tensor", what);
    HWI_TRY(take(ORT(GET_ELEMENT_TYPE, (const void *, int *), info, &element), what, err));
    HWI_TRY(take(ORT(GET_RANK, (const void *, size_t *), info, &out->rank), what, err));
    if (element != ELEMENT_FLOAT) {
        return hwi_fail(err, HW_EINVAL, "%s has elements of kind %d, expected float", what,
                        element);
    }
    if (out->rank == 0 || out->rank > HWI_COUNT(out->dims)) {
        return hwi_fail(err, HW_EINVAL, "%s has %zu axes, expected 1 to %zu", what, out->rank,
                        HWI_COUNT(out->dims));
    }
    return take(ORT(GET_DIMS, (const void *, int64_t *, size_t), info, out->dims, out->rank), what,
                err);
}

static hw_status
read_end(hwi_onnx *m, bool input, hw_error *err)
{
    void *type = NULL, *allocator = NULL;
    const char *what = input ? "the model's input" : "the model's output";
    char **name = input ? &m->input_name : &m->output_name;
    HWI_TRY(take(ORT(GET_ALLOCATOR, (void **), &allocator), what, err));
    HWI_TRY(take(ORT(input ? GET_INPUT_NAME : GET_OUTPUT_NAME,
                     (const void *, size_t, void *, char **), m->session, 0, allocator, name),
                 what, err));
    HWI_TRY(take(ORT(input ? GET_INPUT_TYPE : GET_OUTPUT_TYPE, (const void *, size_t, void **),
                     m->session, 0, &type),
                 what, err));
    hw_status st = read_shape(type, what, input ? &m->input : &m->output, err);
    ORT_RELEASE(RELEASE_TYPE, type);
    return st;
}

static hw_status
load(hwi_onnx *m, const char *path, uint32_t threads, hw_error *err)
{
    size_t inputs = 0;
    HWI_TRY(take(ORT(CREATE_ENV, (int, const char *, void **), LOG_ERRORS, "hashwood", &m->env),
                 path, err));
    HWI_TRY(take(ORT(CREATE_SESSION_OPTIONS, (void **), &m->options), path, err));
    HWI_TRY(take(ORT(SET_INTRA_OP_THREADS, (void *, int), m->options, (int)threads), path, err));
    HWI_TRY(take(ORT(CREATE_SESSION, (const void *, const char *, const void *, void **), m->env,
                     path, m->options, &m->session),
                 path, err));
    HWI_TRY(take(ORT(CREATE_CPU_MEMORY, (int, int, void **), 1, 0, &m->memory), path, err));
    HWI_TRY(take(ORT(GET_INPUT_COUNT, (const void *, size_t *), m->session, &inputs), path, err));
    if (inputs != 1) {
        return hwi_fail(err, HW_EINVAL, "%s has %zu inputs, expected 1", path, inputs);
    }
    HWI_TRY(read_end(m, true, err));
    return read_end(m, false, err);
}

hw_status
hwi_onnx_open(const char *path, uint32_t threads, hwi_onnx **out, hw_error *err)
{
    *out = NULL;
    pthread_once(&table_once, open_runtime);
    if (!table) {
        return hwi_fail(err, HW_EUNSUPPORTED,
                        "a model needs ONNX Runtime 1.16 or later: install libonnxruntime.so, or "
                        "name it in HASHWOOD_ONNXRUNTIME");
    }
    hwi_onnx *m = hwi_alloc_zero(sizeof *m);
    if (!m) return hwi_nomem(err, sizeof *m);
    hw_status st = load(m, path, threads, err);
    if (st != HW_OK) {
        hwi_onnx_close(m);
        return st;
    }
    *out = m;
    return HW_OK;
}

static void
free_name(char *name)
{
    void *allocator = NULL;
    if (!name || take(ORT(GET_ALLOCATOR, (void **), &allocator), "", NULL) != HW_OK) return;
    hw_status ignored = take(ORT(ALLOCATOR_FREE, (void *, void *), allocator, name), "", NULL);
    (void)ignored;
}

void
hwi_onnx_close(hwi_onnx *m)
{
    if (!m) return;
    free_name(m->input_name);
    free_name(m->output_name);
    if (m->session) ORT_RELEASE(RELEASE_SESSION, m->session);
    if (m->options) ORT_RELEASE(RELEASE_OPTIONS, m->options);
    if (m->memory) ORT_RELEASE(RELEASE_MEMORY, m->memory);
    if (m->env) ORT_RELEASE(RELEASE_ENV, m->env);
    hwi_free(m);
}

const hwi_onnx_shape *
hwi_onnx_input(const hwi_onnx *m)
{
    return &m->input;
}

const hwi_onnx_shape *
hwi_onnx_output(const hwi_onnx *m)
{
    return &m->output;
}

/* ---- Running it ---- */

static hw_status
read_output(hwi_onnx_run *run, const float **output, size_t *count, hw_error *err)
{
    void *shape = NULL, *data = NULL;
    const char *what = "the model's output";
    HWI_TRY(take(ORT(GET_TENSOR_SHAPE, (const void *, void **), run->out, &shape), what, err));
    hw_status st = take(ORT(GET_ELEMENT_COUNT, (const void *, size_t *), shape, count), what, err);
    ORT_RELEASE(RELEASE_SHAPE, shape);
    HWI_TRY(st);
    HWI_TRY(take(ORT(GET_TENSOR_DATA, (void *, void **), run->out, &data), what, err));
    *output = data;
    return HW_OK;
}

hw_status
hwi_onnx_start(const hwi_onnx *m, const float *input, const hwi_onnx_shape *shape,
               hwi_onnx_run *run, const float **output, size_t *output_count, hw_error *err)
{
    size_t bytes = sizeof(float);
    const char *const names[] = {m->input_name, m->output_name};
    *run = (hwi_onnx_run){0};
    for (size_t i = 0; i < shape->rank; i++) bytes = hwi_size_mul(bytes, (size_t)shape->dims[i]);
    HWI_TRY(take(ORT(CREATE_TENSOR,
                     (const void *, const void *, size_t, const int64_t *, size_t, int, void **),
                     m->memory, input, bytes, shape->dims, shape->rank, ELEMENT_FLOAT, &run->in),
                 "the model's input", err));
    void *status = ORT(RUN,
                       (void *, const void *, const char *const *, void *const *, size_t,
                        const char *const *, size_t, void **),
                       m->session, NULL, &names[0], &run->in, 1, &names[1], 1, &run->out);
    hw_status st = take(status, "the model", err);
    if (st == HW_OK) st = read_output(run, output, output_count, err);
    if (st != HW_OK) hwi_onnx_done(m, run);
    return st;
}

void
hwi_onnx_done(const hwi_onnx *m, hwi_onnx_run *run)
{
    (void)m;
    if (run->in) ORT_RELEASE(RELEASE_VALUE, run->in);
    if (run->out) ORT_RELEASE(RELEASE_VALUE, run->out);
    *run = (hwi_onnx_run){0};
}
