/* page.h - the files of the web page, as the build puts them into the program (cmake/embed.cmake).
 *
 * Immutable.
 */
#ifndef HWI_PAGE_H
#define HWI_PAGE_H

#include <stddef.h>

typedef struct hwi_page_file {
    const char *name; /* "index.html" */
    const char *type; /* what the Content-Type header says */
    const unsigned char *bytes;
    size_t size;
} hwi_page_file;

/* Ended by a row without a name. */
extern const hwi_page_file hwi_page_files[];

#endif
