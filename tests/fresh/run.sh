#!/bin/bash
# SPDX-License-Identifier: MIT
#
# fresh: the two commands of the README in an empty Debian 12.
#
# A minimal system is unpacked by debootstrap into a folder, `make dist` into that,
# and both commands run in a chroot of it, in a mount namespace of their own; not in a
# pid namespace, where the kernel refuses the proc connector.  The mirror is the one
# this machine's apt uses.  Needs root and a network; takes some minutes; not part of
# `make check`.
#
#	bash tests/fresh/run.sh [FOLDER]		FOLDER is kept and used again
#	T='unit/* live/follow' bash tests/fresh/run.sh	these of the tests only
set -eu

cd "$(dirname "$0")/../.."
: "${O:=build}" "${SUITE:=bookworm}"
command -v debootstrap >/dev/null || apt-get install -y -q --no-install-recommends debootstrap >/dev/null

keep=${1:-}
folder=${keep:-$(mktemp -d /var/tmp/fresh.XXXXXX)}
root=$folder/root
finish() {
	# The namespace has gone with its last process; nothing is mounted here any more.
	[ -n "$keep" ] || rm -rf --one-file-system "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $SUITE" |
	grep -v security | sort -u | head -n 1)
[ -n "$mirror" ] || { echo "fresh: this machine's apt knows no mirror of $SUITE" >&2; exit 1; }

if [ ! -e "$root/etc/debian_version" ]; then
	mkdir -p "$root"
	# make and ca-certificates: what the README takes for granted.
	timeout 900 debootstrap --variant=minbase --include=make,ca-certificates,sudo \
		"$SUITE" "$root" "$mirror" >"$folder/debootstrap.log" 2>&1 ||
		{ tail -n 5 "$folder/debootstrap.log"; exit 1; }
fi
# The same sources, keys and proxies as here.
rm -rf "$root/etc/apt/sources.list" "$root/etc/apt/sources.list.d" "$root/etc/apt/apt.conf.d"
for f in sources.list sources.list.d apt.conf.d apt.conf auth.conf.d trusted.gpg.d; do
	[ ! -e "/etc/apt/$f" ] || cp -a "/etc/apt/$f" "$root/etc/apt/"
done
[ ! -d /usr/local/share/ca-certificates ] ||
	cp -a /usr/local/share/ca-certificates "$root/usr/local/share/"
cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
cp -L /etc/hosts "$root/etc/hosts" 2>/dev/null || true

make -s O="$folder/dist" dist >/dev/null
rm -rf "$root/src"
mkdir "$root/src"
tar -xzf "$folder"/dist/pagetap-*.tar.gz -C "$root/src" --strip-components=1

# inside SECONDS COMMAND: in the chroot, with /proc, /sys, /dev and /tmp of its own.  Its
# root is a mount, for only of a mount the propagation can be changed, which every
# unshare(1) and some tests do first.
inside() {
	timeout -k 30 "$1" unshare --mount sh -c "
		mount --make-rprivate /
		mount --bind '$root' '$root'
		mount -t proc proc '$root/proc'
		mount -t sysfs sys '$root/sys'
		mount --rbind /dev '$root/dev'
		mount -t tmpfs tmp '$root/tmp'
		exec chroot '$root' env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CI=${CI:-false} \
			${http_proxy:+http_proxy=$http_proxy} ${https_proxy:+https_proxy=$https_proxy} \
			sh -c 'update-ca-certificates >/dev/null 2>&1; cd /src && $2'"
}

passed=0 failed=0
try() {
	local log=$folder/$1.log begin=$SECONDS
	echo "fresh: $3"
	if inside "$2" "$3" >"$log" 2>&1; then
		passed=$((passed + 1))
		echo "ok    $3 ($((SECONDS - begin)) s): $(tail -n 1 "$log")"
	else
		failed=$((failed + 1))
		echo "FAIL  $3 ($((SECONDS - begin)) s)"
		tail -n 40 "$log"
	fi
}

try demo 900 'sudo make deps demo'
for word in faults writes lost; do
	grep -qi "$word" "$folder/demo.log" || { failed=$((failed + 1)); echo "FAIL  the demo says nothing of $word"; }
done
try check 2400 "sudo make deps check${T:+ T=\"$T\"}"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
