#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-layers: hold the code to tests/layers.txt.
#
# Reads every .c and .h of include/, inject/ and monitor/; then plants a breach of
# each kind in a copy of the tree, to see that it would be found.
set -u

cd "$(dirname "$0")/.." || exit 1

# breaches DIR [FILE]: one line for each include or word that the rules forbid, in all
# files or in this one.
breaches() {
	(cd "$1" && find include inject monitor -name '*.[ch]' -path "${2:-*}" | LC_ALL=C sort) |
	awk -v top="$1" -v rules=tests/layers.txt '
	# A shell pattern as a regular expression; * does not cross a slash.
	function regex(glob,    r) {
		r = glob
		gsub(/\./, "[.]", r)
		gsub(/\?/, "[^/]", r)
		gsub(/\*/, "[^/]*", r)
		return "^" r "$"
	}
	function matches(path, list,    n, v, i) {
		n = split(list, v, " ")
		for (i = 1; i <= n; i++)
			if (path ~ regex(v[i]))
				return 1
		return 0
	}
	# Comments go, lines stay, so that their numbers are right.
	function strip(line,    out, i) {
		out = ""
		while (line != "") {
			if (comment) {
				i = index(line, "*/")
				if (!i)
					return out
				line = substr(line, i + 2)
				comment = 0
			} else {
				i = index(line, "/*")
				if (!i)
					return out line
				out = out substr(line, 1, i - 1)
				line = substr(line, i + 2)
				comment = 1
			}
		}
		return out
	}
	function exists(path,    l, r) {
		r = (getline l < (top "/" path)) >= 0
		close(top "/" path)
		return r
	}
	function resolve(file, name,    dir) {
		dir = file
		sub(/[^\/]*$/, "", dir)
		if (exists(dir name)) return dir name
		if (exists("include/" name)) return "include/" name
		if (exists("monitor/" name)) return "monitor/" name
		if (exists("inject/" name)) return "inject/" name
		return ""
	}
	function includes(file, line, nr,    name, path, i) {
		name = line
		sub(/^[^"]*"/, "", name)
		sub(/".*$/, "", name)
		path = resolve(file, name)
		if (path == "") {
			print file ":" nr ": no such header: " name
			return
		}
		if (path ~ /^include\//)
			return
		for (i = 1; i <= nmay; i++)
			if (matches(file, may_from[i])) {
				if (!matches(path, may_to[i]))
					print file ":" nr ": may not include " path
				return
			}
		print file ":" nr ": no rule for this file"
	}
	BEGIN {
		while ((getline line < rules) > 0) {
			at = index(line, " : ")
			left = substr(line, 1, at - 1)
			right = substr(line, at + 3)
			if (sub(/^may /, "", left)) {
				may_from[++nmay] = left
				may_to[nmay] = right
			} else if (sub(/^only /, "", left)) {
				# mawk has no \< : say it with what stands before.
				if (sub(/^\\</, "", left))
					left = "(^|[^A-Za-z0-9_])" (left)
				only_word[++nonly] = left
				only_in[nonly] = right
			}
		}
		if (!nmay || !nonly)
			print "no rules read"
	}
	{
		file = $0
		nr = 0
		comment = 0
		while ((getline line < (top "/" file)) > 0) {
			nr++
			line = strip(line)
			if (line ~ /^[ \t]*#[ \t]*include[ \t]*"/)
				includes(file, line, nr)
			for (i = 1; i <= nonly; i++)
				if (line ~ only_word[i] && !matches(file, only_in[i]))
					print file ":" nr ": may not say " only_word[i]
		}
		close(top "/" file)
	}'
}

passed=0 failed=0
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
trap 'exit 130' INT TERM

found=$(breaches .)
files=$(find include inject monitor -name '*.[ch]' | wc -l)
if [ -z "$found" ] && [ "$files" -gt 10 ]; then
	passed=$((passed + 1))
	echo "ok    $files files keep to tests/layers.txt"
else
	failed=$((failed + 1))
	echo "FAIL  of $files files these do not keep to tests/layers.txt:"
	echo "$found"
fi

# plant FILE LINE: the copy of the tree with LINE at the end of FILE must be one breach worse.
plant() {
	rm -rf "$tree/t" && mkdir "$tree/t" && cp -R include inject monitor "$tree/t/"
	printf '%s\n' "$2" >>"$tree/t/$1"
	after=$(breaches "$tree/t" "$1" | grep -c .)
	before=$(printf '%s\n' "$found" | grep -c "^$1:")
	if [ "$after" = $((before + 1)) ]; then
		passed=$((passed + 1))
		echo "ok    found in $1: $2"
	else
		failed=$((failed + 1))
		echo "FAIL  not found in $1: $2"
	fi
}

plant monitor/trace/queue.h '#include "watch/layout.h"'
plant monitor/watch/layout.c '#include "watch/uffd.h"'
plant monitor/watch/space.c '#include "trace/sink.h"'
plant monitor/watch/space.c '#include <linux/userfaultfd.h>'
plant monitor/watch/space.c 'static long f(void) { return ptrace(0, 0, 0, 0); }'
plant monitor/watch/space.c 'static int f(int u) { return ioctl(u, UFFDIO_WAKE); }'
plant monitor/trace/queue.c 'static void f(void) { log_error("x"); }'
plant monitor/trace/queue.c 'static void f(void) { exit(1); }'
plant monitor/options.c '#include "cmd.h"'

# What is said in a comment is no breach.
rm -rf "$tree/t" && mkdir "$tree/t" && cp -R include inject monitor "$tree/t/"
printf '/* exit(1),\n * ptrace(2) */\n' >>"$tree/t/monitor/watch/space.c"
if [ "$(breaches "$tree/t" monitor/watch/space.c)" = \
	"$(printf '%s\n' "$found" | grep '^monitor/watch/space\.c:')" ]; then
	passed=$((passed + 1))
	echo "ok    comments are free"
else
	failed=$((failed + 1))
	echo "FAIL  a comment counts as a breach"
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
