/* The arrays of a run, and whether they may be run on. It must not know what they are for. */
#ifndef CGC_ARGUMENTS_H
#define CGC_ARGUMENTS_H

#include "../plan/geometry.h"

/* An array of a run: its memory, and what the run does with it. */
typedef struct cgc_argument {
    const void *pointer;
    cgc_extent extent;
    ptrdiff_t element; /* alignment */
    int written, optional;
} cgc_argument;

/* Whether all that must be there is, aligned, and nothing that is written shares memory with another. */
int cgc_sound(const cgc_argument *arguments, int count);

#endif
