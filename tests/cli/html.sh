#!/bin/bash
# SPDX-License-Identifier: MIT
#
# html: the page of a report, in a browser: what it draws and tells is what the report
# says in JSON, it loads nothing, and nobody's name becomes markup; its file; its size.
# limit: 180
set -u
: "${PAGETAP:?the program under test}" "${SRC:?}" "${O:?}"
W=$(mktemp -d)
target=
trap '[ -z "$target" ] || kill "$target" 2>/dev/null; rm -rf "$W"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0

# judge WORDS COMMAND...: passes if the command does.
judge() {
	local words=$1
	shift
	if "$@" >"$W/out" 2>&1; then
		passed=$((passed + 1))
		echo "ok    $words"
	else
		failed=$((failed + 1))
		echo "FAIL  $words"
		head -n 20 "$W/out" | sed 's/^/      /'
	fi
}

report() { timeout 60 "$PAGETAP" report "$@"; }
traces() { python3 -B "$SRC/tests/html/traces.py" "$@"; }

# ---- the file ---------------------------------------------------------------

makes_file() {
	traces known "$W/known.ndjson" || return
	report --html "$W/known.html" "$W/known.ndjson" || return
	[ "$(stat -c %a "$W/known.html")" = 600 ] || return
	[ "$(head -c 15 "$W/known.html")" = '<!DOCTYPE html>' ] || return
	report --json --heatmap "$W/known.ndjson" >"$W/known.json"
}
makes_part() {
	report -q --html "$W/part.html" --since 1.2 --until 1.6 -m anon "$W/known.ndjson" || return
	report --json --heatmap --since 1.2 --until 1.6 -m anon "$W/known.ndjson" >"$W/part.json"
}
keeps_the_old_one() {
	echo old >"$W/f.html"
	report -q --html "$W/f.html" "$W/known.ndjson" || return
	[ "$(cat "$W/f.html.old")" = old ] || return
	cmp "$W/f.html" "$W/known.html"
}
to_stdout() { report --html - "$W/known.ndjson" | cmp - "$W/known.html"; }
follows_no_link() {
	echo mine >"$W/precious"
	ln -s precious "$W/link.html"
	! report --html "$W/link.html" "$W/known.ndjson" 2>"$W/err" || return
	[ "$(cat "$W/precious")" = mine ] && grep -q 'symbolic links are not followed' "$W/err"
}
# A page that is not whole is not left there.
full_disk() {
	! (ulimit -f 50 && report --html "$W/full.html" "$W/known.ndjson") 2>"$W/err" || return
	grep -q "full.html: File too large" "$W/err" && [ ! -e "$W/full.html" ]
}
# A trace that cannot be read makes no file, and touches none.
no_trace() {
	echo old >"$W/g.html"
	! report --html "$W/g.html" "$W/known.html" 2>/dev/null || return
	[ "$(cat "$W/g.html")" = old ] && [ ! -e "$W/g.html.old" ]
}

judge 'a page is made' makes_file
judge 'a page of a part is made' makes_part
judge 'the old one is kept' keeps_the_old_one
judge 'to standard output' to_stdout
judge 'no link is followed' follows_no_link
judge 'a full disk leaves nothing' full_disk
judge 'what is no trace makes no page' no_trace

# ---- in a browser -----------------------------------------------------------

# A function whose name is markup, in a library whose name is.
hostile() {
	cat >"$W/bad.c" <<-'EOF'
		void f(void) __asm__("</script><img src=x onerror=window.hacked=1;alert(2)>");
		void f(void) { for (volatile int i = 0; i < 9; i++); }
	EOF
	clang -shared -fPIC -O1 -Wl,--build-id -o "$W/<b>bad.so" "$W/bad.c" || return
	traces hostile "$W/hostile.ndjson" "$W/<b>bad.so" \
		"$(readelf -n "$W/<b>bad.so" | sed -n 's/.*Build ID: //p')" \
		"$(nm "$W/<b>bad.so" | sed -n 's/ T <.*//p')" || return
	report -q --html "$W/hostile.html" "$W/hostile.ndjson"
}
real() {
	"$O/tests/target/writer" -t 2 -T 30 >/dev/null 2>&1 &
	target=$!
	# Until the exec it is this shell, and what is recorded of that ends there.
	for _ in {1..200}; do
		[ "$(cat "/proc/$target/comm")" != writer ] || break
		sleep .05
	done
	timeout 60 "$PAGETAP" record -q --engine async --epoch 50 -p "$target" -d 1 -o "$W/real.ndjson" || return
	kill "$target"
	wait "$target" 2>/dev/null
	target=
	report -q --html "$W/real.html" "$W/real.ndjson" || return
	report --json --heatmap "$W/real.ndjson" >"$W/real.json"
}
judge 'a page of hostile names is made' hostile
judge 'a page of a real trace is made' real

timeout 120 python3 -B "$SRC/tests/html/pages.py" "$W" "$@" >"$W/browser" 2>&1
grep -v '^[0-9]* passed' "$W/browser"
sum=$(tail -n 1 "$W/browser")
if [[ $sum =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(, ([0-9]+) skipped)?$ ]]; then
	passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
	skipped=${BASH_REMATCH[4]:-0}
else
	failed=$((failed + 1)) skipped=0
	echo 'FAIL  the browser said nothing'
fi
if [ "$skipped" = 0 ]; then
	echo "$passed passed, $failed failed"
else
	echo "$passed passed, $failed failed, $skipped skipped"
fi
[ "$failed" = 0 ]
