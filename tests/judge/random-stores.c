/* SPDX-License-Identifier: MIT */
/* Random, stores: every way in which a program writes. */

#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "random.h"

#define BURST 16

/* Wherever they lie. */
struct __attribute__((packed)) any16 { uint16_t v; };
struct __attribute__((packed)) any32 { uint32_t v; };
struct __attribute__((packed)) any64 { uint64_t v; };

/* A store of `len` bytes of v, one instruction where that can be. */
static void store(unsigned char *at, uint64_t v, size_t len)
{
	switch (len) {
	case 1:
		*(volatile unsigned char *)at = (unsigned char)v;
		break;
	case 2:
		((volatile struct any16 *)at)->v = (uint16_t)v;
		break;
	case 4:
		((volatile struct any32 *)at)->v = (uint32_t)v;
		break;
	default:
		((volatile struct any64 *)at)->v = v;
		break;
	}
}

static void store_both(struct worker *w, struct region *r, size_t off, uint64_t v, size_t len)
{
	uint64_t t0 = now_ns();

	store(r->at + off, v, len);
	wrote(w, r->at + off, len, t0);
	memcpy(r->shadow + off, &v, len);
}

void store_scattered(struct worker *w)
{
	struct region *r = region_pick(w);

	for (uint64_t n = 1 + random_below(w, BURST); n; n--) {
		size_t len = (size_t)1 << random_below(w, 4);

		store_both(w, r, random_below(w, r->pages * PAGE - len + 1), random_next(w), len);
	}
}

void store_sweep(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t page = random_below(w, r->pages), n = 1 + random_below(w, 3 * BURST);
	size_t off = random_below(w, PAGE / 8) * 8;

	for (; n && page < r->pages; n--, page++)
		store_both(w, r, page * PAGE + off, random_next(w), 8);
}

/* One store that lies on two pages. */
void store_across(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t len = (size_t)2 << random_below(w, 3);

	if (r->pages < 2)
		return;
	store_both(w, r, (1 + random_below(w, r->pages - 1)) * PAGE - len / 2, random_next(w), len);
}

/* One string instruction over several pages. */
void store_string(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t len = 1 + random_below(w, 8 * PAGE), off;
	unsigned char value = (unsigned char)random_next(w);
	uint64_t t0;

	if (len > r->pages * PAGE)
		len = r->pages * PAGE;
	off = random_below(w, r->pages * PAGE - len + 1);
	t0 = now_ns();
#ifdef __x86_64__
	{
		void *at = r->at + off;
		size_t count = len;

		__asm__ volatile("rep stosb" : "+D"(at), "+c"(count) : "a"(value) : "memory");
	}
#else
	memset(r->at + off, value, len);
#endif
	wrote(w, r->at + off, len, t0);
	memset(r->shadow + off, value, len);
}

void store_locked(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t off = random_below(w, r->pages * PAGE / 8) * 8;
	uint64_t v = random_next(w), now, t0 = now_ns();

	now = __atomic_add_fetch((uint64_t *)(void *)(r->at + off), v, __ATOMIC_SEQ_CST);
	wrote(w, r->at + off, 8, t0);
	memcpy(&t0, r->shadow + off, 8);
	t0 += v;
	memcpy(r->shadow + off, &t0, 8);
	if (now != t0)
		w->mismatches++;
}

#ifdef __x86_64__
__attribute__((target("avx")))
static void store_avx(unsigned char *at, const unsigned char *v)
{
	__asm__ volatile("vmovdqu (%1), %%ymm7\n\tvmovdqu %%ymm7, (%0)\n\tvzeroupper"
			 : : "r"(at), "r"(v) : "memory", "xmm7");
}
#endif

void store_vector(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t off = random_below(w, r->pages * PAGE - 32);
	unsigned char v[32];
	uint64_t t0;

	for (unsigned int i = 0; i < sizeof(v); i++)
		v[i] = (unsigned char)random_next(w);
	t0 = now_ns();
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx")) {
		store_avx(r->at + off, v);
	} else {
		_mm_storeu_si128((__m128i *)(void *)(r->at + off),
				 _mm_loadu_si128((const __m128i *)(const void *)v));
		_mm_storeu_si128((__m128i *)(void *)(r->at + off + 16),
				 _mm_loadu_si128((const __m128i *)(const void *)(v + 16)));
	}
#else
	memcpy(r->at + off, v, sizeof(v));
#endif
	wrote(w, r->at + off, sizeof(v), t0);
	memcpy(r->shadow + off, v, sizeof(v));
}

/* What all threads write: the value depends on the place alone. */
void store_common(struct worker *w)
{
	for (uint64_t n = 1 + random_below(w, BURST); n; n--) {
		size_t off = random_below(w, common.pages * PAGE / 8) * 8;
		uint64_t t0 = now_ns();

		store(common.at + off, mix(opt.seed, off), 8);
		wrote(w, common.at + off, 8, t0);
	}
}
