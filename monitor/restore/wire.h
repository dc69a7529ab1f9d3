/* SPDX-License-Identifier: MIT */
/*
 * Wire: the messages between a lazy restore and its page server.
 *
 * Pure.  The protocol is CRIU's: a header in the byte order of the machine, after
 * some of them data.  It has no version, and its header has two layouts: 24 bytes up to
 * CRIU 4.1, 32 bytes (the number of pages is 64 bits wide) since 4.2.
 */
#ifndef RESTORE_WIRE_H
#define RESTORE_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum wire_layout {
	WIRE_NARROW,	/* CRIU up to 4.1: 24 bytes */
	WIRE_WIDE,	/* CRIU since 4.2: 32 bytes */
};

#define WIRE_NARROW_SIZE 24u
#define WIRE_WIDE_SIZE 32u
#define WIRE_PAGE UINT64_C(4096)

/* The low half of the first word: the command. */
#define WIRE_ADD 1u		/* these belong to a dump that sends pages */
#define WIRE_HOLE 2u
#define WIRE_OPEN 3u
#define WIRE_OPEN2 4u		/* answered by one byte: is there a parent image? */
#define WIRE_PARENT 5u		/* answered by an int32: has the parent this pagemap? */
#define WIRE_ADD_F 6u		/* pages follow if the flags say WIRE_PRESENT */
#define WIRE_GET 7u		/* answered by WIRE_ADD_F and the pages */
#define WIRE_CLOSE 0x1023u	/* answered by an int32, then the client hangs up */
#define WIRE_FORCE_CLOSE 0x1024u
/*
 * Not CRIU's: which image is this?  Answered by the same header and WIRE_IDENTITY_SIZE
 * bytes, which are different for each checkpoint.  dst is 1, so that wire_guess() sees
 * where it stands.
 */
#define WIRE_IDENTITY 0x5450u
#define WIRE_IDENTITY_SIZE 32u

/* The high half: flags. */
#define WIRE_PARENT_FLAG 1u
#define WIRE_LAZY 2u
#define WIRE_PRESENT 4u

struct wire_head {
	uint16_t cmd;
	uint16_t flags;
	uint64_t npages;
	uint64_t vaddr;
	/* Of a GET and its answer: the pid.  Else the number << 8 with a type, 1 for a task. */
	uint64_t dst;
};

static inline size_t wire_size(enum wire_layout layout)
{
	return layout == WIRE_WIDE ? WIRE_WIDE_SIZE : WIRE_NARROW_SIZE;
}

/* Encode into buf; the bytes written, or -ERANGE: more pages than the layout can say. */
int wire_put(enum wire_layout layout, const struct wire_head *head, uint8_t buf[WIRE_WIDE_SIZE]);
/* Decode wire_size(layout) bytes.  Any bytes make a header; whether it makes sense is not asked. */
void wire_get(enum wire_layout layout, const uint8_t *buf, struct wire_head *ret);
/*
 * Which layout has a client whose first WIRE_NARROW_SIZE bytes these are?  The number of
 * pages of the narrow one stands where the wide one has padding.  A message that reads the
 * same either way (a CLOSE) is taken for a narrow one.
 */
enum wire_layout wire_guess(const uint8_t buf[WIRE_NARROW_SIZE]);

#endif
