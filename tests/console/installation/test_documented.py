"""docs/operations.md has every setting, and the places that the units have."""

import re
from pathlib import Path

from tests.running import ROOT

DOCUMENTS = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
# For tests and the demo alone.
UNTOLD = {"DEBUG"}


def test_every_setting_is_documented() -> None:
    source = (ROOT / "console" / "settings.py").read_text()
    names = set(re.findall(r'(?:env\.\w+|required)\(\s*"([A-Z_]+)"', source)) - UNTOLD
    assert {"SECRET_KEY", "LISTEN_PORT", "BANDWIDTH_MAX_KBPS"} <= names
    shortened = {f"MAIL_{name}" for name in re.findall(r"`…_([A-Z]+)`", DOCUMENTS)}
    assert not [name for name in sorted(names - shortened) if f"CAUSEWAY_{name}" not in DOCUMENTS]


def test_units_name_the_paths_that_the_page_names() -> None:
    for unit in Path(ROOT / "deploy").glob("*.service"):
        text = unit.read_text()
        for place in ("/etc/causeway/console.env", "/var/lib/causeway/console", "/opt/causeway/console/bin"):
            assert place in text and place in DOCUMENTS
