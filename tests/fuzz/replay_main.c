/* replay_main.c - feeds every file of the folders or files named to a fuzz target, in name order.
 *
 * libFuzzer is clang's; this lets each build, with any compiler, run the kept corpus as a test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int files;

static void
replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(1);
    }
    uint8_t *data = NULL;
    size_t size = 0, got;
    do {
        data = realloc(data, size + 65536);
        if (!data) abort();
        got = fread(data + size, 1, 65536, f);
        size += got;
    } while (got > 0);
    fclose(f);

    printf("%s (%zu bytes)\n", path, size);
    fflush(stdout); /* names the culprit when the next line stops the process */
    uint8_t *exact = malloc(size ? size : 1); /* so that a read past the end is seen */
    if (!exact) abort();
    for (size_t i = 0; i < size; i++) exact[i] = data[i];
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    free(data);
    files++;
}

static void
replay(const char *path)
{
    struct stat st;
    struct dirent **names = NULL;
    if (stat(path, &st) != 0) return; /* no corpus yet */
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path);
        return;
    }
    int count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char child[4096];
        snprintf(child, sizeof child, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.') replay(child);
        free(names[i]);
    }
    free(names);
}

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) replay(argv[i]);
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    printf("%d files replayed\n", files);
    return 0;
}
