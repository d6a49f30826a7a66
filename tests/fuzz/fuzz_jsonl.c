/* fuzz_jsonl.c - any bytes as a file of vectors in the format jsonl. */
#include "fuzz/fuzz_reader.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_format("jsonl", data, size);
}
