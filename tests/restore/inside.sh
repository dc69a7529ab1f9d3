#!/bin/bash
# SPDX-License-Identifier: MIT
#
# inside: the first process of a pid namespace, in which known(1) or redis is checkpointed
# or restored; with it everything in there ends.
#
#	inside.sh dump FOLDER SHAPE MIB [OPTION...]	FOLDER/images, FOLDER/seat/control
#	inside.sh dump FOLDER redis KEYS [OPTION...]	and FOLDER/seat/socket, FOLDER/digest
#	inside.sh restore FOLDER RUN [OPTION...]	RUN/seat/control, RUN/status
#	inside.sh command FOLDER RUN COMMAND...		the same by this; its pid in there is RUN/command
#
# A restored process has the pid that it had, so each restore wants a namespace of its own;
# high numbers, which nothing else in there has.  FOLDER/seat is where the processes found
# their file: RUN/seat is put over it, so that many restores of one checkpoint each have
# theirs.  OPTION goes to criu.  RUN/status is its exit status, when it is over; then this
# waits until the restored processes have ended.
set -u

: "${CRIU:?}" "${KNOWN:?}"
complain() { echo "inside: $*" >&2; exit 1; }
[ $$ = 1 ] || complain 'wants to be the first of a pid namespace'
verb=$1 folder=$2
shift 2

# Until the command succeeds, for some seconds.
until_well() {
	for _ in $(seq 500); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.02
	done
	complain "in vain: $*"
}

start_known() {
	"$KNOWN" "$folder/seat/control" run "$@" </dev/null >/dev/null 2>"$folder/known.err" &
	pid=$!
	until_well test -s "$folder/seat/control"
	"$KNOWN" "$folder/seat/control" ready 60 || complain "$(cat "$folder/known.err")"
}

# Its socket has a short name, relative to where it runs: there is room for 107 bytes.
start_redis() {
	cd "$folder/seat" || exit 1
	(
		# A checkpoint holds every open file, also ours.
		for fd in /proc/self/fd/*; do
			[ "${fd##*/}" -lt 3 ] || eval "exec ${fd##*/}>&-"
		done
		exec setsid redis-server --port 0 --unixsocket socket --save '' --appendonly no \
			--daemonize no --enable-debug-command yes
	) </dev/null >/dev/null 2>&1 &
	pid=$!
	until_well redis-cli -s socket ping
	redis-cli -s socket debug populate "$1" key 1000 >/dev/null
	redis-cli -s socket debug digest >"$folder/digest"
	[ -s "$folder/digest" ] || complain 'redis gives no digest'
}

dump() {
	local pid
	mkdir -p "$folder/images" "$folder/seat"
	echo 4000 >/proc/sys/kernel/ns_last_pid || complain 'pids cannot be chosen'
	if [ "$1" = redis ]; then
		shift
		start_redis "$1"
		shift
	else
		start_known "$1" "$2"
		shift 2
	fi
	timeout -k 5 120 "$CRIU" dump --no-default-config -t "$pid" -D "$folder/images" -o dump.log -v4 \
		"$@" </dev/null >"$folder/dump.out" 2>&1 ||
		complain "dump: $(grep -h Error "$folder/images/dump.log" | tail -n 3)"
}

others() {
	local p
	for p in /proc/[0-9]*; do
		[ "$p" = /proc/1 ] || return 0
	done
	return 1
}

# end_with STATUS RUN: tell it, and wait for the restored processes.  Nothing is started for
# that: it would take its milliseconds of them, and be measured.
end_with() {
	local nap
	exec {nap}<> <(:)
	echo "$1" >"$2/status.new"
	mv "$2/status.new" "$2/status"
	while others; do
		read -rt 0.1 -u "$nap"
	done
}

restore() {
	local run=$1
	shift
	mount --bind "$run/seat" "$folder/seat" || complain "mount: $run/seat"
	date +%s%N >"$run/begun"
	"$CRIU" restore --no-default-config -D "$folder/images" -W "$run" -o restore.log -v4 -d "$@" \
		</dev/null >"$run/restore.out" 2>&1
	end_with $? "$run"
}

command() {
	local run=$1
	shift
	mount --bind "$run/seat" "$folder/seat" || complain "mount: $run/seat"
	"$@" <&0 &
	echo $! >"$run/command"
	wait $!
	end_with $? "$run"
}

"$verb" "$@"
