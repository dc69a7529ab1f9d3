/* SPDX-License-Identifier: MIT */
/*
 * Word32: a 32-bit process without a libc, for the refusal of such targets.
 *
 * Says `ready` and waits, at most two minutes.
 * link: -m32 -nostdlib -static -ffreestanding -fno-pic -fno-stack-protector
 */
static long call(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory");
	return ret;
}

void _start(void);
void _start(void)
{
	static const char ready[] = "ready\n";

	call(27, 120, 0, 0);			/* alarm */
	call(4, 1, (long)ready, sizeof(ready) - 1);	/* write */
	for (;;)
		call(29, 0, 0, 0);		/* pause */
}
