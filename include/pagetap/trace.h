/* SPDX-License-Identifier: MIT */
/*
 * The names of the trace format `pagetap.trace/1`, pagetap-trace(5).
 *
 * Everything here is contract: a word, once released, keeps its meaning.
 * The X-macros keep the enum and the word that is written in one place.
 */
#ifndef PAGETAP_TRACE_H
#define PAGETAP_TRACE_H

#define PAGETAP_TRACE_SCHEMA "pagetap.trace/1"

/* Kinds of record: the value of `ev`. */
#define PAGETAP_RECORD_KINDS(X)                                                        \
	X(HEADER, "header") X(ATTACH, "attach") X(VMA, "vma") X(ARM, "arm")            \
	X(FAULT, "fault") X(DIRTY, "dirty") X(FORK, "fork") X(EXEC, "exec")            \
	X(EXIT, "exit") X(REMAP, "remap") X(REMOVE, "remove") X(UNMAP, "unmap")        \
	X(GAP, "gap") X(LOST, "lost") X(ERROR, "error") X(STATS, "stats")              \
	X(DETACH, "detach") X(STACK, "stack") X(BUDGET, "budget") X(THREAD, "thread")

/* `kind` of a fault. */
#define PAGETAP_FAULT_KINDS(X) X(MISSING, "missing") X(WP, "wp") X(MINOR, "minor")

/* `act` of a fault: what released the thread. */
#define PAGETAP_FAULT_ACTS(X)                                                          \
	X(NONE, "none") X(ZEROPAGE, "zeropage") X(COPY, "copy") X(CONTINUE, "continue") \
	X(UNPROTECT, "unprotect") X(WAKE, "wake") X(POISON, "poison")

/* `via` of a fault: who saw it. */
#define PAGETAP_FAULT_VIAS(X) X(UFFD, "uffd") X(PERF, "perf")

/* `src` of a fault of a lazy restore: whence the page came. */
#define PAGETAP_FAULT_SRCS(X) X(NONE, "") X(LOCAL, "local") X(REMOTE, "remote")

/* `op` of a vma. */
#define PAGETAP_VMA_OPS(X)                                                             \
	X(SNAPSHOT, "snapshot") X(ADD, "add") X(CHANGE, "change") X(GONE, "gone")

/* `kind` of a vma. */
#define PAGETAP_VMA_KINDS(X)                                                           \
	X(ANON, "anon") X(HEAP, "heap") X(STACK, "stack") X(SHMEM, "shmem")            \
	X(HUGETLB, "hugetlb") X(FILE, "file") X(SPECIAL, "special")

/* `why` of a vma that is not watched. */
#define PAGETAP_VMA_WHYS(X)                                                            \
	X(NONE, "") X(NOT_WRITABLE, "not-writable") X(FILE_BACKED, "file-backed")      \
	X(SPECIAL_MAPPING, "special-mapping") X(SYSV_SHM, "sysv-shm")                  \
	X(SECRET, "secret-memory") X(FILTERED, "filtered") X(MODE, "mode")             \
	X(NO_FEATURE, "kernel-feature") X(BUSY, "other-userfaultfd")                   \
	X(REFUSED, "refused-by-kernel") X(READ_ONLY_FD, "read-only-descriptor")        \
	X(TOO_LARGE, "larger-than-memory")

/* `mode` of an arm. */
#define PAGETAP_ARM_MODES(X) X(WP, "wp") X(MISSING, "missing") X(MINOR, "minor") X(ASYNC, "async")

/* `reason` of a gap. */
#define PAGETAP_GAP_REASONS(X)                                                         \
	X(NEW_MAPPING, "new-mapping") X(PROTECTION, "protection-changed")              \
	X(REMOVE_RACE, "remove-race") X(REARM_RACE, "rearm-race") X(RESYNC, "resync")  \
	X(RING, "ring") X(FORK, "fork") X(EXEC, "exec") X(REGISTER, "register-failed") \
	X(STALL, "stall") X(THREAD_AREA, "thread-area") X(LIMIT, "limit")            \
	X(KSM, "ksm") X(EPOCH, "epoch") X(BUDGET, "budget")

/* `reason` of a lost. */
#define PAGETAP_LOST_REASONS(X)                                                        \
	X(RING, "ring") X(OUTPUT, "output") X(NETLINK, "netlink") X(PERF, "perf")

/* `reason` of the detach. */
#define PAGETAP_DETACH_REASONS(X)                                                      \
	X(SIGINT, "sigint") X(SIGTERM, "sigterm") X(SIGHUP, "sighup") X(EXIT, "exit")  \
	X(EXEC, "exec") X(DURATION, "duration") X(LIMIT, "limit") X(ERROR, "error")    \
	X(PIPE, "pipe") X(NOSPACE, "nospace") X(COMPLETE, "complete")

#define PAGETAP_X_ENUM_RECORD(n, w) RECORD_##n,
enum record_kind { PAGETAP_RECORD_KINDS(PAGETAP_X_ENUM_RECORD) RECORD_NR };
#define PAGETAP_X_ENUM_FAULT(n, w) FAULT_##n,
enum fault_kind { PAGETAP_FAULT_KINDS(PAGETAP_X_ENUM_FAULT) FAULT_NR };
#define PAGETAP_X_ENUM_ACT(n, w) ACT_##n,
enum fault_act { PAGETAP_FAULT_ACTS(PAGETAP_X_ENUM_ACT) ACT_NR };
#define PAGETAP_X_ENUM_VIA(n, w) VIA_##n,
enum fault_via { PAGETAP_FAULT_VIAS(PAGETAP_X_ENUM_VIA) VIA_NR };
#define PAGETAP_X_ENUM_SRC(n, w) SRC_##n,
enum fault_src { PAGETAP_FAULT_SRCS(PAGETAP_X_ENUM_SRC) SRC_NR };
#define PAGETAP_X_ENUM_VMA_OP(n, w) VMA_OP_##n,
enum vma_op { PAGETAP_VMA_OPS(PAGETAP_X_ENUM_VMA_OP) VMA_OP_NR };
#define PAGETAP_X_ENUM_VMA_KIND(n, w) VMA_KIND_##n,
enum vma_kind { PAGETAP_VMA_KINDS(PAGETAP_X_ENUM_VMA_KIND) VMA_KIND_NR };
#define PAGETAP_X_ENUM_WHY(n, w) WHY_##n,
enum vma_why { PAGETAP_VMA_WHYS(PAGETAP_X_ENUM_WHY) WHY_NR };
#define PAGETAP_X_ENUM_ARM(n, w) ARM_##n,
enum arm_mode { PAGETAP_ARM_MODES(PAGETAP_X_ENUM_ARM) ARM_NR };
#define PAGETAP_X_ENUM_GAP(n, w) GAP_##n,
enum gap_reason { PAGETAP_GAP_REASONS(PAGETAP_X_ENUM_GAP) GAP_NR };
#define PAGETAP_X_ENUM_LOST(n, w) LOST_##n,
enum lost_reason { PAGETAP_LOST_REASONS(PAGETAP_X_ENUM_LOST) LOST_NR };
#define PAGETAP_X_ENUM_DETACH(n, w) DETACH_##n,
enum detach_reason { PAGETAP_DETACH_REASONS(PAGETAP_X_ENUM_DETACH) DETACH_NR };

#endif
