# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# rig: a checkpoint is made once and restored with any pager.  To be sourced after
# tests/live/lib.sh, which kills by pid whatever a case has started.
#
# DAEMON=criu		CRIU's own, against which the rig itself is held
# DAEMON=pagetap	ours (not PAGER: shells have that, and mean another one)
: "${DAEMON:=pagetap}" "${CRIU:=$O/criu/criu}" "${KNOWN:=$O/tests/restore/known}"
export CRIU KNOWN
# Seconds that anything may take.
: "${PATIENCE:=60}"
# Nobody else's: not of those that the kernel gives away.
PORT=$((20000 + $$ % 10000))

needs_criu() {
	local why=
	[ -x "$CRIU" ] || why='no-criu: make deps puts one into $(O)/criu'
	[ -n "$why" ] || unshare -p -f -m --kill-child --mount-proc true 2>/dev/null ||
		why='no-pidns: pid namespaces cannot be made'
	[ -n "$why" ] || return 0
	echo "SKIP $why"
	echo '0 passed, 0 failed, 1 skipped'
	exit 0
}

# inside VERB ARGUMENT...: a namespace that ends with this command.
inside() { exec unshare -p -f -m --kill-child --mount-proc bash "$SRC/tests/restore/inside.sh" "$@"; }

# checkpoint SHAPE MIB [OPTION...]: CHECKPOINT is its folder; made once a run.
checkpoint() {
	CHECKPOINT=$W/checkpoints/$1-$2
	[ ! -e "$CHECKPOINT/images/inventory.img" ] || return 0
	mkdir -p "$CHECKPOINT"
	(inside dump "$CHECKPOINT" "$@") >"$D/dump.out" 2>&1 &
	started $!
	end_of $! 180 || return
	[ "$STATUS" = 0 ] || wrong "no checkpoint of $*: $(tail -n 3 "$D/dump.out")"
}

# new_run: RUN is a folder for one restore of CHECKPOINT.
new_run() {
	RUN=$(mktemp -d "$D/run.XXXX")
	mkdir "$RUN/seat"
	[ ! -e "$CHECKPOINT/seat/control" ] ||
		cp --sparse=always "$CHECKPOINT/seat/control" "$RUN/seat/control"
}

# Cases of what only ours can do, or CRIU's cannot.
ours_only() { [ "$DAEMON" != criu ] || skip criu "CRIU's own daemon: $*"; }

# retold VERB [ARGUMENT...]: IMAGES_TOLD is CHECKPOINT as tests/restore/images.py puts it.
retold() {
	IMAGES_TOLD=$D/told/images
	rm -rf "$D/told"
	mkdir "$D/told"
	python3 "$SRC/tests/restore/images.py" "$1" "$CHECKPOINT/images" "$IMAGES_TOLD" "${@:2}" \
		2>"$D/images.err" || wrong "images.py: $(tail -n 1 "$D/images.err")"
}

# start_pager [OPTION...]: the daemon for RUN, once it listens; PAGER_PID.
# PAGER_FAULT is for tests/preload/pager.c; IMAGES a folder instead of the checkpoint's.
start_pager() {
	local program preload=
	[ -z "${PAGER_FAULT:-}" ] || preload=$O/tests/preload/pager.so
	case $DAEMON in
	criu) program=$CRIU ;;
	pagetap) program=$PAGETAP ;;
	*) program=$DAEMON ;;
	esac
	LD_PRELOAD=$preload "$program" lazy-pages --no-default-config --log-file pager.log \
		--images-dir "${IMAGES:-$CHECKPOINT/images}" --work-dir "$RUN" --verbosity=4 --status-fd 9 "$@" \
		9>"$RUN/listens" </dev/null >"$RUN/pager.out" 2>"$RUN/pager.err" &
	PAGER_PID=$!
	started "$PAGER_PID"
	within 10 test -s "$RUN/listens" || wrong "no pager: $(pager_said)"
}

# pager_itself: the process that brings the pages; ours is not the one that was started.
pager_itself() {
	local p children=
	{ read -r children <"/proc/$PAGER_PID/task/$PAGER_PID/children"; } 2>/dev/null
	for p in $children; do
		[ "$(cat "/proc/$p/comm" 2>/dev/null)" != pagetap-pager ] || { echo "$p"; return; }
	done
	echo "$PAGER_PID"
}

# kill_daemon PID: all of its processes; one that is left would begin others.
kill_daemon() {
	local p children= ours=
	{ read -r children <"/proc/$1/task/$1/children"; } 2>/dev/null
	for p in $children; do
		case $(cat "/proc/$p/comm" 2>/dev/null) in pagetap-*) ours+=" $p" ;; esac
	done
	# shellcheck disable=SC2086
	kill -KILL "$1" $ours 2>/dev/null
}
eval "started_$(declare -f cleanup)"
cleanup() {
	local p
	for p in "${PIDS[@]}"; do
		ours "$p" && kill_daemon "$p"
	done
	started_cleanup
}

pager_stopped() { grep -q '^State:.T' "/proc/$(pager_itself)/status"; }

pager_said() { tail -qn 5 "$RUN/pager.err" "$RUN/pager.log" 2>/dev/null; }

# start_restore VERB [OPTION...]: VERB is the first thing that the restored processes do.
start_restore() {
	[ ! -e "$RUN/seat/control" ] || "$KNOWN" "$RUN/seat/control" tell "$1"
	shift
	(inside restore "$CHECKPOINT" "$RUN" --lazy-pages "$@") >"$RUN/inside.out" 2>&1 &
	RESTORE_PID=$!
	started "$RESTORE_PID"
}

# criu_content: criu restore has ended, and well.
criu_content() {
	within "$PATIENCE" test -e "$RUN/status" || wrong "criu restore does not end: $(pager_said)" || return
	[ "$(cat "$RUN/status")" = 0 ] ||
		wrong "criu restore: $(grep -h Error "$RUN/restore.log" | tail -n 3)"
}

# all_right: every thread has done what it was told, and all it saw was right.
all_right() {
	"$KNOWN" "$RUN/seat/control" wait "$PATIENCE" >"$RUN/slots" 2>"$RUN/known.err" ||
		wrong "$(cat "$RUN/known.err" "$RUN/slots"; pager_said)"
}

# next_word VERB: and now that.
next_word() { "$KNOWN" "$RUN/seat/control" tell "$1" && all_right; }

# pager_ends: by itself, with status 0.
pager_ends() {
	end_of "$PAGER_PID" "$PATIENCE" || return
	[ "$STATUS" = 0 ] || wrong "the pager ended with $STATUS: $(pager_said)"
}

# end_run: the restored processes end; nothing of them is left.
end_run() {
	local first=
	# unshare(1) heeds no other signal; its child is the first of the namespace.  Both may
	# have ended with what was restored.
	{ read -r first <"/proc/$RESTORE_PID/task/$RESTORE_PID/children"; } 2>/dev/null
	kill -KILL "$RESTORE_PID" 2>/dev/null
	wait "$RESTORE_PID" 2>/dev/null
	within 20 gone "$first" || wrong "process $first is still there" || return
	rm -rf "$RUN"
}
gone() { [ -z "$1" ] || [ ! -e "/proc/$1" ]; }

# start_source [OPTION...]: a page server of ours for CHECKPOINT (or SOURCE_IMAGES) at PORT;
# SOURCE_PID.
start_source() {
	: >"$D/source.listens"
	"$PAGETAP" page-server --images-dir "${SOURCE_IMAGES:-$CHECKPOINT/images}" --address 127.0.0.1 --port "$PORT" \
		--status-fd 9 "$@" 9>"$D/source.listens" </dev/null >"$D/source.out" 2>"$D/source.err" &
	SOURCE_PID=$!
	started "$SOURCE_PID"
	within 10 test -s "$D/source.listens" || wrong "no page server: $(tail -n 3 "$D/source.err")"
}

# end_source: as it is asked to, with status 0.
end_source() {
	kill -TERM "$SOURCE_PID"
	end_of "$SOURCE_PID" 10 || return
	[ "$STATUS" = 0 ] || wrong "the page server ended with $STATUS: $(tail -n 3 "$D/source.err")"
}

# start_criu_source SHAPE MIB: a checkpoint whose lazy pages are still in the process, which
# CRIU holds and serves at PORT, once; CHECKPOINT is its folder.
start_criu_source() {
	CHECKPOINT=$D/held
	rm -rf "$CHECKPOINT"
	mkdir "$CHECKPOINT"
	: >"$D/source.listens"
	(inside dump "$CHECKPOINT" "$@" --lazy-pages --address 127.0.0.1 --port "$PORT" --status-fd 9) \
		9>"$D/source.listens" >"$D/source.out" 2>"$D/source.err" &
	SOURCE_PID=$!
	started "$SOURCE_PID"
	within 30 test -s "$D/source.listens" || wrong "CRIU serves no pages: $(tail -n 3 "$D/source.err")"
}

# restored VERB [OPTION...]: one restore of CHECKPOINT from start to end; options are the pager's.
restored() {
	local verb=$1
	shift
	new_run
	start_pager "$@" || return
	start_restore "$verb"
	criu_content && all_right && pager_ends && end_run
}
