#!/bin/sh
# Every test, each once a database: what touches one runs on PostgreSQL today and on SQLite under one other day, which
# shows both what relies on the database and what relies on the day. Then real processes, a browser, whole worlds.
# Further arguments go to pytest. All parts run even when one fails; nothing is tried twice.
#
#   tools/test.sh BIN [--quick] [arguments of pytest]
#
# --quick: what starts no process and no browser, on SQLite alone.
set -u
bin=$1
shift
unset DATABASE_URL
quick="not browser and not processes"

if [ "${1:-}" = --quick ]; then
    shift
    exec "$bin/python" -m pytest -q -n 2 -m "$quick" "$@"
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
# All parts run in the order of one seed, so that one number brings a failure back.
case " $* " in
    *" --randomly-seed"* | *" -p no:randomly "*) ;;
    *)
        seed=$("$bin/python" -c 'import secrets; print(secrets.randbelow(2**32))')
        set -- --randomly-seed="$seed" "$@"
        ;;
esac
printf 'Tests: %s\n' "$*"

# Run one part and note whether it ran a test and whether it failed. 5: pytest found no test, which is fine for a part
# when arguments narrow the run.
part() {
    name=$1
    shift
    began=$(date +%s)
    printf '\n== %s\n' "$name"
    "$@"
    code=$?
    printf '== %s: %d s\n' "$name" "$(($(date +%s) - began))"
    [ $code = 5 ] || : >"$scratch/ran"
    [ $code = 0 ] || [ $code = 5 ] || printf '%s\n' "$name" >>"$scratch/failed"
}

# Faults mostly wait, in a network of their own: beside all others, and shown when they are done.
part "Faults" "$bin/python" -m pytest -q -m faults -o cache_dir=.pytest_cache/faults "$@" >"$scratch/faults.log" 2>&1 &
if "$bin/python" -m tests.postgres --available; then
    part "No database" "$bin/python" -m pytest -q -n 2 -m "$quick and not (database or postgres)" "$@"
    part "PostgreSQL" "$bin/python" -m tests.postgres -- \
        "$bin/python" -m pytest -q -n 2 -o cache_dir=.pytest_cache/postgres -m "(database or postgres) and $quick" "$@"
else
    part "SQLite" "$bin/python" -m pytest -q -n 2 -m "$quick" "$@"
fi
part "SQLite, one other day" "$bin/python" -m tests.days --of-today "$@"
# They wait as often as they work: with two workers a third of two cores was idle.
part "Real processes" "$bin/python" -m pytest -q -n 4 --durations=15 -o cache_dir=.pytest_cache/processes \
    -m "processes and not browser and not alone" "$@"
# Apart from the former: Playwright keeps an event loop in the thread in which other tests start theirs.
part "Browser" "$bin/python" -m pytest -q -n 3 -o cache_dir=.pytest_cache/browser -m "browser and not alone" "$@"
wait
cat "$scratch/faults.log"
# Two workers, each with a demo of its own: more of them, or faults beside them, starve one another.
part "Whole worlds" "$bin/python" -m pytest -q -n 2 --dist loadgroup --no-loadscope-reorder --durations=15 \
    -o cache_dir=.pytest_cache/alone -m "alone and not faults" "$@"
if [ -e "$scratch/failed" ]; then
    printf '\nFailed: %s\n' "$(paste -sd, "$scratch/failed")"
    exit 1
fi
[ -e "$scratch/ran" ] || { echo "No test was run."; exit 1; }
printf '\nAll parts passed.\n'
