/* fuzz_hdf5.c - any bytes as a file of vectors in the format hdf5. */
#include "fuzz/fuzz_reader.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_format("hdf5", data, size);
}
