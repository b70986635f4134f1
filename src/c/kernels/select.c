/*
 * Which kernel table runs here: by the CPU, by the build, by name and by CGCONV_ISA.
 * It must not know what kernels do.
 */
#include "tables.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../platform/cpu.h"

typedef struct variant {
    const char *name;
    int (*runs)(void); /* the CPU can run it */
    int (*fits)(void); /* it may be chosen unasked */
    const cgc_kernels *(*table)(cgconv_dtype);
} variant;

static int yes(void) { return 1; }

/*
 * All names that a build of this library may know, best first. scalar runs everywhere, but where FMA is missing in
 * hardware it is far too slow to be chosen unasked.
 */
static const variant variants[] = {
    {"avx512", cgc_cpu_has_avx512, yes, cgc_kernels_avx512},
    {"avx2", cgc_cpu_has_avx2, yes, cgc_kernels_avx2},
    {"neon", cgc_cpu_has_neon, yes, cgc_kernels_neon},
    {"scalar", yes, cgc_cpu_has_fma, cgc_kernels_scalar},
    {"nofma", yes, yes, cgc_kernels_nofma},
};

#define VARIANTS ((int)(sizeof(variants) / sizeof(variants[0])))

/* CGCONV_ISA: the best variant that it allows, and its text if that is no variant. */
static int cap = 0;
static char unknown[32];

static void read_environment(void) {
    const char *text = getenv("CGCONV_ISA");
    if (text == NULL || *text == '\0')
        return;
    for (int i = 0; i < VARIANTS; i++) {
        if (strcmp(text, variants[i].name) == 0) {
            cap = i;
            return;
        }
    }
    strncpy(unknown, text, sizeof(unknown) - 1);
}

/* Reads it at the first call. Another thread that comes in meanwhile waits the few instructions that this takes. */
static void prepare(void) {
    static atomic_int state; /* 0: not read; 1: being read; 2: read */
    int unread = 0;
    if (atomic_load(&state) == 2)
        return;
    if (atomic_compare_exchange_strong(&state, &unread, 1)) {
        read_environment();
        atomic_store(&state, 2);
    }
    while (atomic_load(&state) != 2)
        ;
}

const cgc_kernels *cgc_select_kernels(cgconv_dtype dtype, const char *isa) {
    prepare();
    for (int i = isa == NULL ? cap : 0; i < VARIANTS; i++) {
        const variant *v = &variants[i];
        if (isa == NULL ? v->fits() : strcmp(isa, v->name) == 0) {
            const cgc_kernels *table = v->runs() ? v->table(dtype) : NULL;
            if (table != NULL || isa != NULL)
                return table;
        }
    }
    return NULL;
}

const char *cgc_kernels_name(int index) {
    for (int i = 0; i < VARIANTS; i++)
        if (variants[i].runs() && variants[i].table(CGCONV_FLOAT32) != NULL && index-- == 0)
            return variants[i].name;
    return NULL;
}

const char *cgc_unknown_isa(void) {
    prepare();
    return *unknown != '\0' ? unknown : NULL;
}
