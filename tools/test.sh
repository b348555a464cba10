#!/bin/sh
# Every test on SQLite, then those that touch the database again on PostgreSQL. All parts run even when one fails.
# Further arguments go to pytest.
set -u
bin=$1
shift
unset DATABASE_URL
status=0
ran=0

# A test of real processes may lose against a busy machine. What failed is tried once more, alone, and the run says so;
# what fails twice has failed.
part() {
    printf '\n== %s\n' "$1"
    shift
    "$@"
    code=$?
    if [ $code = 1 ]; then
        printf '\n== Once more, what failed (it should be looked at even if it passes now)\n'
        "$@" --last-failed --last-failed-no-failures none
        code=$?
        [ $code = 5 ] && code=1
    fi
    # 5: no test was selected. That is fine for one part when arguments narrow the run.
    [ $code = 5 ] || ran=1
    [ $code = 0 ] || [ $code = 5 ] || status=1
}

part "SQLite, in parallel" "$bin/python" -m pytest -q -n 2 -m "not browser and not processes" "$@"

# Tests of the real data plane and of the browser fill a core each: one at a time. Those of faults mostly wait, in a
# network of their own: beside the others, with what they say kept until those are done.
faults=$(mktemp)
(
    part "Faults" "$bin/python" -m pytest -q -m faults -o cache_dir=.pytest_cache/faults "$@" >"$faults" 2>&1
    exit $((status * 2 + ran))
) &
beside=$!
part "Browser and real processes, one at a time" \
    "$bin/python" -m pytest -q --durations=15 -m "(browser or processes) and not faults" "$@"
wait $beside
beside=$?
cat "$faults"
rm -f "$faults"
[ $beside -lt 2 ] || status=1
[ $((beside % 2)) = 0 ] || ran=1
if "$bin/python" -m tests.postgres --available; then
    part "PostgreSQL" "$bin/python" -m tests.postgres -- \
        "$bin/python" -m pytest -q -n 2 -m "(database or postgres) and not browser and not processes" "$@"
fi
[ $ran = 1 ] || { echo "No test was run."; status=1; }
exit $status
