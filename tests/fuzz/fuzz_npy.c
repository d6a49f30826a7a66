/* fuzz_npy.c - any bytes as a file of vectors in the format npy. */
#include "fuzz/fuzz_reader.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_format("npy", data, size);
}
