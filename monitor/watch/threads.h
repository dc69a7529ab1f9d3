/* SPDX-License-Identifier: MIT */
/*
 * Threads: what threads call themselves, and who has been told of it.
 *
 * Pure.  Bounded: of two threads that fall on one place the later one stays.
 */
#ifndef WATCH_THREADS_H
#define WATCH_THREADS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* TASK_COMM_LEN of the kernel, without the end. */
#define THREADS_COMM_MAX 15

struct threads;

/* -ENOMEM. */
int threads_new(struct threads **ret);
struct threads *threads_free(struct threads *t);

/* The thread is called so from then on; what is older than what is known changes nothing. */
void threads_name(struct threads *t, pid_t tid, uint64_t since, const char *comm, size_t len);
/* A thread was made then, by another one, whose name it has. */
void threads_born(struct threads *t, pid_t tid, uint64_t since, pid_t parent);
/*
 * The name, if it was not asked for since it is the thread's, in this address space;
 * how long in *ret_len.  NULL: it was, or it is not known.
 */
const char *threads_tell(struct threads *t, pid_t tid, uint32_t mm, size_t *ret_len);

#endif
