/* SPDX-License-Identifier: MIT */
/*
 * Bare: counts in shared memory, and no executable page of it holds a system call
 * instruction any more.
 *
 *	bare FILE	the counter; `ready` is said before
 *
 * The last call unmaps the page that it is made from: the instruction is at the end of
 * that page, and what runs on is the next one.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "target.h"

/* lock incq (%rbx); jmp back */
static const unsigned char spin[] = { 0xf0, 0x48, 0xff, 0x03, 0xeb, 0xfa };
/* mov %r12, %rdi; mov %r13, %rsi; mov $SYS_munmap, %eax; syscall; and the table's next */
static const unsigned char unmap_all[] = {
	0x49, 0x8b, 0x3c, 0x24,			/* mov (%r12), %rdi */
	0x49, 0x8b, 0x74, 0x24, 0x08,		/* mov 8(%r12), %rsi */
	0x49, 0x83, 0xc4, 0x10,			/* add $16, %r12 */
	0xb8, SYS_munmap, 0, 0, 0,		/* mov $SYS_munmap, %eax */
	0x48, 0x85, 0xff,			/* test %rdi, %rdi */
	0x74, 0x04,				/* jz past the call: to the end */
	0x0f, 0x05,				/* syscall */
	0xeb, 0xe5,				/* again */
};

struct range {
	uint64_t at, len;
};

/* Every executable mapping but our own two pages; an entry of zeros ends the list. */
static void list_text(struct range *list, unsigned int max, const unsigned char *own)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long lo, hi;
	unsigned int n = 0;
	char line[512], perms[8];

	while (f && n < max - 1 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %7s", &lo, &hi, perms) != 3 || perms[2] != 'x')
			continue;
		if (lo == (uintptr_t)own || strstr(line, "[vsyscall]"))
			continue;
		list[n++] = (struct range){ lo, hi - lo };
	}
	if (f)
		fclose(f);
	list[n] = (struct range){ 0, 0 };
}

int main(int argc, char **argv)
{
	unsigned char *code = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct range *list = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open(argc > 1 ? argv[1] : "", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	unsigned char *end = code + PAGE - 16;
	void *count;

	if (code == MAP_FAILED || list == MAP_FAILED || fd < 0 || ftruncate(fd, PAGE))
		die("setting up: %s", strerror(errno));
	count = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memset(code, 0x90, 2 * PAGE);
	memcpy(code, unmap_all, sizeof(unmap_all));
	/* mov %r14, %rdi; mov $PAGE, %esi; mov $SYS_munmap, %eax; syscall | the next page */
	memcpy(end + 1, "\x4c\x89\xf7\xbe\x00\x10\x00\x00\xb8\x0b\x00\x00\x00\x0f\x05", 15);
	memcpy(code + PAGE, spin, sizeof(spin));
	if (count == MAP_FAILED || mprotect(code, 2 * PAGE, PROT_READ | PROT_EXEC))
		die("setting up: %s", strerror(errno));
	list_text(list, PAGE / sizeof(*list), code);
	puts("ready");
	fflush(stdout);
	__asm__ volatile("mov %2, %%r12\n\tmov %0, %%r14\n\tjmp *%0"
			 : : "a"(code), "b"(count), "d"(list) : "memory");
	__builtin_unreachable();
}
