#!/bin/sh
# SPDX-License-Identifier: MIT
#
# get-criu: a CRIU to restore with, put aside in a folder; nothing is installed.
#
#	sh tests/restore/get-criu.sh FOLDER	FOLDER/criu is the program
#
# The one of Debian 12 (3.17) does not start on kernels of today: its parasite knows
# nothing of their vDSO.  So it comes, with the libraries it was built for, from the
# release after that, by the mirror and the keys that this machine's apt uses.  apt is
# given a world of its own, in which nothing is installed: then it fetches everything
# that the program needs, and the loader in the package starts it with just that.
set -eu

: "${SUITE:=trixie}" "${CRIU_VERSION:=4.1.1}"
[ $# = 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
complain() { echo "get-criu: $*" >&2; exit 1; }

version_of() { "$1" --version 2>/dev/null | sed -n 's/^Version: //p'; }

mkdir -p "$(dirname "$1")"
folder=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
[ "$(version_of "$folder/criu")" != "$CRIU_VERSION" ] || exit 0

own=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' \
	"Codename: $own" 2>/dev/null | grep -v security | head -n 1)
[ -n "$mirror" ] || complain "this machine's apt knows no mirror of Debian; apt-get update?"

# What was half done does not count: it gets its name when it runs.
fresh=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$fresh"
world=$fresh/apt
mkdir -p "$world/lists/partial" "$world/archives/partial" "$world/empty" "$fresh/root"
: >"$world/status"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] $mirror $SUITE main" >"$world/sources"
cat >"$world/conf" <<-END
	Dir::Etc::SourceList "$world/sources";
	Dir::Etc::SourceParts "$world/empty";
	Dir::Etc::Preferences "$world/none";
	Dir::Etc::PreferencesParts "$world/empty";
	Dir::State::Lists "$world/lists";
	Dir::State::Status "$world/status";
	Dir::Cache "$world";
	Dir::Cache::Archives "$world/archives";
	APT::Install-Recommends "false";
	APT::Sandbox::User "root";
	Acquire::Languages "none";
	Acquire::Retries "3";
END
fetch() {
	APT_CONFIG=$world/conf timeout 300 apt-get -q "$@" >"$world/log" 2>&1 ||
		{ tail -n 5 "$world/log" >&2; complain "apt-get $1 failed"; }
}
fetch update
fetch install -y --download-only criu

for package in "$world"/archives/*.deb; do
	case ${package##*/} in python3* | libpython* | perl* | iptables_* | nftables_*) continue ;; esac
	dpkg -x "$package" "$fresh/root"
done
rm -rf "$world"
(cd "$fresh/root" && rm -rf etc usr/share)
loader=$(cd "$fresh" && find root -name 'ld-linux*.so.*' | head -n 1)
libraries=$(cd "$fresh" && find root -name libc.so.6 -printf '%h\n' | head -n 1)
program=$(cd "$fresh" && find root -type f -path '*/sbin/criu')
[ -n "$loader" ] && [ -n "$libraries" ] && [ -n "$program" ] || complain "the packages have no criu"

# Plugins would be looked for where the package would have been installed.
cat >"$fresh/criu" <<-END
	#!/bin/sh
	here=\$(dirname "\$(readlink -f "\$0")")
	exec "\$here/$loader" --library-path "\$here/$libraries:\$here/$libraries/criu" "\$here/$program" "\$@"
END
chmod 755 "$fresh/criu"
found=$(version_of "$fresh/criu")
[ "$found" = "$CRIU_VERSION" ] || complain "$SUITE has CRIU ${found:-that does not start}, not $CRIU_VERSION"
rm -rf "$folder"
mv "$fresh" "$folder"
