#!/bin/sh
# Write dist/causeway.cdx.json: what the product installs, as CycloneDX. Console and machines are one list, since one
# package is installed on all; packages of tests alone are not in the list.
set -eu
bin=$1
work=build/sbom
out=dist/causeway.cdx.json
tool=$work/tool/bin
# A place of its own: what makes the list is no part of the list.
if [ ! -x "$tool/cyclonedx-py" ]; then
    "$bin/python" -m venv "$work/tool"
    "$tool/pip" install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0
fi
"$tool/cyclonedx-py" environment --pyproject pyproject.toml --mc-type application --output-reproducible \
    --spec-version 1.6 --output-format JSON --output-file "$work/environment.json" "$bin/python"
mkdir -p dist
"$bin/python" -m tools.sbom "$work/environment.json" "$out"
"$tool/python" - "$out" <<'END'
import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(pathlib.Path(sys.argv[1]).read_text())
sys.exit(f"The document is no CycloneDX 1.6: {wrong}" if wrong else 0)
END
