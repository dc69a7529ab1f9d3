/* SPDX-License-Identifier: MIT */
/*
 * Starve: the n-th allocation fails, once; ours and the JSON library's.
 *
 *	for (n = 1; starve_after(n), try(), starve_hit(); n++)
 *		... try() has failed cleanly ...
 *
 * The program that includes it is linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */
#ifndef TESTS_STARVE_H
#define TESTS_STARVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);

static long starve_left;	/* 0: all succeed */
static bool starve_was_hit;

static bool starve_now(void)
{
	if (!starve_left || --starve_left)
		return false;
	starve_was_hit = true;
	return true;
}

void *__wrap_malloc(size_t n)
{
	return starve_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return starve_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return starve_now() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
	size_t len = strlen(s) + 1;
	char *p = __wrap_malloc(len);

	return p ? memcpy(p, s, len) : NULL;
}

static inline void starve_after(long n)
{
	json_set_alloc_funcs(__wrap_malloc, free);
	starve_left = n;
	starve_was_hit = false;
}

/* Without the JSON library's. */
static inline void starve_ours_after(long n)
{
	starve_after(n);
	json_set_alloc_funcs(__real_malloc, free);
}

static inline bool starve_hit(void)
{
	starve_left = 0;
	return starve_was_hit;
}

#endif
