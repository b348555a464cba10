#!/bin/sh
# A bare machine: build a minimal Debian 12 with python3, make and certificates only, clone what is committed here into
# it, and run there what the README promises: `make demo` with a page fetched through a gateway, then `make check` and
# `make test`.
#
#   tools/fresh.sh [--only-demo] [--test "ARGS of make test"] [--keep]
#   tools/fresh.sh --newcomer      # two bare machines instead, on which docs/operations.md is followed
#
# Needs root on Debian. Network and kernel are this machine's; files, processes and mounts are the bare machine's own,
# so that all of them are gone when this ends, however it ends. The packages come from where this machine has its own.
# shellcheck disable=SC2046,SC2086,SC2317 # functions are called through traps and `step`; words are meant to split
set -eu

SUITE=bookworm
stop() { printf '%s\n' "$*" >&2; exit 1; }

tests='' with_tests=yes keep='' newcomer=''
while [ $# -gt 0 ]; do
    case $1 in
        --only-demo) with_tests='' ;;
        --test) [ $# -gt 1 ] || stop "--test needs the arguments for make test"; tests=$2; shift ;;
        --keep) keep=yes ;;
        --newcomer) newcomer=yes ;;
        *) stop "usage: $0 [--only-demo | --newcomer] [--test \"ARGS of make test\"] [--keep]" ;;
    esac
    shift
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    stop "make fresh builds a Debian inside this machine: run it as root on Debian or a system made of it."
fi

here=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d "${TMPDIR:-/var/tmp}/causeway-fresh.XXXXXX")
chmod 755 "$folder" # apt downloads as a user of its own
root=$folder/root log=$folder/log child='' doing=''

clean_up() {
    trap '' INT TERM HUP
    if [ -n "$doing" ]; then [ ! -s "$log" ] || tail -n 60 "$log"; echo "FAILED, or stopped: $doing"; fi
    if [ -n "$child" ]; then
        # With the first process of the bare machine all others go, and unshare ends when they are gone.
        kill -KILL $(cat "/proc/$child/task/$child/children") 2>/dev/null || kill -KILL "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    if [ -n "$keep" ]; then
        echo "The bare machine's files are kept: $root, with the log beside it. Remove them: rm -r $folder"
    else
        rm -rf --one-file-system "$folder"
    fi
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Mounts and processes of a command's own: with unshare all of them are gone.
own="unshare --mount --propagation private --pid --fork --kill-child"
# Run a command so that a signal ends this script at once; what runs beside a shell would ignore Ctrl-C itself.
beside() {
    env --default-signal=INT,QUIT "$@" </dev/null &
    child=$!
    code=0
    wait "$child" || code=$?
    child=''
    return $code
}

# Run a step with its words in the log, and say how long it took; where a step fails, the traps end everything.
step() {
    doing=$1 begun=$(date +%s)
    shift
    "$@" >"$log" 2>&1
    printf '%5d s  %s\n' "$(($(date +%s) - begun))" "$doing"
    doing=''
}

# Install what this machine needs. Ctrl-C waits until apt-get is done: half an installation is worse than a late end.
tools() {
    apt-get update -qq
    for package in mmdebstrap git; do
        command -v "$package" >/dev/null 2>&1 || apt-get install -y -qq --no-install-recommends "$package"
    done
}

# Say what Debian's packages come from here; a machine of another suite has the same mirrors for this one.
sources() {
    # shellcheck source=/dev/null
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-$SUITE}")
    # shellcheck disable=SC2016 # apt puts them in
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
        sed "s/ $suite/ $SUITE/" | sort -u
}

# $1: packages; then further options of mmdebstrap.
bare_root() {
    included=$1
    shift
    sources >"$folder/sources.list"
    [ -s "$folder/sources.list" ] || echo "deb http://deb.debian.org/debian $SUITE main" >"$folder/sources.list"
    # Copy how packages are fetched here: proxies and the like, and whom this machine trusts.
    apt-config dump | grep -E '^Acquire::(http|https|ftp|Check|Retries|ForceIP)' >"$folder/apt.conf" || true
    trusted="/etc/apt/keyrings /etc/apt/trusted.gpg.d /usr/local/share/ca-certificates"
    beside $own --mount-proc mmdebstrap --quiet --mode=root --variant=apt --include="$included" "$@" \
        --aptopt="$folder/apt.conf" \
        --setup-hook="for each in $trusted; do mkdir -p \$1\$each; [ ! -d \$each ] || cp -r \$each/. \$1\$each; done" \
        "$SUITE" "$root" "$folder/sources.list"
    cp /etc/hosts "$root/etc/hosts"
}

# Copy pip's settings, as far as these lie in files, and the files and folders that the settings name.
pip_settings() {
    for file in /etc/pip.conf /etc/xdg/pip/pip.conf "$HOME/.pip/pip.conf" "$HOME/.config/pip/pip.conf" "${PIP_CONFIG_FILE:-}"; do
        [ -f "$file" ] || continue
        inside=$file
        case $file in "$HOME"/*) inside=/root/${file#"$HOME"/} ;; esac
        mkdir -p "$root$(dirname "$inside")"
        cp "$file" "$root$inside"
        cat "$file"
    done >"$folder/pip"
    env | grep '^PIP_' >>"$folder/pip" || true
    : >"$folder/binds"
    grep -oE '(file://)?/[^ ,;"]+' "$folder/pip" | sed 's,^file://,,' | sort -u | while read -r path; do
        # An index of wheels on this disk may point at folders beside its own.
        case $path in */simple | */simple/) path=$(dirname "$path") ;; esac
        [ ! -e "$path" ] || [ -e "$root$path" ] || echo "$path" >>"$folder/binds"
    done
}

clone() {
    git clone --quiet --no-hardlinks "$here" "$root/root/causeway"
    git -C "$root/root/causeway" remote remove origin
}

# Make the bare machine's mounts and take the place of this machine's root: not by chroot alone, in which no program
# may make namespaces of users. $1: the root; $2: the list of what is bound; then a script for process 1 and its words.
# shellcheck disable=SC2016
ENTER='
root=$1 binds=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
for each in /sys /dev; do mount --rbind "$each" "$root$each"; done
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -m 1777 "$root/run/lock"
while read -r each; do
    if [ -d "$each" ]; then mkdir -p "$root$each"; else mkdir -p "$root${each%/*}" && touch "$root$each"; fi
    mount --bind -o ro "$each" "$root$each"
done <"$binds"
cd "$root"
mount --move . /
exec chroot . sh -euc "$@"
'
# Process 1: runs the command, names processes that live on for more than five seconds, and fails for them.
# shellcheck disable=SC2016
FIRST='
cd /root/causeway
code=0 tries=0
"$@" || code=$?
while left="" && for each in /proc/[0-9]*; do
    [ "$each" = /proc/1 ] || { read -r name <"$each/comm" && left="$left $name"; } 2>/dev/null || true
done && [ -n "$left" ] && [ $tries -lt 25 ]; do sleep 0.2; tries=$((tries + 1)); done
[ -z "$left" ] || { echo "still alive after $*:$left"; code=1; }
exit $code
'

in_machine() {
    # The environment that root has, and what says where packages come from.
    set -- HOME=/root LOGNAME=root USER=root SHELL=/bin/sh "TERM=${TERM:-dumb}" \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        $own --ipc --uts sh -euc "$ENTER" enter "$root" "$folder/binds" "$FIRST" first "$@"
    for name in $(env | grep -oiE '^(PIP_[A-Z_]+|(http|https|ftp|all|no)_proxy)='); do
        set -- "$name$(printenv "${name%=}")" "$@"
    done
    beside -i "$@"
}

packages() { dpkg-query --admindir="$root/var/lib/dpkg" -W -f '.\n' | wc -l; }

changed=$(git -C "$here" status --porcelain 2>/dev/null | wc -l || true)
[ "$changed" = 0 ] || echo "$changed files here are not committed as they are: the bare machine gets the last commit."
all=$(date +%s)
step "tools of this machine" tools
page=docs/operations.md
if [ -n "$newcomer" ]; then
    # Fetched beforehand, and unpacked by the page's own commands: the two machines have no network but their own.
    wanted=$(sed -n 's/^apt-get install --yes //p' "$here/$page" | tr ' ' '\n' | sort -u | tr '\n' ' ')
    step "a bare Debian ($SUITE) with systemd" bare_root systemd-sysv,ca-certificates,procps,passwd \
        --skip=cleanup/apt/lists,cleanup/apt/cache \
        --customize-hook="chroot \$1 apt-get install --yes --download-only $wanted"
    begun=$(date +%s) code=0
    doing="docs/operations.md on two bare machines"
    env CAUSEWAY_BARE_ROOT="$root" "$here/.venv/bin/python" -m pytest -q -s "$here/tests/e2e/test_systemd_newcomer.py" || code=$?
    printf '%5d s  %s: exit code %d\n' "$(($(date +%s) - begun))" "$doing" "$code"
    doing=''
    exit $code
fi
step "a bare Debian ($SUITE): python3, make, ca-certificates" bare_root python3,make,ca-certificates
bare=$(packages)
step "pip's settings" pip_settings
step "clone of $(git -C "$here" rev-parse --short HEAD)" clone
step "make demo: ready, the wiki through a gateway, Ctrl-C" in_machine python3 tools/fresh_demo.py
demo_packages=$(packages)
sed -n '/ ready$/,$p' "$log"
status=0
if [ -n "$with_tests" ]; then
    for target in check test; do
        begun=$(date +%s) doing="make $target $tests" code=0
        : >"$log"
        in_machine make "$target" "ARGS=$tests" || code=$?
        printf '%5d s  make %s: exit code %d\n' "$(($(date +%s) - begun))" "$target" "$code"
        [ $code = 0 ] || status=$code
        doing=''
    done
fi
echo "Debian packages: $bare bare, $demo_packages with the demo, $(packages) in the end. $(($(date +%s) - all)) s in all."
if [ $status = 0 ]; then echo "fresh: good"; else echo "fresh: FAILED"; fi
exit $status
