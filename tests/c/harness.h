/*
 * What every C test needs: checks that name the case they failed in, reproducible random numbers, and memory between
 * guard pages. It must not know cgconv.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <stddef.h>
#include <stdint.h>

/* ---- checks ---------------------------------------------------------------------------------------------------- */

#if defined(__GNUC__)
#define PRINTF_LIKE(text, arguments) __attribute__((format(printf, text, arguments)))
#else
#define PRINTF_LIKE(text, arguments)
#endif

/* Says what is being tested now. It is printed with each failure, and if the program dies. */
void begin_case(const char *format, ...) PRINTF_LIKE(1, 2);

/* Counts a check; if it does not hold, prints the case, the place and the message. Only from the main thread. */
#define CHECK(holds, ...) check((holds) != 0, __FILE__, __LINE__, #holds, __VA_ARGS__)
int check(int holds, const char *file, int line, const char *text, const char *format, ...) PRINTF_LIKE(5, 6);

/* CHECK for two strings, which may be NULL. */
#define CHECK_TEXT(actual, expected) check_text(actual, expected, __FILE__, __LINE__, #actual)
int check_text(const char *actual, const char *expected, const char *file, int line, const char *text);

/* Prints the counts; the exit status of main: 0 if there were checks and all held. */
int finish(const char *program);

/* The integer in argument `index` of the program, else in the environment variable, else `otherwise`. */
int64_t setting(int argc, char **argv, int index, const char *variable, int64_t otherwise);

/* ---- random numbers -------------------------------------------------------------------------------------------- */

/* The same sequence for the same seed on every machine. */
typedef struct rng {
    uint64_t state;
} rng;

uint64_t rng_next(rng *r);
int64_t rng_range(rng *r, int64_t low, int64_t high); /* low <= result <= high */
int rng_chance(rng *r, int percent);
double rng_uniform(rng *r); /* -1 <= result < 1, on a grid of 2^-24, so that it is a float too */

/* ---- guarded memory -------------------------------------------------------------------------------------------- */

/* The end of a block that lies against an inaccessible page. */
typedef enum side { AT_START = 0, AT_END = 1, SIDES = 2 } side;

/*
 * A block of memory with inaccessible pages before and behind it, used again and again; {0} at first. The bytes
 * between the block and the page on its free side are canaries, as are those on both sides where there is no mmap.
 */
typedef struct guarded {
    char *pages; /* the accessible part */
    size_t capacity;
    char *data;
    size_t size;
    int locked;
} guarded;

/* Puts a writable block of `size` bytes flush against the page at `where`; the memory is filled with POISON. */
void *guarded_place(guarded *g, size_t size, side where);

/* The same, `shift` bytes away from the page. */
void *guarded_place_shifted(guarded *g, size_t size, side where, size_t shift);

/* Makes the block read-only, until it is placed again. */
void guarded_lock(guarded *g);

/* 1 if nothing around the block has been written. */
int guarded_intact(const guarded *g);

void guarded_free(guarded *g);

/* A byte that makes a NaN of every float and double. */
#define POISON 0xff

#endif
