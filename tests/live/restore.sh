#!/bin/bash
# SPDX-License-Identifier: MIT
#
# restore: programs of known contents, checkpointed by CRIU and restored lazily; every
# page must be right, and the pager must end by itself, content.
#
#	PAGER=criu bash tests/live/restore.sh [CASE...]		with CRIU's own daemon
#
# LARGE=1024	the largest one, MiB
# limit: 400
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/restore/rig.sh"
needs_criu
: "${LARGE:=128}"

# flip FILE OFFSET: one bit.
flip() {
	local byte
	byte=$(od -An -tu1 -j "$2" -N1 "$1")
	printf %b "\\0$(printf %o $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>"$D/dd.err"
}
# The check itself: one wrong bit in 16,384 pages is seen, and where.
case_one_wrong_bit_is_seen() {
	local pages
	checkpoint plain 64 || return
	pages=$(find "$CHECKPOINT/images" -name 'pages-*.img')
	[ "$(stat -c %s "$pages")" -gt 67108864 ] || wrong "not a checkpoint of 64 MiB" || return
	new_run
	flip "$pages" 40000000
	start_pager && start_restore check && criu_content &&
		! "$KNOWN" "$RUN/seat/control" wait 60 >"$D/slots.out"
	flip "$pages" 40000000
	grep -q ' checked 16384 bad 1 first 0x' "$D/slots.out" || wrong "seen: $(cat "$D/slots.out")" || return
	pager_ends && end_run
}

case_every_page() { checkpoint plain 64 && restored check; }
case_every_kind_of_page() { checkpoint single 32 && restored check; }
case_8_threads() { checkpoint threads 32 && restored check; }
case_10240_small_mappings() { checkpoint small 8 && restored check; }
case_shared_memory() { checkpoint shared 32 && restored check; }
case_forked_children() { checkpoint children 32 && restored check; }
case_large() { checkpoint plain "$LARGE" && restored check; }

# The same said in other ways: the pager reads that, CRIU what it wrote.
read_as() {
	checkpoint children 16 && retold "$@" && IMAGES=$IMAGES_TOLD restored check
}
case_an_entry_for_each_page() { read_as single; }
case_after_40_pre_dumps() {
	checkpoint children 16 && retold history 41 || return
	new_run
	IMAGES=$IMAGES_TOLD start_pager || return
	start_restore check -D "$IMAGES_TOLD"
	criu_content && all_right && pager_ends && end_run
}
case_40_parents() {
	ours_only 'reads no lazy page of a parent' || return
	read_as parents 41
}
case_counts_of_64_bits() {
	ours_only '4.1 knows them not' || return
	read_as wide
}

# What no CRIU would write is refused before anybody can connect, with words.
case_lies_are_refused() {
	local lie status
	ours_only 'believes them' || return
	checkpoint single 32 || return
	for lie in $(python3 "$SRC/tests/restore/images.py" lies); do
		retold lie "$lie" || return
		timeout -k 5 20 "$PAGETAP" lazy-pages -D "$IMAGES_TOLD" -W "$D" >"$D/lie.out" 2>&1
		status=$?
		case $status in 1 | 5) ;; *) wrong "$lie: exit status $status" || return ;; esac
		grep -q '^pagetap: .*\.img: .' "$D/lie.out" || wrong "$lie: $(cat "$D/lie.out")" || return
		[ ! -e "$D/lazy-pages.socket" ] || wrong "$lie: it listened" || return
	done
}

# A server that is asked while its memory comes: every value right, and all of them together.
case_redis_while_clients_read() {
	local i socket
	checkpoint redis 30000 || return
	new_run
	socket=$RUN/seat/socket
	start_pager && start_restore none && criu_content || return
	for i in 1 2 3; do
		seq $((i * 7)) 13 29999 | sed 's/^/GET key:/' |
			timeout 60 redis-cli -s "$socket" 2>&1 | tr -d '\0"' >"$D/values.$i" &
		started $!
	done
	timeout 60 redis-cli -s "$socket" debug digest >"$D/digest"
	within 60 clients_ended || wrong 'the clients do not end' || return
	cmp "$CHECKPOINT/digest" "$D/digest" || wrong "digest: $(cat "$D/digest")" || return
	for i in 1 2 3; do
		seq $((i * 7)) 13 29999 | sed 's/^/value:/' | cmp - "$D/values.$i" >"$D/cmp.out" ||
			wrong "values: $(cat "$D/cmp.out")" || return
	done
	pager_ends && end_run
}
clients_ended() { ! jobs -r | grep -q redis-cli; }

# What a program may do with its memory before that has come.
case_stamps() { checkpoint single 32 && restored stamp; }
case_moves() { checkpoint single 32 && restored move; }
case_shuffles() { checkpoint single 32 && restored shuffle; }
case_drops() { checkpoint single 32 && restored drop; }
case_drops_and_moves() {
	ours_only 'unregisters what is dropped, so that mremap fails' || return
	checkpoint single 32 && restored drop-move
}
case_unmaps() { checkpoint single 32 && restored unmap; }
case_forks() { checkpoint single 32 && restored fork; }
case_forks_of_forks() { checkpoint single 32 && restored forks; }
case_everything_at_once() { checkpoint single 32 && restored mix; }
case_children_do_everything_at_once() { checkpoint children 32 && restored mix; }
case_exits_at_once() { checkpoint children 32 && restored exit; }

# Longer than an int holds: CRIU's daemon asks for ever for what has gone.
case_3_gib_dropped() {
	ours_only 'never ends' || return
	checkpoint vast 64 && restored drop-all
}
case_3_gib_unmapped() {
	ours_only 'never ends' || return
	checkpoint vast 64 && restored unmap-all
}

# What the kernel may answer to a copy.
case_copies_that_are_cut_short() { checkpoint single 32 && PAGER_FAULT=half:2 restored check; }
case_pages_that_are_there_already() {
	ours_only 'never ends' || return
	checkpoint single 32 && PAGER_FAULT=there:3 restored check
}
case_no_memory_for_a_copy() {
	ours_only 'gives up' || return
	checkpoint single 32 && PAGER_FAULT=memory:3 restored check
}

# A pager that stands still: nothing is wrong, only late.
case_stopped_amidst() {
	checkpoint plain 64 || return
	new_run
	PAGER_FAULT=stop:8000 start_pager && start_restore check && criu_content || return
	within 10 stopped "$PAGER_PID" || wrong 'the pager is not stopped' || return
	sleep 0.5
	[ "$("$KNOWN" "$RUN/seat/control" wait 0 | wc -l)" = 1 ] || wrong 'no slot' || return
	! "$KNOWN" "$RUN/seat/control" wait 0 >"$D/early.out" 2>&1 ||
		wrong "done, with half of the pages: $(cat "$D/early.out")" || return
	kill -CONT "$PAGER_PID"
	all_right && pager_ends && end_run
}
stopped() { grep -q '^State:.T' "/proc/$1/status"; }

run_cases "$@"
