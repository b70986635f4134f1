/* Sentences for errors. It must not know what they are about. */
#ifndef CGC_EXPLAIN_H
#define CGC_EXPLAIN_H

#include <stddef.h>

#include "../include/cgconv.h"

/* Where a sentence goes; text may be NULL. */
typedef struct cgc_why {
    char *text;
    size_t size;
} cgc_why;

/* Writes the sentence (cut to fit, always ended by a NUL) and returns `status`. */
cgconv_status cgc_explain(cgc_why why, cgconv_status status, const char *format, ...);

#endif
