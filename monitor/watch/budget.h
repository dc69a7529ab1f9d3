/* SPDX-License-Identifier: MIT */
/*
 * Budget: what watching costs a target, and how far it is to be held back for that.
 *
 * Pure.  An account in nanoseconds of the target's own running time: what it runs earns
 * it a share, what the watching takes from it is paid out of that.  Debt is paid off by
 * waiting: epochs of twice the length as often as needed, and should the debt grow
 * beyond what the horizon could pay off, by a rest in which nothing is watched.
 *
 *	taken = pages written first x the cost of a first write
 *	        + time that passes took x the part of the time that the target ran
 *	        + time that threads waited for answers (sync), when they would have run
 *	slowdown = taken / (time it ran or waited - taken)
 */
#ifndef WATCH_BUDGET_H
#define WATCH_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/* The horizon: over so many epochs of the user's, but at least so long, the share is kept. */
#define BUDGET_EPOCHS 10
#define BUDGET_HORIZON_MIN UINT64_C(2000000000)

struct budget {
	uint64_t share_ppm;	/* the slowdown that is allowed; 0: only account */
	uint64_t write_ns;	/* cost of a first write */
	uint64_t epoch_ns;	/* the user's */
	uint64_t horizon_ns;
	double debt;		/* ns; negative: credit */
	double ran, taken;	/* in all, until the caller takes them */
	double rate;		/* running time a time, of late; 0: not known yet */
	double writes_a_fault;	/* of late */
	unsigned int stretch;	/* an epoch is epoch_ns << stretch */
	unsigned int calm;	/* passes one after the other that would do with less */
	unsigned int cold;	/* what is not written is looked at each 2^cold-th pass */
	unsigned int round;	/* passes since that was decided, and what they took */
	double round_scanned, round_wall;
	uint64_t slowdown_ppm;	/* of the last interval that was accounted */
	bool resting;
};

/* What happened in an interval. */
struct budget_sample {
	uint64_t wall, ran;	/* ns; ran: of all threads together */
	uint64_t scanned;	/* ns that passes and armings took */
	uint64_t writes;	/* pages found written */
	uint64_t faults;	/* page faults of the target */
	uint64_t waited;	/* ns that threads waited for answers */
};

enum budget_verdict {
	BUDGET_KEEP,
	BUDGET_CHANGE,		/* another epoch, or another interval for what is cold */
	BUDGET_REST,		/* watch nothing, until BUDGET_RESUME */
	BUDGET_RELEASE,		/* hold no thread any more: most of it was waiting */
	BUDGET_RESUME,
	BUDGET_HASTEN,		/* look now: it may have cost too much already */
};

void budget_init(struct budget *b, uint64_t share_ppm, uint64_t write_ns, uint64_t epoch_ns);
/* A pass has ended; the sample is of the time since the one before. */
enum budget_verdict budget_pass(struct budget *b, const struct budget_sample *s);
/*
 * Between two passes, of the time since the last one; in a rest, since the last call.
 * Faults alone are known then, of which some were first writes.
 */
enum budget_verdict budget_look(struct budget *b, const struct budget_sample *s);
/* From one pass to the next. */
uint64_t budget_epoch(const struct budget *b);
/* Each so many passes what is cold is looked at. */
unsigned int budget_cold_every(const struct budget *b);
/* Of all that was accounted; ppm. */
uint64_t budget_slowdown(double ran, double taken);

#endif
