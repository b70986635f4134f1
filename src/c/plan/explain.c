/* Sentences for errors, see explain.h. */
#include "explain.h"

#include <stdarg.h>
#include <stdio.h>

cgconv_status cgc_explain(cgc_why why, cgconv_status status, const char *format, ...) {
    if (why.text && why.size) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(why.text, why.size, format, arguments);
        va_end(arguments);
    }
    return status;
}
