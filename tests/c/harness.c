/* What every C test needs, see harness.h. It must not know cgconv. */
#if defined(__unix__) || defined(__APPLE__)
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#define _DARWIN_C_SOURCE
#define HAVE_PAGES 1
#else
#define HAVE_PAGES 0
#endif

#include "harness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if HAVE_PAGES
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

/* ---- checks ---------------------------------------------------------------------------------------------------- */

enum { SHOWN = 20, SHOWN_PER_CASE = 3 }; /* failures in full */

static char current_case[2048] = "no case yet";
static int64_t checks, failed;
static int shown, shown_of_case;

#if HAVE_PAGES
static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { DEADLY = sizeof deadly / sizeof deadly[0] };
static struct sigaction before_us[DEADLY];

/* Names the case in which the program dies, then lets the faulting instruction meet whoever was in charge before. */
static void name_the_dead(int signal_number) {
    static const char text[] = "\ndied in the case:\n  ";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    written += write(STDERR_FILENO, current_case, strlen(current_case));
    written += write(STDERR_FILENO, "\n", 1);
    (void)written, (void)signal_number;
    for (int i = 0; i < DEADLY; i++) sigaction(deadly[i], &before_us[i], NULL);
}

static void watch(void) {
    static int watching;
    struct sigaction action;
    if (watching) return;
    watching = 1;
    memset(&action, 0, sizeof action);
    action.sa_handler = name_the_dead;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < DEADLY; i++) sigaction(deadly[i], &action, &before_us[i]);
}

#ifdef __SANITIZE_ADDRESS__
/* The sanitizers ask these; a death by abort() passes through the handler above. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__asan_default_options(void) { return "abort_on_error=1"; }
const char *__ubsan_default_options(void) { return "abort_on_error=1:print_stacktrace=1"; }
#endif
#else
static void watch(void) {}
#endif

void begin_case(const char *format, ...) {
    va_list arguments;
    watch();
    shown_of_case = 0;
    va_start(arguments, format);
    vsnprintf(current_case, sizeof current_case, format, arguments);
    va_end(arguments);
}

int check(int holds, const char *file, int line, const char *text, const char *format, ...) {
    checks++;
    if (holds) return 1;
    failed++;
    if (shown < SHOWN && shown_of_case < SHOWN_PER_CASE) {
        va_list arguments;
        shown++, shown_of_case++;
        fprintf(stderr, "%s:%d: %s\n  case: %s\n  ", file, line, text, current_case);
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fputc('\n', stderr);
        if (shown == SHOWN) fprintf(stderr, "further failures are only counted\n");
    }
    return 0;
}

int check_text(const char *actual, const char *expected, const char *file, int line, const char *text) {
    const int same = actual && expected ? strcmp(actual, expected) == 0 : actual == expected;
    return check(same, file, line, text, "is \"%s\", should be \"%s\"", actual ? actual : "(NULL)",
                 expected ? expected : "(NULL)");
}

int finish(const char *program) {
    printf("%s: %lld checks, %lld failed\n", program, (long long)checks, (long long)failed);
    return failed > 0 || checks == 0;
}

int64_t setting(int argc, char **argv, int index, const char *variable, int64_t otherwise) {
    const char *text = index < argc ? argv[index] : getenv(variable);
    return text && *text ? strtoll(text, NULL, 0) : otherwise;
}

/* ---- random numbers -------------------------------------------------------------------------------------------- */

/* SplitMix64. */
uint64_t rng_next(rng *r) {
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int64_t rng_range(rng *r, int64_t low, int64_t high) {
    return low + (int64_t)(rng_next(r) % (uint64_t)(high - low + 1));
}

int rng_chance(rng *r, int percent) { return rng_range(r, 0, 99) < percent; }

double rng_uniform(rng *r) { return (double)(rng_next(r) >> 39) / 16777216.0 - 1.0; }

/* ---- guarded memory -------------------------------------------------------------------------------------------- */

enum { CANARY = 0xa5, CANARIES = 256 };

#if HAVE_PAGES
static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static void give_back(guarded *g) {
    if (g->pages) munmap(g->pages - page_size(), g->capacity + 2 * page_size());
}

static void grow(guarded *g, size_t size) {
    const size_t page = page_size(), capacity = (size + page) / page * page;
    give_back(g);
    char *map = mmap(NULL, capacity + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + page, capacity, PROT_READ | PROT_WRITE)) {
        fprintf(stderr, "no guarded memory of %zu bytes\n", size);
        exit(2);
    }
    g->pages = map + page;
    g->capacity = capacity;
    g->locked = 0;
}

static void protect(guarded *g, int locked) {
    if (g->locked != locked) mprotect(g->pages, g->capacity, locked ? PROT_READ : PROT_READ | PROT_WRITE);
    g->locked = locked;
}
#else
static void give_back(guarded *g) { free(g->pages); }

static void grow(guarded *g, size_t size) {
    give_back(g);
    g->capacity = (size + 2 * CANARIES + 4095) / 4096 * 4096;
    g->pages = malloc(g->capacity);
    if (!g->pages) {
        fprintf(stderr, "no memory of %zu bytes\n", size);
        exit(2);
    }
}

static void protect(guarded *g, int locked) { g->locked = locked; }
#endif

/* The canaries before and behind the block: as many as there is room for. */
static size_t canaries(size_t room) { return room < CANARIES ? room : CANARIES; }

static size_t before(const guarded *g) { return canaries((size_t)(g->data - g->pages)); }
static size_t behind(const guarded *g) { return canaries(g->capacity - (size_t)(g->data - g->pages) - g->size); }

void *guarded_place_shifted(guarded *g, size_t size, side where, size_t shift) {
    const size_t margin = HAVE_PAGES ? shift : shift + CANARIES;
    if (size + margin + (HAVE_PAGES ? 0 : CANARIES) > g->capacity || !g->pages) grow(g, size + shift);
    protect(g, 0);
    g->data = where == AT_START ? g->pages + margin : g->pages + g->capacity - margin - size;
    g->size = size;
    memset(g->data - before(g), CANARY, before(g));
    memset(g->data + size, CANARY, behind(g));
    memset(g->data, POISON, size);
    return g->data;
}

void *guarded_place(guarded *g, size_t size, side where) { return guarded_place_shifted(g, size, where, 0); }

void guarded_lock(guarded *g) { protect(g, 1); }

int guarded_intact(const guarded *g) {
    const unsigned char *low = (const unsigned char *)g->data - before(g),
                        *high = (const unsigned char *)g->data + g->size;
    for (size_t i = 0; i < before(g); i++)
        if (low[i] != CANARY) return 0;
    for (size_t i = 0; i < behind(g); i++)
        if (high[i] != CANARY) return 0;
    return 1;
}

void guarded_free(guarded *g) {
    give_back(g);
    memset(g, 0, sizeof *g);
}
