/* SPDX-License-Identifier: MIT */
/*
 * Queue, for ThreadSanitizer: what it cannot see by itself.
 *
 * Concurrency Kit orders its ring with inline assembly, which the sanitizer does
 * not follow: it would call every copy in and out of a slot a race.  These tell it
 * that slots are CK's business, and that what a record points to is handed over
 * with the record.  Without the sanitizer they are nothing.
 */
#ifndef TRACE_QUEUE_TSAN_H
#define TRACE_QUEUE_TSAN_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define QUEUE_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define QUEUE_TSAN 1
#endif

#ifdef QUEUE_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);

#define queue_tsan_give(addr) __tsan_release(addr)
#define queue_tsan_take(addr) __tsan_acquire(addr)
#define queue_tsan_ring_begin()                                                        \
	(AnnotateIgnoreReadsBegin(__FILE__, __LINE__),                                 \
	 AnnotateIgnoreWritesBegin(__FILE__, __LINE__))
#define queue_tsan_ring_end()                                                          \
	(AnnotateIgnoreWritesEnd(__FILE__, __LINE__),                                  \
	 AnnotateIgnoreReadsEnd(__FILE__, __LINE__))
#else
#define queue_tsan_give(addr) ((void)(addr))
#define queue_tsan_take(addr) ((void)(addr))
#define queue_tsan_ring_begin() ((void)0)
#define queue_tsan_ring_end() ((void)0)
#endif

#endif
