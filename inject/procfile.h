/* SPDX-License-Identifier: MIT */
/*
 * Procfile: files and directories of /proc, read without allocation.
 *
 * Everything here is async-signal-safe, because the injector is the child of a
 * fork() in a process that may have threads.  Paths are relative to a directory
 * descriptor, so that a test can put recorded text in the place of /proc.
 */
#ifndef INJECT_PROCFILE_H
#define INJECT_PROCFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * At most size - 1 bytes of a file into buf, NUL-terminated; what does not fit is
 * left out.  Returns the length or a negative errno (-ESRCH: the process has gone).
 */
ssize_t procfile_read(int dirfd, const char *path, char *buf, size_t size);

/* readlinkat(2), NUL-terminated. */
ssize_t procfile_link(int dirfd, const char *path, char *buf, size_t size);

/*
 * The value of a "Key:\tvalue" line of proc_pid_status(5) and its like: a pointer
 * into text behind key and white space, or NULL.  Names in these files are escaped
 * by the kernel, so no value can forge a line.
 */
const char *procfile_value(const char *text, const char *key);

/* Digits of a base at text: false if there are none.  *ret_end may be NULL. */
bool procfile_number(const char *text, unsigned int base, uint64_t *ret, const char **ret_end);

/* Lines of a file that may be long.  A line that exceeds the buffer is cut. */
struct procfile_lines {
	int fd;			/* owned by the caller */
	size_t pos, len;
	bool eof, skip;
	char buf[8192];
};

void procfile_lines_init(struct procfile_lines *l, int fd);
/* 1 and a NUL-terminated line without its newline, 0 at the end, or -errno. */
int procfile_lines_next(struct procfile_lines *l, char **ret);

/* Entries of a directory whose names are numbers: pids, tids, descriptors. */
struct procfile_numbers {
	int fd;			/* owned by the caller */
	long pos, len;
	char buf[4096] __attribute__((aligned(8)));
};

void procfile_numbers_init(struct procfile_numbers *n, int fd);
/* 1 and the next number, 0 at the end, or -errno.  Other names are passed over. */
int procfile_numbers_next(struct procfile_numbers *n, int *ret);

#endif
