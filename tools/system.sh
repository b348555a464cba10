#!/bin/sh
# Install what the virtual environment cannot bring: a fitting Python, Chromium, PostgreSQL, a few programs.
# Root on Debian gets the programs installed; others are told what is missing and what to do about it.
#
#   tools/system.sh venv PYTHON DIR    tools/system.sh test|check|bench
set -eu

say() { printf '%s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

can_install() { [ "$(id -u)" = 0 ] && have apt-get; }

updated=
# Install Debian packages without starting the services they bring: nothing here needs them running.
install() {
    say "Installing with apt-get: $*"
    policy=/usr/sbin/policy-rc.d ours=
    if [ ! -e "$policy" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
        trap 'exit 130' INT TERM
    fi
    export DEBIAN_FRONTEND=noninteractive
    [ -n "$updated" ] || apt-get update -qq || say "apt-get update failed; trying with the lists that are there."
    updated=yes
    if apt-get install -y -qq --no-install-recommends "$@" >/dev/null; then
        result=0
    else
        result=1
        say "apt-get could not install: $*"
    fi
    [ -z "$ours" ] || { rm -f "$policy"; trap - EXIT INT TERM; }
    return $result
}

# Print the packages whose program is missing; arguments are program=package.
missing_packages() {
    for pair in "$@"; do
        have "${pair%%=*}" || [ -x "/usr/sbin/${pair%%=*}" ] || printf '%s ' "${pair#*=}"
    done
}

have_chromium() {
    for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
        have "$name" && return 0
    done
    for app in "Google Chrome" Chromium; do
        [ -x "/Applications/$app.app/Contents/MacOS/$app" ] && return 0
        [ -x "$HOME/Applications/$app.app/Contents/MacOS/$app" ] && return 0
    done
    return 1
}

have_postgres() {
    have initdb && return 0
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

# True for a Python that pyenv compiled as it does unless told otherwise: without optimisations, half as slow again.
slow() {
    "$1" -c 'import sys, sysconfig
optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
sys.exit("/.pyenv/versions/" not in sys.base_prefix or optimised)'
}

make_venv() {
    python=$1 dir=$2 system=/usr/bin/python3
    if [ "$python" = python3 ] && have python3 && slow python3 && [ -x $system ] &&
        $system -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        say "Taking $system, since pyenv compiled its Python without optimisations. Another one: make PYTHON=$(command -v python3)"
        python=$system
    fi
    have "$python" || stop "Python is missing: $python was not found. Install Python 3.11 or newer, or name one: make PYTHON=python3.12"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        stop "Python 3.11 or newer is needed; $python is $("$python" --version 2>&1). Name a newer one: make PYTHON=python3.12"
    # Debian keeps what makes virtual environments in a package of its own.
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        if can_install; then install "$package"; else stop "Python's venv module is missing. On Debian: apt-get install $package"; fi
    fi
    "$python" -m venv "$dir"
}

for_tests() {
    packages=$(missing_packages curl=curl git=git nc=netcat-openbsd openssl=openssl redis-cli=redis-tools redis-server=redis-server shellcheck=shellcheck ssh=openssh-client)
    # Programs for faults, and for machines to deploy on; other systems than Linux leave those tests out.
    packages="$packages $(missing_packages ip=iproute2 mount=mount nft=nftables pgrep=procps tcpdump=tcpdump)"
    packages="$packages $(missing_packages systemd-nspawn=systemd-container)"
    # A library of the tests' own sets their clocks.
    have cc || packages="$packages gcc libc6-dev"
    # Where systemd runs, openssh-server would serve from the next start on, which the owner has to decide.
    [ -d /run/systemd/system ] || packages="$packages $(missing_packages sshd=openssh-server)"
    without_browser=${CAUSEWAY_TEST_WITHOUT_BROWSER:-}
    [ -n "$without_browser" ] || have_chromium || packages="$packages chromium"
    have_postgres || packages="$packages postgresql"
    # Tests run in other time zones too.
    [ -e /usr/share/zoneinfo/Asia/Kathmandu ] || packages="$packages tzdata"
    if can_install; then
        # shellcheck disable=SC2086 # a list of packages
        set -- $packages
        # All at once is quicker; without one package the others are still wanted.
        [ $# = 0 ] || install "$@" || for package in "$@"; do install "$package" || true; done
    fi
    [ -n "$without_browser" ] || have_chromium || stop "\
The browser tests need Chromium or Chrome, and none was found. Install one (on Debian: apt-get install chromium),
or leave the browser tests out: CAUSEWAY_TEST_WITHOUT_BROWSER=1 make test"
    watches=/proc/sys/fs/inotify/max_user_instances
    # Every Envoy watches its files: two demos beside each other, with machines that are deployed, need more than 128.
    if [ -w "$watches" ] && [ "$(cat "$watches")" -lt 512 ] && echo 512 2>/dev/null > "$watches"; then
        say "Raised fs.inotify.max_user_instances to 512, until the next start of this machine."
    fi
}

for_check() {
    packages=$(missing_packages git=git shellcheck=shellcheck)
    if can_install; then
        for package in $packages; do install "$package" || true; done
    fi
}

for_bench() {
    packages=$(missing_packages ssh=openssh-client sshd=openssh-server)
    if can_install && [ ! -d /run/systemd/system ]; then  # as for the tests
        for package in $packages; do install "$package" || true; done
    fi
}

case ${1:-} in
    venv) make_venv "$2" "$3" ;;
    test) for_tests ;;
    check) for_check ;;
    bench) for_bench ;;
    *) stop "usage: $0 venv PYTHON DIR | test | check | bench" ;;
esac
