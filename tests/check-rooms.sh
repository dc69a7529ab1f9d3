#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-rooms: every file has its room in ARCHITECTURE.md, and every room its files.
#
# A row of the table there names a folder, or rooms of the folder above it.  A room `x`
# is x.c, x.h and x-*.c, unless another row names these more exactly; `x-*` is a
# pattern, `x/` a folder, `x.proto` one file.  Then a file and a room that nobody knows
# are planted, to see that they would be found.
set -u

cd "$(dirname "$0")/.." || exit 1
. tests/verdict.sh

# homeless TABLE: of the files on standard input those without a row, and rows without a file.
homeless() {
	awk -v table="$1" '
	function regex(glob,    r) {
		r = glob
		gsub(/\./, "[.]", r)
		gsub(/\*/, ".*", r)
		return "^" r "$"
	}
	function basename(path) { sub(/.*\//, "", path); return path }
	# How exactly room i names the file: 0 is not at all.
	function fits(i, path,    base, stem, name) {
		if (substr(path, 1, length(folder[i])) != folder[i])
			return 0
		if (room[i] == "")
			return 1
		name = room[i]
		if (name ~ /\/$/)
			return index(path, folder[i] name) == 1 ? 1000 : 0
		if (substr(path, length(folder[i]) + 1) ~ /\//)
			return 0
		base = stem = basename(path)
		sub(/\..*/, "", stem)
		if (base == name || stem == name)
			return 1000
		if (name ~ /\*/)
			return stem ~ regex(name) ? length(name) : 0
		return index(stem, name "-") == 1 ? length(name) + 1 : 0
	}
	# All between backticks of the first cell; what stands behind them is no name.
	function names(cell,    n, part, i, j, m, word) {
		n = split(cell, part, "`")
		for (i = 2; i <= n; i += 2) {
			m = split(part[i], word, " ")
			for (j = 1; j <= m; j++)
				if (cell !~ /&nbsp;/ && word[j] ~ /\/$/) {
					here = word[j]
					# A folder of which no rooms are named is one.
					folder[++count] = here
					room[count] = ""
					whole[here] = count
				} else {
					folder[++count] = here
					room[count] = word[j]
					if (here in whole)
						folder[whole[here]] = "-"
				}
		}
	}
	BEGIN {
		while ((getline line < table) > 0) {
			if (line ~ /^## /)
				inside = line == "## Rooms"
			if (inside && split(line, cells, "|") > 2)
				names(cells[2])
		}
		if (!count)
			print "no rooms read of " table
	}
	{
		best = 0
		for (i = 1; i <= count; i++) {
			f = fits(i, $0)
			if (f > best) {
				best = f
				row = i
				tie = 0
			} else if (f && f == best)
				tie = i
		}
		if (!best)
			print $0 " belongs to no row"
		else if (tie)
			print $0 " belongs to " room[row] " and to " room[tie]
		else
			used[row] = 1
	}
	END {
		for (i = 1; i <= count; i++)
			if (!(i in used) && folder[i] != "-" && folder[i] ~ /^(include|inject|monitor)\//)
				print "there is nothing in " folder[i] " for " room[i]
	}'
}

files() { find include inject monitor -type f | LC_ALL=C sort; }

judge "$(files | wc -l) files have their rooms in ARCHITECTURE.md" '' "$(files | homeless ARCHITECTURE.md)"

planted=$(mktemp) || exit 1
trap 'rm -f "$planted"' EXIT
trap 'exit 130' INT TERM
known=$(files | homeless ARCHITECTURE.md)
news() { printf '%s\n' "$1" | grep -vxF -- "$known" | grep .; }

judge 'a file of no room is found' 'monitor/watch/attic.c belongs to no row' \
	"$(news "$( (files; echo monitor/watch/attic.c) | homeless ARCHITECTURE.md)")"
sed 's/^| `monitor\/watch\/`.*/&\n| \&nbsp;\&nbsp;`cellar`* | nothing |/' ARCHITECTURE.md >"$planted"
judge 'a room of no file is found' 'there is nothing in monitor/watch/ for cellar' \
	"$(news "$(files | homeless "$planted")")"
sed 's/^| `monitor\/watch\/`.*/&\n| \&nbsp;\&nbsp;`turnstile` | once more |/' ARCHITECTURE.md >"$planted"
judge 'a room that is named twice is found' 'belongs to turnstile and to turnstile' \
	"$(news "$(files | homeless "$planted")" | sed 's/.*belongs/belongs/' | head -n 1)"

verdict
