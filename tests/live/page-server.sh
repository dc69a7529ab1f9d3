#!/bin/bash
# SPDX-License-Identifier: MIT
#
# page-server: checkpoints served by network, to CRIU's own daemon and to ours.
#
# What a server may do wrong is in tests/unit/test-source-net.c, what a client may in
# tests/unit/test-page-server.c, whom TLS lets in in tests/unit/test-tls.c.
# limit: 200
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/restore/rig.sh"
needs_criu

# remotely PAGER VERB [OPTION...]: one restore of CHECKPOINT from the server at PORT.
remotely() {
	export PAGER=$1
	restored "$2" --page-server --address 127.0.0.1 --port "$PORT" "${@:3}"
}

# served WORDS: the server ends by SIGTERM, content, and this is what it says.
served() {
	kill -TERM "$SOURCE_PID"
	end_of "$SOURCE_PID" 10 || return
	[ "$STATUS" = 0 ] || wrong "the server ended with $STATUS: $(cat "$D/source.err")" || return
	grep -qE "^pagetap: $1" "$D/source.err" || wrong "the server said: $(cat "$D/source.err")"
}

case_crius_daemon() {
	checkpoint single 32 || return
	start_source -v && remotely criu check &&
		served '1 connection, [0-9,]+ requests, [0-9,]+ pages given' &&
		grep -qE ': done, [0-9,]+ pages$' "$D/source.err"
}

case_our_daemon() {
	checkpoint single 32 || return
	start_source -v && remotely pagetap check &&
		served '2 connections, [0-9,]+ requests, [0-9,]+ pages given'
}

case_one_server_for_many_restores() {
	checkpoint children 32 || return
	start_source || return
	remotely criu check && remotely pagetap check && remotely pagetap mix && remotely criu check &&
		served '6 connections'
}

case_processes_that_change_their_memory() {
	checkpoint single 32 || return
	start_source && remotely criu mix && remotely pagetap mix && served '3 connections'
}

run_cases "$@"
