#!/bin/sh
# dsign @VERSION@ for @PLATFORM@, as one file: this script, then a gzip-compressed tar of the program.
# The first start unpacks it into the user's cache; every start then runs it from there. To look inside:
#   tail -c +@OFFSET@ dsign | gzip -dc | tar -tvf -
set -eu
umask 077
# the last two are what a developer sets for other programs: they have the runtime load code, or refuse to start
unset CDPATH DENO_V8_FLAGS NODE_OPTIONS

fail() {
	printf 'dsign: %s\n' "$1" >&2
	exit 1
}

uid=$(id -u)

# Whether a folder is a real one and this user's own.
owned() {
	[ -d "$1" ] && [ ! -L "$1" ] || return 1
	ls=$(ls -ldn "$1") || return 1
	# the fields of ls -l: mode, links, owner
	# shellcheck disable=SC2086
	set -f && set -- $ls && set +f
	[ "$3" = "$uid" ] || return 1
	mode=$1
}

# A program is started only out of a folder that nobody else can have filled or can change.
private() {
	owned "$1" || return 1
	case $mode in drwx------*) ;; *) return 1 ;; esac
}

# The user's cache, or where there is no home of this user's own (a service, or root by sudo), the system's place for
# temporary files, in which others can plant things: private() looks.
cache=
case ${XDG_CACHE_HOME:-} in
/*) cache=$XDG_CACHE_HOME ;;
*) case ${HOME:-} in /?*) if [ -d "$HOME" ]; then cache=$HOME/.cache; fi ;; esac ;;
esac
if [ -n "$cache" ] && mkdir -p "$cache" 2>/dev/null && owned "$cache" && [ -w "$cache" ]; then
	base=$cache/dsign
else
	base=${TMPDIR:-/tmp}/dsign-$uid
fi
mkdir "$base" 2>/dev/null || :
private "$base" ||
	fail "$base is not a private folder of yours, so nothing is started from it. Remove it, or set XDG_CACHE_HOME."

dir=$base/@ID@
# the runtime's own cache: compiled code, so that later starts are quick
DENO_DIR=$dir/deno
DENO_NO_UPDATE_CHECK=1
export DENO_DIR DENO_NO_UPDATE_CHECK
# each role gives up the permissions that it does not need as its first act
run="run --quiet --no-config --no-lock --no-npm --no-remote --no-prompt --allow-all"

unpacked=
if [ ! -d "$dir" ]; then
	[ -r "$0" ] || fail "cannot read itself as $0. Start it by its path."
	new=$(mktemp -d "$base/new.XXXXXX") || fail "cannot write to $base."
	trap 'rm -rf "$new"' EXIT
	trap 'exit 1' HUP INT TERM
	# "whole" appears only where gzip found the length and the checksum right
	(tail -c +@OFFSET@ "$0" | gzip -dc && : >"$new/whole") | tar -xof - -C "$new" ||
		fail "cannot unpack into $base. Is the disk full, or this file damaged?"
	[ -f "$new/whole" ] || fail "this file is damaged. Get it again."
	# where another start was quicker, the folder lands inside that one's, to be removed
	mv "$new" "$dir" && rm -rf "${dir:?}/${new##*/}"
	trap - EXIT HUP INT TERM
	unpacked=yes
fi
private "$dir" || fail "$dir is not a private folder of yours, so nothing is started from it. Remove it."

# that it is started now, until it holds its lock: an agent of another version removes what is not in use
echo 2>/dev/null >"$dir/whole" || :

# what `dsign autostart` starts at the next login
case $0 in /*) DSIGN_SELF=$0 ;; *) DSIGN_SELF=$PWD/$0 ;; esac
export DSIGN_SELF
# a driver that crashes must not leave a PIN in a core file
ulimit -c 0 2>/dev/null || :
# reading all code for the first time takes 60 MB that the process keeps: not the agent, which may run for weeks
[ -z "$unpacked" ] || "$dir/dsign" $run "$dir/main.js" --version >/dev/null 2>&1 || :
# an agent waits most of the time, so it keeps little room for garbage, and collects it before it has piled up
# a verification service would look through all its memory several times a second, for buffers that are gone by themselves
case ${1:-agent} in
agent) run="$run --v8-flags=--max-semi-space-size=2,--heap-growing-percent=60" ;;
verify-service) run="$run --v8-flags=--max-semi-space-size=4,--heap-growing-percent=300" ;;
esac
exec "$dir/dsign" $run "$dir/main.js" "$@"
