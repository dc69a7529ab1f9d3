/* SPDX-License-Identifier: MIT */
/*
 * Canary: a loop that holds a known value in every register, in the red zone and in the
 * direction flag while it spins, and looks at all of them afterwards.
 */
#ifndef LIVE_INJECT_CANARY_H
#define LIVE_INJECT_CANARY_H

#include <stdint.h>
#include <string.h>

/* 0, or a number that says what had changed.  vectors: 32 x 64 bytes, and as many back. */
int canary_avx512(uint64_t loops, const void *vectors, void *ret_vectors);
int canary_sse(uint64_t loops, const void *vectors, void *ret_vectors);

/* clang-format off */
#define CANARY_REGISTERS(X) \
	X(rax, 0x1a1a1a1a5b5b0001, 1) X(rbx, 0x1a1a1a1a5b5b0002, 2) \
	X(rcx, 0x1a1a1a1a5b5b0003, 3) X(rdi, 0x1a1a1a1a5b5b0005, 5) \
	X(rbp, 0x1a1a1a1a5b5b0006, 6) X(r8, 0x1a1a1a1a5b5b0008, 8) \
	X(r9, 0x1a1a1a1a5b5b0009, 9) X(r10, 0x1a1a1a1a5b5b0010, 10) \
	X(r11, 0x1a1a1a1a5b5b0011, 11) X(r12, 0x1a1a1a1a5b5b0012, 12) \
	X(r13, 0x1a1a1a1a5b5b0013, 13) X(r14, 0x1a1a1a1a5b5b0014, 14)

#define CANARY_SET(reg, value, n) "	movabs $" #value ", %" #reg "\n"
#define CANARY_CHECK(reg, value, n) \
	"	movabs $" #value ", %r15\n	cmp %r15, %" #reg "\n" \
	"	mov $" #n ", %r15d\n	jne 9f\n"
#define CANARY_EACH(from, step, count, what) \
	"	.set i, " #from "\n	.rept " #count "\n" what \
	"	.set i, i + " #step "\n	.endr\n"

/* rsi and rdx stay pointers: to the vectors, and to where they go back. */
#define CANARY_BODY(name, count, load, store) \
	"	.text\n	.globl " name "\n	.type " name ", @function\n" name ":\n" \
	"	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n	push %r14\n" \
	"	push %r15\n" \
	CANARY_EACH(0, 1, count, load) \
	"	mov %rdi, %r15\n" CANARY_REGISTERS(CANARY_SET) \
	CANARY_EACH(8, 8, 16, "	mov %rbx, -i(%rsp)\n") \
	"	std\n" \
	"1:	dec %r15\n	jnz 1b\n" \
	CANARY_REGISTERS(CANARY_CHECK) \
	"	mov $20, %r15d\n" \
	CANARY_EACH(8, 8, 16, "	cmp %rbx, -i(%rsp)\n	jne 9f\n") \
	CANARY_EACH(0, 1, count, store) \
	"	pushfq\n	pop %rax\n	mov $21, %r15d\n" \
	"	test $0x400, %eax\n	jz 9f\n" \
	"	xor %r15d, %r15d\n" \
	"9:	cld\n	mov %r15d, %eax\n" \
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbp\n" \
	"	pop %rbx\n	ret\n	.size " name ", . - " name "\n"

__asm__(
	"	.altmacro\n"
	"	.macro zload n\n	vmovdqu64 (64 * \\n)(%rsi), %zmm\\n\n	.endm\n"
	"	.macro zstore n\n	vmovdqu64 %zmm\\n, (64 * \\n)(%rdx)\n	.endm\n"
	"	.macro xload n\n	movdqu (64 * \\n)(%rsi), %xmm\\n\n	.endm\n"
	"	.macro xstore n\n	movdqu %xmm\\n, (64 * \\n)(%rdx)\n	.endm\n"
	CANARY_BODY("canary_avx512", 32, "	zload %i\n", "	zstore %i\n")
	CANARY_BODY("canary_sse", 16, "	xload %i\n", "	xstore %i\n")
	"	.noaltmacro\n"
);
/* clang-format on */

/* One round, with vectors of its own. */
static inline int canary_round(unsigned int seed, uint64_t loops)
{
	unsigned char in[32 * 64], out[32 * 64];
	int n = __builtin_cpu_supports("avx512f") ? 32 : 16, r;
	size_t each = n == 32 ? 64 : 16;

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)(seed * 7 + i * 13 + (i >> 6));
	memset(out, 0, sizeof(out));
	r = n == 32 ? canary_avx512(loops, in, out) : canary_sse(loops, in, out);
	for (int i = 0; i < n && !r; i++)
		if (memcmp(in + 64 * i, out + 64 * i, each))
			r = 100 + i;
	return r;
}

#endif
