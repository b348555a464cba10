#!/bin/sh
# Write requirements-test.lock: the exact versions that `make test` and `make demo` install, as a constraints file, so
# that one file serves every system and Python version. It holds names and versions only: no index, host or path.
set -eu
bin=$1
out=requirements-test.lock
"$bin/pip-compile" --quiet --upgrade --extra console --extra test --strip-extras --no-header \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
    --output-file "$out.new" pyproject.toml
{
    echo "# Written by \`make lock\` from pyproject.toml; used as a constraints file (pip install -c)."
    grep -v '^--' "$out.new"
} > "$out"
rm "$out.new"
