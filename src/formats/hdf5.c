/* hdf5.c - datasets of HDF5 files, as ann-benchmarks lays them out: train, test, neighbors,
 * distances, each rows x dim.
 *
 * The library does the decoding, and the conversion to float or 64-bit integers on the way; we
 * check shape and kind, and read a slab of rows at a time. Its own printing of errors is switched
 * off: our message says what we asked for. A build without the library refuses such files by name.
 */
#include "reader.h"

#ifdef HAVE_HDF5

#include <hdf5.h>
#include <unistd.h>

typedef struct hdf5_state {
    hid_t file, dataset, space;
} hdf5_state;

static const char *
dataset_name(const hwi_reader *r)
{
    return r->dataset ? r->dataset : "train";
}

static void
close_hdf5(hwi_reader *r)
{
    hdf5_state *s = r->state;

    if (s == NULL) return;
    if (s->space >= 0) H5Sclose(s->space);
    if (s->dataset >= 0) H5Dclose(s->dataset);
    if (s->file >= 0) H5Fclose(s->file);
    hwi_free(s);
}

static hwi_element
float_element(size_t bytes)
{
    return bytes == 8 ? HWI_ELEMENT_F64 : bytes == 2 ? HWI_ELEMENT_F16 : HWI_ELEMENT_F32;
}

static hwi_element
integer_element(size_t bytes)
{
    static const hwi_element by_log[] = {HWI_ELEMENT_I8, HWI_ELEMENT_I16, HWI_ELEMENT_I32,
                                         HWI_ELEMENT_I64};
    unsigned log = 0;

    while (log < 3 && (size_t)1 << log < bytes) log++;
    return by_log[log];
}

static hw_status
read_kind(hwi_reader *r, const hdf5_state *s, hw_error *err)
{
    hid_t type = H5Dget_type(s->dataset);
    H5T_class_t kind = type >= 0 ? H5Tget_class(type) : H5T_NO_CLASS;
    size_t bytes = type >= 0 ? H5Tget_size(type) : 0;

    if (type >= 0) H5Tclose(type);
    if (kind != H5T_FLOAT && kind != H5T_INTEGER)
        return hwi_fail(err, HW_EINVAL, "%s: dataset `%s` holds no numbers", r->path,
                        dataset_name(r));
    r->info.element = kind == H5T_FLOAT ? float_element(bytes) : integer_element(bytes);
    return HW_OK;
}

static hw_status
read_shape(hwi_reader *r, const hdf5_state *s, hw_error *err)
{
    hsize_t sizes[2];
    int axes = s->space >= 0 ? H5Sget_simple_extent_ndims(s->space) : -1;

    if (axes != 2 || H5Sget_simple_extent_dims(s->space, sizes, NULL) != 2)
        return hwi_fail(err, HW_EINVAL, "%s: dataset `%s` has %d axes, expected 2", r->path,
                        dataset_name(r), axes);
    if (sizes[1] == 0 || sizes[1] > HW_DIM_MAX)
        return hwi_fail(err, HW_EINVAL, "%s: rows of %llu values, expected 1 to %u", r->path,
                        (unsigned long long)sizes[1], HW_DIM_MAX);
    r->info.rows = sizes[0];
    r->info.dim = (uint32_t)sizes[1];
    return HW_OK;
}

static hw_status
open_hdf5(hwi_reader *r, hw_error *err)
{
    hdf5_state *s = hwi_alloc_zero(sizeof *s);

    if (s == NULL) return hwi_nomem(err, sizeof *s);
    *s = (hdf5_state){-1, -1, -1};
    r->state = s;
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    if (access(r->path, R_OK) != 0)
        return hwi_fail(err, HW_ENOTFOUND, "cannot open %s: no such file, or not readable",
                        r->path);
    s->file = H5Fopen(r->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (s->file < 0)
        return hwi_fail(err, HW_EINVAL, "%s: not an HDF5 file, or damaged or truncated", r->path);
    s->dataset = H5Dopen2(s->file, dataset_name(r), H5P_DEFAULT);
    if (s->dataset < 0)
        return hwi_fail(err, HW_EINVAL, "%s: no dataset `%s`; name one as %s:DATASET", r->path,
                        dataset_name(r), r->path);
    s->space = H5Dget_space(s->dataset);
    HWI_TRY(read_shape(r, s, err));
    return read_kind(r, s, err);
}

/* Reads `rows` rows from row_at on as `type` into out. */
static hw_status
read_slab(hwi_reader *r, size_t rows, hid_t type, void *out, hw_error *err)
{
    hdf5_state *s = r->state;
    hsize_t start[2] = {r->row_at, 0}, size[2] = {rows, r->info.dim};
    hid_t memory = H5Screate_simple(2, size, NULL);
    herr_t st = memory < 0 ? -1 : 0;

    if (st >= 0) st = H5Sselect_hyperslab(s->space, H5S_SELECT_SET, start, NULL, size, NULL);
    if (st >= 0) st = H5Dread(s->dataset, type, memory, s->space, H5P_DEFAULT, out);
    if (memory >= 0) H5Sclose(memory);
    if (st >= 0) return HW_OK;
    return hwi_fail(err, HW_EINVAL,
                    "%s: dataset `%s` cannot be read at row %llu: damaged or truncated", r->path,
                    dataset_name(r), (unsigned long long)r->row_at);
}

static hw_status
next_hdf5(hwi_reader *r, size_t want, hw_error *err)
{
    size_t fits = HWI_MAX(HWI_BATCH_BYTES / (r->info.dim * sizeof(float)), 1);
    float *values;
    hwi_row *row;

    want = HWI_MIN(want, fits);
    want = (size_t)HWI_MIN((uint64_t)want, r->info.rows - r->row_at);
    if (want == 0) return HW_OK;
    HWI_TRY(hwi_batch_room(r, want * r->info.dim, &values, err));
    HWI_TRY(read_slab(r, want, H5T_NATIVE_FLOAT, values, err));
    for (size_t i = 0; i < want; i++) {
        HWI_TRY(hwi_batch_add_row(r, &row, err));
        HWI_TRY(hwi_batch_add_vector(r, NULL, r->info.dim, err));
    }
    return HW_OK;
}

static hw_status
next_ints_hdf5(hwi_reader *r, int64_t *out, size_t room, size_t *count, hw_error *err)
{
    (void)room; /* checked by the caller against info.dim */
    if (r->row_at == r->info.rows) return HW_OK;
    if (r->info.element >= HWI_ELEMENT_F16)
        return hwi_fail(err, HW_EINVAL, "%s: dataset `%s` holds floats, expected integers", r->path,
                        dataset_name(r));
    HWI_TRY(read_slab(r, 1, H5T_NATIVE_INT64, out, err));
    r->row_at++;
    *count = r->info.dim;
    return HW_OK;
}

const hwi_reader_ops hwi_hdf5_reader = {.name = "hdf5",
                                        .open = open_hdf5,
                                        .next = next_hdf5,
                                        .next_ints = next_ints_hdf5,
                                        .close = close_hdf5,
                                        .opens_itself = true};

#else

static hw_status
refuse(hwi_reader *r, hw_error *err)
{
    return hwi_fail(err, HW_EUNSUPPORTED, "%s: this build reads no HDF5 files", r->path);
}

const hwi_reader_ops hwi_hdf5_reader = {.name = "hdf5", .open = refuse, .opens_itself = true};

#endif
