#!/bin/bash
# SPDX-License-Identifier: MIT
#
# page-server: checkpoints served by network, to CRIU's own daemon and to ours; more with
# ours is in tests/live/restore.sh.
#
# What a server may do wrong is in tests/unit/test-source-net.c, what a client may in
# tests/unit/test-page-server.c, whom TLS lets in in tests/unit/test-tls.c.
# limit: 120
# lane: restore
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/restore/rig.sh"
needs_criu

# remotely DAEMON VERB [OPTION...]: one restore of CHECKPOINT from the server at PORT.
remotely() {
	export DAEMON=$1
	restored "$2" --page-server --address 127.0.0.1 --port "$PORT" "${@:3}"
}

# served WORDS: the server ends by SIGTERM, content, and this is what it says.
served() {
	kill -TERM "$SOURCE_PID"
	end_of "$SOURCE_PID" 10 || return
	[ "$STATUS" = 0 ] || wrong "the server ended with $STATUS: $(cat "$D/source.err")" || return
	grep -qE "^pagetap: $1" "$D/source.err" || wrong "the server said: $(cat "$D/source.err")"
}

# Nothing drops memory here: CRIU's daemon (4.1.1) forgets a page whose copy was put off, if
# what lies beside it is dropped before the next try, and whoever touches it waits for ever.
case_crius_daemon() {
	checkpoint single 32 || return
	start_source -v && remotely criu check && remotely criu stamp &&
		served '2 connections, [0-9,]+ requests, [0-9,]+ pages given' &&
		grep -qE ': done, [0-9,]+ pages$' "$D/source.err"
}

# CRIU's server takes one connection, and ends with it.  It makes a pipe of 4 MiB, and without
# CAP_SYS_RESOURCE does not notice that it did not get it.
larger_pipes() {
	read -r pipe_max </proc/sys/fs/pipe-max-size
	[ "$pipe_max" -lt 4194304 ] || return 0
	trap 'cleanup; echo "$pipe_max" >/proc/sys/fs/pipe-max-size; rm -rf "$W"' EXIT
	{ echo 4194304 >/proc/sys/fs/pipe-max-size; } 2>"$D/pipe.err" ||
		skip no-pipe-size "$(cat "$D/pipe.err")"
}

usual_pipes() { [ "$pipe_max" -ge 4194304 ] || echo "$pipe_max" >/proc/sys/fs/pipe-max-size; }

case_crius_server() {
	checkpoint single 32 || return
	larger_pipes || return
	"$CRIU" page-server --no-default-config --lazy-pages --images-dir "$CHECKPOINT/images" --work-dir "$D" \
		--address 127.0.0.1 --port "$PORT" -o server.err -v4 --status-fd 9 9>"$D/listens" \
		</dev/null >"$D/server.out" 2>&1 &
	SOURCE_PID=$!
	started "$SOURCE_PID"
	within 10 test -s "$D/listens" || wrong "CRIU's server: $(tail -n 3 "$D/server.err")" || return
	remotely pagetap check || { usual_pipes; return 1; }
	usual_pipes
	end_of "$SOURCE_PID" 10 || return
	[ "$STATUS" = 0 ] || wrong "CRIU's server ended with $STATUS: $(tail -n 3 "$D/server.err")"
}

# Both ends by CRIU's options.
case_tls() {
	local P=$D/pki
	checkpoint single 32 && mkdir "$P" && "$O/tests/restore/certs" "$P" || return
	start_source -v --tls --tls-cacert "$P/ca.pem" --tls-cacrl "$P/crl.pem" --tls-cert "$P/server.pem" \
		--tls-key "$P/server.key" || return
	remotely criu check --tls --tls-no-cn-verify --tls-cacert "$P/ca.pem" --tls-cert "$P/client.pem" \
		--tls-key "$P/client.key" || return
	remotely pagetap check --tls --tls-cacert "$P/ca.pem" --tls-cert "$P/client.pem" \
		--tls-key "$P/client.key" || return
	served '3 connections'
}

# said WORDS: by the pager, in the end.
said() { within 10 grep -q "page server 127.0.0.1:$PORT: $1" "$RUN/pager.log" || wrong "no '$1': $(pager_said)"; }

kill_source() {
	kill -KILL "$SOURCE_PID"
	end_of "$SOURCE_PID" 10
}

# Killed again and again while pages come.
case_server_killed_in_the_middle() {
	checkpoint plain 64 && start_source || return
	new_run
	export DAEMON=pagetap
	start_pager --page-server --address 127.0.0.1 --port "$PORT" && start_restore check || return
	for _ in 1 2 3 4 5 6 7 8; do
		sleep 0.05
		kill_source && start_source || return
	done
	criu_content && all_right && pager_ends && said '.*trying again' && end_run
}

run_cases "$@"
