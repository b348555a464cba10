#!/bin/sh
# Makes this machine a {{ kind }} of the console that served this file, or upgrades, uninstalls or packs the logs of one.
# Safe to run again: what is there already is kept.
# Context: kind (connector or gateway), console_url, wheel_url, wheel_name, wheel_sha256.
set -eu

KIND='{{ kind }}'
CONSOLE='{{ console_url }}'
WHEEL_URL='{{ wheel_url }}'
WHEEL_NAME='{{ wheel_name }}'
WHEEL_SHA256='{{ wheel_sha256 }}'
UNIT="causeway-$KIND"
UNIT_FILE="/etc/systemd/system/$UNIT.service"
SERVICE_USER=causeway
NEEDED_MIB=500

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

# With a service the program lies apart from the folder that the service may write.
choose_places() {
    if [ "$foreground" = no ] && is_root && [ -d /run/systemd/system ]; then
        service=yes program="/opt/causeway/$KIND"
    else
        service=no program="$home/program"
    fi
    causeway="$program/bin/causeway"
}

find_python() {
    for name in python3.14 python3.13 python3.12 python3.11 python3; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            python="$(command -v "$name")"
            say "Using $("$python" --version) at $python."
            return
        fi
    done
    fail "Python 3.11 or newer with venv is needed. Debian, Ubuntu: apt-get install python3 python3-venv.
Fedora, RHEL: dnf install python3.11. macOS: brew install python@3.12."
}

# Before anything is downloaded: the packages take about this much, Envoy most of it.
check_disk() {
    folder="$program"
    while [ ! -d "$folder" ]; do folder="$(dirname "$folder")"; done
    free="$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }')"
    [ "$free" -ge "$NEEDED_MIB" ] ||
        fail "$folder has $free MiB free; $NEEDED_MIB are needed. Free some space, or give another folder with --home."
}

download() {
    say "Downloading $WHEEL_NAME from $CONSOLE."
    if command -v curl >/dev/null 2>&1; then
        curl -fsSL -o "$2" "$1" || fail "$1 could not be downloaded. Check the way to the console."
    elif command -v wget >/dev/null 2>&1; then
        wget -q -O "$2" "$1" || fail "$1 could not be downloaded. Check the way to the console."
    else
        fail "curl or wget is needed."
    fi
}

install_program() {
    if [ -x "$causeway" ] && [ "$(cat "$program/wheel.sha256" 2>/dev/null)" = "$WHEEL_SHA256" ]; then
        say "$WHEEL_NAME is installed already."
        return
    fi
    scratch="$(mktemp -d)"
    trap 'rm -rf "$scratch"' EXIT
    download "$WHEEL_URL" "$scratch/$WHEEL_NAME"
    found="$("$python" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' \
        "$scratch/$WHEEL_NAME")"
    [ "$found" = "$WHEEL_SHA256" ] || fail "The checksum of $WHEEL_NAME is wrong: $found. Nothing was installed."
    say "The checksum is right. Installing into $program."
    mkdir -p "$program"
    [ -x "$program/bin/python" ] || "$python" -m venv "$program"
    "$program/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "$scratch/$WHEEL_NAME" ||
        fail "The packages could not be installed. The machine must reach a Python package index (see pip config)."
    # pip keeps what has the same version number, though the console may have built it anew.
    "$program/bin/python" -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps \
        "$scratch/$WHEEL_NAME"
    say "$WHEEL_SHA256" >"$program/wheel.sha256"
    rm -rf "$scratch"
    trap - EXIT
}

# Clock, open files, names and the way to the console; each finding that hinders comes with its fix.
check_machine() {
    say "Checking this machine."
    "$causeway" check --console "$CONSOLE" --home "$home" ||
        fail "Put right what is marked 'error', then run the same command again. The code is still good."
}

# After enrolment the gateways are known. One that does not answer now is dialled as soon as it does.
check_ways() {
    [ "$KIND" = gateway ] || "$causeway" check --home "$home" | grep -A 1 ' gateway ' || true
}

# The code goes by the environment: arguments can be read by every user of the machine.
enroll() {
    if [ -f "$home/identity.json" ]; then
        say "This machine is enrolled already; its identity is kept."
        return
    fi
    say "Enrolling with $CONSOLE."
    CAUSEWAY_CODE="$code" "$causeway" "$KIND" enroll --console "$CONSOLE" --home "$home" ||
        fail "This machine was not enrolled. A code works once and for an hour: make a new one in the Deploy panel."
}

install_service() {
    if ! id "$SERVICE_USER" >/dev/null 2>&1; then
        say "Adding the user $SERVICE_USER, who may do nothing else."
        useradd --system --no-create-home --shell /usr/sbin/nologin "$SERVICE_USER"
    fi
    chown -R "$SERVICE_USER" "$home"
    chmod 700 "$home"
    capabilities=''
    [ "$KIND" = connector ] || capabilities=CAP_NET_BIND_SERVICE
    protect_home=yes
    case "$home" in /home/* | /root/*) protect_home=no ;; esac
    say "Installing the service $UNIT."
    cat >"$UNIT_FILE" <<EOF
[Unit]
Description=Causeway $KIND
Wants=network-online.target
After=network-online.target

[Service]
User=$SERVICE_USER
ExecStart="$causeway" $KIND run --home "$home"
Restart=always
RestartSec=2
TimeoutStopSec=15
# A killed agent leaves Envoy and its flows alone; the next one adopts it.
KillMode=process
LimitNOFILE=1048576
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths="$home"
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
UMask=0077

[Install]
WantedBy=multi-user.target
EOF
    systemctl daemon-reload
    systemctl enable --quiet "$UNIT"
    systemctl restart "$UNIT"
    say "Running. Look at it with: systemctl status $UNIT"
}

# What systemd would do: the agent keeps Envoy running, this keeps the agent running, until it is told to stop.
supervise() {
    say "Running in the foreground; Ctrl-C ends it."
    stopping=no
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
        if [ "$ended" -eq 3 ]; then
            say "The $KIND is running already; it is left as it is."
            return
        fi
        if [ "$stopping" = yes ] || [ "$ended" -eq 0 ]; then return; fi
        # Somebody else took it away.
        [ -f "$home/identity.json" ] || return
        say "It ended with code $ended; starting it again in 2 seconds."
        sleep 2
    done
}

install() {
    [ -f "$home/identity.json" ] || [ -n "$code" ] ||
        fail "A code is needed: copy the whole command from the console's Deploy panel."
    find_python
    check_disk
    install_program
    [ -f "$home/identity.json" ] || check_machine
    enroll
    check_ways
    if [ "$service" = yes ]; then
        install_service
    else
        supervise
    fi
}

upgrade() {
    [ -x "$causeway" ] || fail "Nothing is installed in $program. Run the deployment command first."
    find_python
    check_disk
    install_program
    say "Now $("$causeway" --version)."
    if [ "$service" = yes ] && [ -f "$UNIT_FILE" ]; then
        systemctl restart "$UNIT"
        say "The service was restarted."
    else
        say "Start the $KIND again to use it."
    fi
}

uninstall() {
    if [ "$service" = yes ] && [ -f "$UNIT_FILE" ]; then
        say "Stopping and removing the service $UNIT."
        systemctl disable --now --quiet "$UNIT"
        rm -f "$UNIT_FILE"
        systemctl daemon-reload
    fi
    if [ -x "$causeway" ] && [ -f "$home/identity.json" ]; then
        "$causeway" "$KIND" uninstall --yes --home "$home"
    fi
    say "Removing $program."
    rm -rf "$program"
    rmdir "$home" 2>/dev/null || true
    if [ "$service" = yes ]; then
        rmdir /opt/causeway /var/lib/causeway 2>/dev/null || true
        # The other kind may live here as well.
        if id "$SERVICE_USER" >/dev/null 2>&1 && ! ls /etc/systemd/system/causeway-*.service >/dev/null 2>&1; then
            say "Removing the user $SERVICE_USER."
            userdel "$SERVICE_USER"
        fi
    fi
    say "Done."
}

export_logs() {
    [ -x "$causeway" ] || fail "Nothing is installed in $program."
    archive="causeway-logs-$(date +%Y%m%d-%H%M%S).tar.gz"
    # systemd keeps the agent's log; elsewhere it went to the terminal.
    if [ "$service" = yes ]; then
        journalctl --unit "$UNIT" --no-pager --since '-7 days' >"$home/agent.log" 2>/dev/null || true
    fi
    "$causeway" "$KIND" export-logs --home "$home" --output "$archive"
    rm -f "$home/agent.log"
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
