#!/bin/sh
# Format, lint, types, templates, migrations, deployment settings, security, spelling, citations, imports, shape, shell.
# All run, each with the seconds it took; any failure fails, and so does one that cannot run.
set -u
bin=$1
status=0
folders="edge console causeway_console roaming connectors demo tests bench tools manage.py"

step() {
    name=$1
    shift
    began=$(date +%s)
    if output=$("$@" 2>&1); then result=ok; else result=FAILED; fi
    printf '%-6s  %-16s %4d s\n' "$result" "$name" "$(($(date +%s) - began))"
    if [ "$result" = FAILED ]; then
        printf '%s\n' "$output"
        status=1
    fi
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Settings as in production, for the commands that a step hands over; the secret is made up here and used nowhere else.
# shellcheck disable=SC2317 # called through step
production() {
    env -u DJANGO_SETTINGS_MODULE CAUSEWAY_DEBUG=0 CAUSEWAY_ALLOWED_HOSTS=console.example.org \
        CAUSEWAY_PUBLIC_URL=https://console.example.org CAUSEWAY_STATE_DIR="$scratch" \
        CAUSEWAY_SECRET_KEY="$("$bin/python" -c 'import secrets; print(secrets.token_urlsafe(60))')" \
        DATABASE_URL="sqlite:///$scratch/check.sqlite3" "$@"
}

# shellcheck disable=SC2086 # a list of folders
step "format" "$bin/ruff" format --check $folders
# shellcheck disable=SC2086
step "lint" "$bin/ruff" check $folders
step "types" "$bin/mypy"
# What runs on users' machines, as the types see it there: by sys.platform, and by what each system's Python has.
step "types on macOS" "$bin/mypy" --platform darwin --cache-dir .mypy_cache/darwin edge
step "templates" "$bin/djlint" --lint templates
step "migrations" production "$bin/python" manage.py makemigrations --check --dry-run
step "deployment" production "$bin/python" manage.py check --deploy --fail-level WARNING
# Without the tests, which do on purpose what is looked for here.
step "security" "$bin/bandit" --configfile pyproject.toml --quiet --recursive \
    edge console causeway_console roaming connectors demo bench tools manage.py
step "spelling" "$bin/python" -m tools.spelling
step "citations" "$bin/python" -m tools.citations
step "imports" "$bin/lint-imports"
step "shape" "$bin/python" -m tools.shape --limits
if command -v shellcheck >/dev/null 2>&1; then
    # shellcheck disable=SC2046 # one argument per script
    step "shell" shellcheck tools/*.sh .ci/run $(find templates -name '*.sh' 2>/dev/null)
else
    printf 'FAILED  shell: shellcheck is not installed. "sh tools/system.sh check" installs it on Debian, as root.\n'
    status=1
fi
exit $status
