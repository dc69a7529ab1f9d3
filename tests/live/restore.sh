#!/bin/bash
# SPDX-License-Identifier: MIT
#
# restore: programs of known contents, checkpointed by CRIU and restored lazily; every
# page must be right, and the pager must end by itself, content.
#
#	DAEMON=criu bash tests/live/restore.sh [CASE...]		with CRIU's own daemon
#
# LARGE=1024	the largest one, MiB; CLONES=20 of one restored at once
# KILLS=20	so often the page server is killed, when KILLS_AT='0 1 50 99' % have come
# limit: 400
# lane: restore
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/restore/rig.sh"
needs_criu
: "${LARGE:=128}" "${CLONES:=6}" "${KILLS:=1}" "${KILLS_AT:=50}"

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
case_protects() { checkpoint single 32 && restored protect; }
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

# From a page server; what the pager has itself of lazy pages is zero.
at_server=(--page-server --address 127.0.0.1 --port "$PORT")
remote() { # VERB SHAPE MIB
	checkpoint "$2" "$3" && start_source && retold blank &&
		IMAGES=$IMAGES_TOLD restored "$1" "${at_server[@]}" && end_source
}
case_remote_every_page() { remote check plain 64; }
case_remote_children() { remote mix children 32; }

# Another pager's and CRIU's own: the source is a process that CRIU holds.
case_remote_from_criu() {
	local was
	was=$(cat /proc/sys/fs/pipe-max-size)
	# It wants pipes of 4 MiB, and does not look whether it got them.
	[ "$was" -ge 4194304 ] || echo 4194304 2>/dev/null >/proc/sys/fs/pipe-max-size ||
		{ skip no-pipe-size 'fs.pipe-max-size cannot be raised' || return; }
	start_criu_source plain 32 && restored check "${at_server[@]}" && end_of "$SOURCE_PID" 20
	set -- $?
	echo "$was" >/proc/sys/fs/pipe-max-size
	[ "$1" = 0 ] || return 1
	[ "$STATUS" = 0 ] || wrong "CRIU's source ended with $STATUS"
}

# stopped_at PERCENT: a restore from the server whose pager is stopped when so many pages have
# come, so that this is so on every machine.
stopped_at() {
	local pages
	checkpoint plain 64 && start_source && retold blank || return
	pages=$("$KNOWN" "$CHECKPOINT/seat/control" where | cut -d ' ' -f 2)
	new_run
	IMAGES=$IMAGES_TOLD PAGER_FAULT=stop:$((pages * $1 / 100)) start_pager "${at_server[@]}" || return
	start_restore check
	within "$PATIENCE" pager_stopped || wrong "the pager is not stopped: $(pager_said)"
}
# The process waits for its pages, and the pager for the server.
both_wait() {
	! ended "$PAGER_PID" || wrong "the pager gave up: $(pager_said)" || return
	! "$KNOWN" "$RUN/seat/control" wait 0 >"$D/early.out" 2>&1 || wrong 'all there, from nowhere'
}
# server_killed MEANWHILE: and started again after that.
server_killed() {
	local at i
	for at in $KILLS_AT; do
		for ((i = 0; i < KILLS; i++)); do
			stopped_at "$at" || return
			kill -KILL "$SOURCE_PID"
			end_of "$SOURCE_PID" 10
			kill -CONT "$(pager_itself)"
			"$1" && both_wait && start_source && criu_content && all_right && pager_ends &&
				end_run && end_source || wrong "at $at %" || return
		done
	done
}
nothing() { sleep 0.3; }
case_remote_server_killed() {
	ours_only 'gives up' || return
	server_killed nothing
}
another() {
	local right=$CHECKPOINT
	checkpoint children 16 && start_source && sleep 1 && end_source
	CHECKPOINT=$right
}
case_remote_server_of_another_checkpoint() {
	ours_only 'gives up' || return
	server_killed another
}
case_remote_server_stopped() {
	stopped_at 50 && kill -STOP "$SOURCE_PID" && kill -CONT "$(pager_itself)" && sleep 1 && both_wait || return
	kill -CONT "$SOURCE_PID"
	criu_content && all_right && pager_ends && end_run && end_source
}

# With nobody to ask for pages nothing is copied, and no userfaultfd tells of an end.
case_remote_server_and_restored_killed() {
	ours_only 'gives up' || return
	stopped_at 50 && criu_content || return
	kill -KILL "$SOURCE_PID"
	end_of "$SOURCE_PID" 10
	kill -CONT "$(pager_itself)"
	sleep 0.3
	both_wait || return
	kill -KILL "$RESTORE_PID"
	pager_ends && grep -q 'of processes that ended' "$RUN/pager.log" || wrong "it said: $(pager_said)"
}

case_many_clones_at_once() {
	local i runs=() pagers=() restores=()
	checkpoint single 16 && start_source || return
	for ((i = 0; i < CLONES; i++)); do
		new_run
		start_pager "${at_server[@]}" || return
		start_restore check
		runs+=("$RUN") pagers+=("$PAGER_PID") restores+=("$RESTORE_PID")
	done
	for ((i = 0; i < CLONES; i++)); do
		RUN=${runs[i]} PAGER_PID=${pagers[i]} RESTORE_PID=${restores[i]}
		criu_content && all_right && pager_ends && end_run || return
	done
	end_source
}

# A pager that stands still: nothing is wrong, only late.
case_stopped_amidst() {
	checkpoint plain 64 || return
	new_run
	PAGER_FAULT=stop:8000 start_pager && start_restore check && criu_content || return
	within 10 pager_stopped || wrong 'the pager is not stopped' || return
	sleep 0.5
	[ "$("$KNOWN" "$RUN/seat/control" wait 0 | wc -l)" = 1 ] || wrong 'no slot' || return
	! "$KNOWN" "$RUN/seat/control" wait 0 >"$D/early.out" 2>&1 ||
		wrong "done, with half of the pages: $(cat "$D/early.out")" || return
	kill -CONT "$(pager_itself)"
	all_right && pager_ends && end_run
}
# start_held VERB: a restore from the server that criu holds up when all is made and nothing runs
# yet, until `let_go`; a page that nobody waits for is not asked for before that.
start_held() {
	start_source && retold blank || return
	rm -f "$D/made" "$D/go"
	cat >"$D/gate" <<-SH
	#!/bin/sh
	[ "\$CRTOOLS_SCRIPT_ACTION" = post-restore ] || exit 0
	: >"$D/made"
	for i in \$(seq 1000); do [ ! -e "$D/go" ] || exit 0; sleep 0.02; done
	SH
	chmod 755 "$D/gate"
	new_run
	IMAGES=$IMAGES_TOLD start_pager "${at_server[@]}" && start_restore "$1" --action-script "$D/gate" || return
	within 20 test -e "$D/made" || wrong "criu has not come so far: $(pager_said)"
}
let_go() { : >"$D/go"; }

# One process is killed while it is owed pages: the others get theirs.
case_one_of_61_is_killed() {
	local victim
	ours_only 'takes no second connection' || return
	checkpoint crowd 1 && start_held check || return
	kill -STOP "$SOURCE_PID"
	let_go
	criu_content || return
	# A child of the first one.  Its arguments cannot be read: their page is owed.
	victim=$(pgrep -P "$(pgrep -P "$(pgrep -P "$RESTORE_PID")" -x known)" -x known | tail -n 1)
	kill -KILL "$victim" && kill -CONT "$SOURCE_PID" || return
	"$KNOWN" "$RUN/seat/control" wait "$PATIENCE" 60 >"$RUN/slots" || wrong "$(cat "$RUN/slots")" || return
	pager_ends && end_run && end_source
}
# Whoever else talks to the pager is sent away, and the restore is as if he had not been.
case_wrong_peers_are_sent_away() {
	ours_only 'hears only one' || return
	checkpoint plain 64 || return
	new_run
	start_pager || return
	timeout 60 python3 "$SRC/tests/restore/peers.py" "$RUN/lazy-pages.socket" 4001 >"$D/peers.out" 2>&1 ||
		wrong "$(tail -n 1 "$D/peers.out")" || return
	start_restore check && criu_content && all_right && pager_ends && end_run
}
# Told to end when criu has said that the processes run, and the pager has not read it yet: it
# says so behind the script that holds it up.
case_told_to_end_as_they_run() {
	ours_only 'ends' || return
	checkpoint plain 64 && start_held check || return
	kill -STOP "$(pager_itself)" && within 10 pager_stopped || wrong "the pager is not stopped" || return
	let_go
	criu_content || return
	kill -TERM "$PAGER_PID" && kill -CONT "$(pager_itself)"
	all_right && pager_ends && end_run && end_source
}

run_cases "$@"
