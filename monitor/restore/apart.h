/* SPDX-License-Identifier: MIT */
/*
 * Apart: a child that has one socket and nothing more, for what others may have written.
 *
 * It reads and writes a stream with its parent, which waits for it no longer than it may be
 * silent, and believes none of what it says.  Who it is and what it may, confine() settles
 * (sandbox_parser()).
 */
#ifndef RESTORE_APART_H
#define RESTORE_APART_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The socket of the child; 0 to 2 are there too, of which it needs none. */
#define APART_SOCKET 3

struct apart {
	int fd;
	pid_t pid;
};

/* How long either end may keep the parent waiting: a minute; a test has less time. */
extern uint64_t apart_silence_ns;

/*
 * A child that closes what it has inherited, calls confine() if it is not NULL, work(arg), and
 * ends.  Call it while the process has one thread.  0, or what fork(2) and socketpair(2) fail
 * with.
 */
int apart_begin(struct apart *ret, void (*confine)(void), void (*work)(void *arg), void *arg);
/*
 * All of it, to the child and from it.  EPIPE: it has gone, or has shut its end; ETIMEDOUT: it
 * takes and gives nothing.
 */
int apart_send(const struct apart *a, const void *bytes, size_t len);
int apart_receive(const struct apart *a, void *bytes, size_t len);
/* The child is killed, and waited for by its pid; returns its status as wait(2) gives it. */
int apart_end(struct apart *a);

/* In the child.  When the parent has gone, nobody would want to know why: it ends. */
void apart_give(const void *bytes, size_t len);
void apart_take(void *bytes, size_t len);

/* Words that came from there: ended with a NUL, and printable. */
void apart_clean(char *words, size_t size);

#endif
