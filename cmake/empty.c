/* empty.c - lets a library target exist while its folder has no sources for this machine. */
typedef int hwi_empty_translation_unit;
