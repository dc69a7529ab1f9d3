/* SPDX-License-Identifier: MIT */
/*
 * Random, canary: a store with known values in every register, and in the red zone.
 *
 * A thread that has waited for its page, or has been borrowed meanwhile, has them all
 * still: general registers, flags, vectors in their full width, masks, the x87 stack
 * and the control words.
 */

#include <stddef.h>
#include <string.h>

#include "random.h"

#ifdef __x86_64__

#define GENERAL 13	/* all but rax (this struct), rsp; rbp is kept in `frame` */
#define RED 16		/* words below the stack pointer that belong to a function */
#define FLAGS_SET 0x401	/* carry and direction */

/* Whose members the assembler below names by their offsets. */
struct canary {
	uint64_t at, value;		/* the store */
	uint64_t frame, rbp;		/* the function's own rbp; its value behind the store */
	uint64_t general[GENERAL];
	uint64_t red[RED];
	uint64_t flags, mask;
	uint16_t x87;
	uint8_t pad[2];
	uint32_t mxcsr;
	uint8_t pi[16];			/* ten bytes of it */
	uint8_t vector[32][64] __attribute__((aligned(64)));
};

_Static_assert(offsetof(struct canary, general) == 32 && offsetof(struct canary, red) == 136 &&
	       offsetof(struct canary, flags) == 264 && offsetof(struct canary, x87) == 280 &&
	       offsetof(struct canary, mxcsr) == 284 && offsetof(struct canary, pi) == 288 &&
	       offsetof(struct canary, vector) == 320, "offsets below");

/* For the n-th word or vector; rax points at the struct all the time. */
#define EACH_RED(f) \
	f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15)
#define EACH_LOW(f) EACH_RED(f)
#define EACH_HIGH(f) f(16) f(17) f(18) f(19) f(20) f(21) f(22) f(23) f(24) f(25) f(26) \
	f(27) f(28) f(29) f(30) f(31)

#define RED_SET(n) "mov 136+8*" #n "(%%rax), %%rbx; mov %%rbx, -128+8*" #n "(%%rsp)\n\t"
#define RED_GET(n) "mov -128+8*" #n "(%%rsp), %%rbx; mov %%rbx, 136+8*" #n "(%%rax)\n\t"
#define XMM_SET(n) "movups 320+64*" #n "(%%rax), %%xmm" #n "\n\t"
#define XMM_GET(n) "movups %%xmm" #n ", 320+64*" #n "(%%rax)\n\t"
#define YMM_SET(n) "vmovups 320+64*" #n "(%%rax), %%ymm" #n "\n\t"
#define YMM_GET(n) "vmovups %%ymm" #n ", 320+64*" #n "(%%rax)\n\t"
#define ZMM_SET(n) "vmovups 320+64*" #n "(%%rax), %%zmm" #n "\n\t"
#define ZMM_GET(n) "vmovups %%zmm" #n ", 320+64*" #n "(%%rax)\n\t"

#define GENERAL_SET \
	"mov 32(%%rax), %%rbx; mov 40(%%rax), %%rcx; mov 48(%%rax), %%rdx\n\t" \
	"mov 56(%%rax), %%rsi; mov 64(%%rax), %%rdi; mov 72(%%rax), %%r8\n\t" \
	"mov 80(%%rax), %%r9; mov 88(%%rax), %%r10; mov 96(%%rax), %%r11\n\t" \
	"mov 104(%%rax), %%r12; mov 112(%%rax), %%r13\n\t" \
	"mov %%rbp, 16(%%rax); mov 24(%%rax), %%rbp\n\t" \
	"mov (%%rax), %%r14; mov 8(%%rax), %%r15\n\t"
/* r14 and r15, place and value, are the last two. */
#define GENERAL_GET \
	"mov %%rbx, 32(%%rax); mov %%rcx, 40(%%rax); mov %%rdx, 48(%%rax)\n\t" \
	"mov %%rsi, 56(%%rax); mov %%rdi, 64(%%rax); mov %%r8, 72(%%rax)\n\t" \
	"mov %%r9, 80(%%rax); mov %%r10, 88(%%rax); mov %%r11, 96(%%rax)\n\t" \
	"mov %%r12, 104(%%rax); mov %%r13, 112(%%rax)\n\t" \
	"mov %%r14, 120(%%rax); mov %%r15, 128(%%rax)\n\t" \
	"mov %%rbp, 24(%%rax); mov 16(%%rax), %%rbp\n\t"
/* The results overwrite the values: the caller has a copy.  pushfq comes after the red zone. */
#define CANARY(set, get, width) \
	__asm__ volatile( \
		EACH_RED(RED_SET) set \
		"fnstcw 280(%%rax); fldpi\n\t" \
		GENERAL_SET \
		"stc; std\n\t" \
		"mov %%r15, (%%r14)\n\t" \
		GENERAL_GET \
		EACH_RED(RED_GET) get \
		"pushfq; popq 264(%%rax); cld\n\t" \
		"fstpt 288(%%rax); fnstcw 280(%%rax); stmxcsr 284(%%rax)\n\t" \
		width \
		: : "a"(c) \
		: "memory", "cc", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", \
		  "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", \
		  "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", \
		  "xmm15")

static __attribute__((noinline)) void store_xmm(struct canary *c)
{
	CANARY(EACH_LOW(XMM_SET), EACH_LOW(XMM_GET), "");
}

static __attribute__((noinline)) void store_ymm(struct canary *c)
{
	CANARY(EACH_LOW(YMM_SET), EACH_LOW(YMM_GET), "vzeroupper");
}

static __attribute__((noinline)) void store_zmm(struct canary *c)
{
	CANARY(EACH_LOW(ZMM_SET) EACH_HIGH(ZMM_SET) "kmovw 272(%%rax), %%k5\n\t",
	       EACH_LOW(ZMM_GET) EACH_HIGH(ZMM_GET) "kmovw %%k5, 272(%%rax)\n\t", "vzeroupper");
}

static void prepare(struct worker *w, struct canary *c, unsigned char *at)
{
	*c = (struct canary){ .at = (uintptr_t)at, .value = random_next(w) };
	c->rbp = mix(c->value, 0);
	for (unsigned int i = 0; i < GENERAL - 2; i++)
		c->general[i] = mix(c->value, 1 + i);
	c->general[GENERAL - 2] = c->at;
	c->general[GENERAL - 1] = c->value;
	for (unsigned int i = 0; i < RED; i++)
		c->red[i] = mix(c->value, 100 + i);
	c->mask = mix(c->value, 200) & 0xffff;
	for (unsigned int i = 0; i < sizeof(c->vector) / 8; i++) {
		uint64_t word = mix(c->value, 1000 + i);

		memcpy((unsigned char *)c->vector + i * 8, &word, 8);
	}
	__asm__ volatile("fnstcw %0; stmxcsr %1" : "=m"(c->x87), "=m"(c->mxcsr));
}

static bool intact(const struct canary *was, const struct canary *is)
{
	static const uint8_t pi[10] = {
		0x35, 0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9, 0x00, 0x40,
	};

	return was->rbp == is->rbp && !memcmp(was->general, is->general, sizeof(was->general)) &&
	       !memcmp(was->red, is->red, sizeof(was->red)) && was->mask == is->mask &&
	       (is->flags & FLAGS_SET) == FLAGS_SET && was->x87 == is->x87 &&
	       was->mxcsr == is->mxcsr && !memcmp(is->pi, pi, sizeof(pi)) &&
	       !memcmp(was->vector, is->vector, sizeof(was->vector));
}

static bool store_amidst(struct worker *w, unsigned char *at, uint64_t *ret_value)
{
	struct canary was, is;

	prepare(w, &was, at);
	is = was;
	if (__builtin_cpu_supports("avx512f"))
		store_zmm(&is);
	else if (__builtin_cpu_supports("avx"))
		store_ymm(&is);
	else
		store_xmm(&is);
	*ret_value = was.value;
	return intact(&was, &is);
}

#else

static bool store_amidst(struct worker *w, unsigned char *at, uint64_t *ret_value)
{
	*ret_value = random_next(w);
	*(volatile uint64_t *)(void *)at = *ret_value;
	return true;
}

#endif

void store_canary(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t off = random_below(w, r->pages * PAGE / 8) * 8;
	uint64_t t0 = now_ns(), v;
	bool good = store_amidst(w, r->at + off, &v);

	wrote(w, r->at + off, 8, t0);
	memcpy(r->shadow + off, &v, 8);
	w->canary_errors += !good;
}
