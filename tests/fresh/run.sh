#!/bin/bash
# SPDX-License-Identifier: MIT
#
# fresh: what a newcomer does, on an empty Debian 12.
#
# A minimal system is unpacked by debootstrap into a folder, `make dist` into the home
# of a user there, and that user types what README.md says; then installs, builds a
# program against the library, and uninstalls.  Nothing is given to the system but
# where this one finds its packages.  It is the root of a mount namespace, so that no mount
# outlives its last process, and not a chroot, where the kernel makes no user namespaces;
# nor is it a pid namespace, where the kernel refuses the proc connector.  Needs root and
# a network; half an hour; not part of `make check`.
#
#	bash tests/fresh/run.sh			everything, and nothing is left of it
#	STEPS='demo install' bash ...		these of: demo install plain check
#	T='unit/* live/follow' bash ...		these of the tests only
#	PACKAGES=FOLDER bash ...		packages are kept there for the next run
#	KEEP=FOLDER bash ...			the system is kept there, and used again
set -u

cd "$(dirname "$0")/../.." || exit 1
: "${SUITE:=bookworm}" "${STEPS:=demo install plain check}" "${PACKAGES:=}" "${KEEP:=}" "${T:=}"
complain() { echo "fresh: $1" >&2; echo "hint: $2" >&2; exit 1; }
[ "$(id -u)" = 0 ] || complain 'only root may make a system in a folder' 'sudo make fresh'
command -v debootstrap >/dev/null || complain 'there is no debootstrap' 'apt-get install debootstrap'

# What may be looked into when something has failed.
folder=${KEEP:-$(mktemp -d /var/tmp/fresh.XXXXXX)}
folder=$(mkdir -p "$folder" && cd "$folder" && pwd) || exit 1
root=$folder/root
# What is said at the end goes where it began, whatever is being written just then.
exec 8>&1 9>"$folder/lock"
flock -n 9 || complain "another run uses $folder" 'another KEEP='

# ours: processes that live in the system, which nobody but this run has made.
ours() {
	local p
	for p in /proc/[0-9]*; do
		[ "$p"/root -ef "$root" ] && echo "${p#/proc/}"
	done 2>/dev/null
	return 0
}
end_ours() {
	local p i
	for i in TERM KILL KILL KILL; do
		[ -n "$(ours)" ] || return
		for p in $(ours); do kill -"$i" "$p" 2>/dev/null || :; done
		sleep 1
	done
}
finish() {
	local status=$?
	end_ours
	if [ -n "$KEEP" ]; then
		echo "fresh: kept in $folder" >&8
	elif [ "$status" != 0 ] && [ -e "$root" ]; then
		rm -rf --one-file-system "$root"
		echo "fresh: logs in $folder" >&8
	else
		rm -rf --one-file-system "$folder"
	fi
}
trap finish EXIT
trap 'exit 130' INT TERM

# inside SECONDS USER COMMAND: a line for the shell of that user, in the folder of the sources.
inside() {
	local home=/home/$2 path=/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games
	[ "$2" != root ] || home=/root path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	# In the background, so that a signal to this script takes effect; with job control,
	# or they would ignore SIGINT there.
	set -m
	timeout -k 30 "$1" unshare --mount --propagation private sh -eu -c '
		root=$1 packages=$2
		mount --bind "$root" "$root"
		mount -t proc proc "$root/proc"
		mount --rbind /sys "$root/sys"
		mount --rbind /dev "$root/dev"
		[ -z "$packages" ] || mount --bind "$packages" "$root/var/cache/apt/archives"
		shift 2
		cd "$root"
		pivot_root . mnt
		umount --lazy /mnt
		exec "$@"' - "$root" "$PACKAGES" \
		/usr/bin/setpriv --reuid="$2" --regid="$2" --init-groups \
		/usr/bin/env -i PATH="$path" HOME="$home" USER="$2" LANG=C.UTF-8 \
		sh -euc "[ ! -d ~/pagetap ] || cd ~/pagetap; $3" </dev/null 8>&- 9>&- &
	set +m
	wait $!
}

passed=0 failed=0
good() { passed=$((passed + 1)); echo "ok    $*"; }
bad() { failed=$((failed + 1)); echo "FAIL  $*"; }
# try LOG SECONDS USER COMMAND: succeeds, and nothing of it runs on.
try() {
	local begin=$SECONDS left result=$failed
	log=$folder/$1.log
	if inside "$2" "$3" "$4" >"$log" 2>&1; then
		good "${4%%$'\n'*} ($((SECONDS - begin)) s)"
	else
		bad "${4%%$'\n'*} ($((SECONDS - begin)) s)"
		tail -n 40 "$log" | sed 's/^/      | /'
	fi
	left=$(for p in $(ours); do tr '\0' ' ' <"/proc/$p/cmdline"; echo; done 2>/dev/null)
	[ -z "$left" ] || bad "it runs on: $left"
	end_ours
	[ "$failed" = "$result" ]
}
# says LOG WORDS...: each stands in what was printed.
says() {
	local log=$folder/$1.log word
	shift
	for word; do
		if grep -qE -- "$word" "$log"; then good "it says: $(grep -m 1 -E -- "$word" "$log" | cut -c 1-90)"
		else bad "it does not say: $word"; tail -n 5 "$log" | sed 's/^/      | /'; fi
	done
}
# refused LOG USER COMMAND WORDS...: fails, and says why.
refused() {
	local name=$1
	if inside 120 "$2" "$3" >"$folder/$name.log" 2>&1; then bad "$3 does not fail"
	else good "$3 fails"; fi
	shift 3
	says "$name" "$@"
}
same() {
	if diff "$2" "$3" >"$folder/diff"; then good "$1"
	else bad "$1"; head -n 20 "$folder/diff" | sed 's/^/      | /'; fi
}
size() { du -sxm "$1" | cut -f 1; }

# ---- an empty system -------------------------------------------------------

# where_from: "ADDRESS CODENAME" of Debian's packages, as this machine's apt has them.
where_from() {
	apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' \
		'Origin: Debian' 'Component: main' | grep -E " $SUITE(-updates|-security)?\$" | sort -u
}

make_system() {
	local mirror begin=$SECONDS secure=
	mirror=$(where_from | sed -n "s/ $SUITE\$//p" | head -n 1)
	[ -n "$mirror" ] || complain "this machine's apt knows no mirror of $SUITE" 'apt-get update'
	[ -z "$PACKAGES" ] || { mkdir -p "$PACKAGES/partial" && PACKAGES=$(cd "$PACKAGES" && pwd); }
	if [ ! -e "$root/etc/fresh" ]; then
		mkdir -p "$root"
		case $mirror in https:*) secure=--include=ca-certificates ;; esac
		# shellcheck disable=SC2086
		timeout 900 unshare --mount --propagation private debootstrap --variant=minbase $secure \
			${PACKAGES:+--cache-dir="$PACKAGES"} "$SUITE" "$root" "$mirror" \
			>"$folder/debootstrap.log" 2>&1 ||
			{ tail -n 5 "$folder/debootstrap.log"; complain 'debootstrap failed' "$folder/debootstrap.log"; }
		: >"$root/etc/fresh"
	fi
	where_from | sed 's/^\([^ ]*\) \(.*\)$/deb \1 \2 main/' >"$root/etc/apt/sources.list"
	apt-config dump | grep -E '^Acquire::(https?|Check-|Retries)' >"$root/etc/apt/apt.conf.d/90here" || :
	[ ! -d /usr/local/share/ca-certificates ] ||
		cp -a /usr/local/share/ca-certificates "$root/usr/local/share/"
	cp -L /etc/resolv.conf "$root/etc/resolv.conf"
	printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$(uname -n)" >"$root/etc/hosts"
	good "an empty Debian $(cat "$root/etc/debian_version"): $(size "$root") MB ($((SECONDS - begin)) s)"
}

# A user whose home lets nobody in, as adduser(8) makes it, and who may use sudo.
make_user() {
	inside 60 root 'id newcomer 2>/dev/null || useradd -m -s /bin/bash newcomer
		chmod 700 /home/newcomer
		rm -rf ~newcomer/pagetap' >/dev/null
	mkdir -p "$root/etc/sudoers.d"
	echo 'newcomer ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/newcomer"
	chmod 440 "$root/etc/sudoers.d/newcomer"
}

# ---- the archive -----------------------------------------------------------

unpack() {
	local archive n
	make -s O="$folder/dist" dist >/dev/null || exit 1
	archive=$(echo "$folder"/dist/pagetap-*.tar.gz)
	rm -rf "$folder/again"
	git clone -q . "$folder/again"
	git -C "$folder/again" checkout -q "$(git rev-parse HEAD)"
	(umask 077 && make -s -C "$folder/again" O="$folder/dist2" dist >/dev/null)
	if cmp "$archive" "$folder"/dist2/pagetap-*.tar.gz; then
		good "make dist gives the same bytes in another clone: $(stat -c %s "$archive") bytes"
	else bad 'make dist gives other bytes in another clone'; fi
	tar -tzf "$archive" | sed -n 's|^[^/]*/\(.*[^/]\)$|\1|p' | LC_ALL=C sort >"$folder/dist.list"
	git ls-files | grep -vE '^\.(ci/|git)' | LC_ALL=C sort >"$folder/git.list"
	same "it has the $(wc -l <"$folder/dist.list") files that are committed, without .ci and .git*" \
		"$folder/git.list" "$folder/dist.list"
	mkdir -p "$root/home/newcomer/pagetap"
	tar -xzf "$archive" --no-same-owner -C "$root/home/newcomer/pagetap" --strip-components=1 ||
		exit 1
	inside 60 root 'chown -R newcomer: ~newcomer/pagetap'
	rm -rf "$folder/again" "$folder/dist2"
	n=$root/home/newcomer/pagetap/README.md
	# In README they are a transcript, and this one a few words.
	before=$(grep -oE '`apt install [a-z ]+`' "$n" | head -n 1 | tr -d '`')
	command_of() { sed -nE "s/^\\$ (sudo make deps $1)( +#.*)?\$/\\1/p" "$n" | head -n 1; }
	demo=$(command_of demo) check=$(command_of check)
	[ -n "$before" ] && [ -n "$demo" ] && [ -n "$check" ] ||
		complain 'README.md does not have its two commands any more' "see unpack in $0"
}

# listed FOLDER PATH...: everything in it, name by name and byte by byte, without these.
listed() {
	local but=() path
	for path in "${@:2}"; do but+=(-path "./$path" -o); done
	cd "$1" || return
	find . -xdev \( "${but[@]}" -false \) -prune -o -printf '%p %y %m %u %l\n' | LC_ALL=C sort
	find . -xdev \( "${but[@]}" -false \) -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
}
files() { (listed "$root" home/newcomer/pagetap var/cache tmp proc sys dev run root); }
sources() { (listed "$root/home/newcomer/pagetap" build); }

# ---- what a newcomer does --------------------------------------------------

step_demo() {
	refused make newcomer make 'missing: pkg-config' '^hint: .*sudo make deps'
	refused deps newcomer 'make deps all' 'only root can install .*build-essential' '^hint: sudo make deps all'
	# What was fetched before would do.
	PACKAGES='' refused offline newcomer 'sudo unshare --net make deps all O=/tmp/offline' \
		'^E: ' 'apt-get could not install .*build-essential' '^hint: '
	rm -rf "$root/tmp/offline"
	try demo 900 newcomer "$demo" || return
	says demo ' 0 lost$' 'detached cleanly' '\[heap\] .*faults on'
	# The words under `look:`, with the program where it is.
	try look 60 newcomer "$(sed -n 's|^look: *pagetap \(report [^ ]*\)  .*|build/pagetap \1|p' "$folder/demo.log")"
	echo "      the system has $(size "$root") MB now"
}

step_install() {
	local build='cc -Wall -Werror -o ~/stranger tests/fresh/stranger.c'
	# What `sudo make install` would build first is there already.
	try built 600 newcomer 'sudo make -s all' || return
	files >"$folder/files.before"
	try staged 120 newcomer 'make -s install DESTDIR="$HOME/staged"
		find ~/staged ! -type d -printf "%P\n" | LC_ALL=C sort' || return
	try unstaged 120 newcomer 'make -s uninstall DESTDIR="$HOME/staged"
		find ~/staged ! -type d >~/left
		find ~/staged -type d -empty -printf "%f\n" | grep -vxE "bin|lib|include|man" >>~/left || :
		cat ~/left; [ ! -s ~/left ] && rm -r ~/staged ~/left'
	try install 120 newcomer 'sudo make -s install' || return
	files >"$folder/files.installed"
	diff "$folder/files.before" "$folder/files.installed" | sed -n 's|^> [0-9a-f]\{64\}  \./||p' |
		grep -v '^etc/ld\.so\.cache$' >"$folder/installed.list"
	echo "      $(wc -l <"$folder/installed.list") files, $(cd "$root" && xargs du -ck <"$folder/installed.list" |
		tail -n 1 | cut -f 1) kB"
	try version 60 newcomer 'pagetap --version && sudo pagetap check'
	try shared 60 newcomer "$build \$(pkg-config --cflags --libs pagetap) &&
		ldd ~/stranger | grep /libpagetap && ~/stranger && sudo ~/stranger borrow"
	try static 60 newcomer "$build -static \$(pkg-config --static --cflags --libs pagetap) &&
		! ldd ~/stranger && ~/stranger && sudo ~/stranger borrow"
	rm -f "$root/home/newcomer/stranger"
	try uninstall 120 newcomer 'sudo make -s uninstall' || return
	files >"$folder/files.after"
	same 'uninstall leaves every file and folder as it was before' "$folder/files.before" "$folder/files.after"
}

# Where there is no ncurses.
step_plain() {
	try remove 120 newcomer 'sudo apt-get -qq -y remove libncurses-dev' || return
	refused needs newcomer 'make O=/tmp/plain' 'missing: ncursesw'
	try without 600 newcomer 'make -s deps all O=/tmp/plain WITH_NCURSES=0' || return
	try runs 60 newcomer '! ldd /tmp/plain/pagetap | grep ncurses &&
		sudo /tmp/plain/pagetap demo -d 1 -o /tmp/plain/t.ndjson'
	rm -rf "$root/tmp/plain"
}

step_check() {
	try check 2700 newcomer "$check${T:+ T='$T'}"
	cp -r "$root/home/newcomer/pagetap/build/check" "$folder/"
	sed -n '/^SKIP\|skipped$/p; /^failed:/p; /^in [0-9]* s$/p' "$folder/check.log" | sed 's/^/      /'
	sources >"$folder/sources.after"
	same 'the tests leave the sources as they were unpacked' "$folder/sources.before" "$folder/sources.after"
	echo "      the system has $(size "$root") MB now, of which build/ $(size "$root/home/newcomer/pagetap/build") MB"
	echo "      the last line of the check: $(grep -E "^[0-9]+ passed, " "$folder/check.log" | tail -n 1)"
}

make_system
make_user
unpack
sources >"$folder/sources.before"
inside 300 root 'apt-get -qq update' >"$folder/update.log" 2>&1
try before 300 root "echo y | $before" || exit 1
for step in $STEPS; do "step_$step"; done
echo "in $SECONDS s"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
