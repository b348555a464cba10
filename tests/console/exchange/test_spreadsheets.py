"""A real spreadsheet opens what was exported and saves it, in several languages, and the import reads the same values.

LibreOffice is no part of `make test`: without ``soffice`` these tests are skipped.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from console.exchange import reading, writing

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed"),
]
SHEET = reading.Sheet("things", ("name", "note", "number"), ("name",), most_rows=100, most_bytes=1_000_000)
NAMES = [
    "anna", "=1+1", "+49 30 1234", "@x", "-", "007", "12345678901234567890", "1.10", "1,5", "8-10", "1/2",
    "1:30", "1E5", "50%", "5 €", "TRUE", "wahr", "faux", "2026-11-29", "29.11.2026", "3 Mar", "MARCH1",
    "mai-26", "10.100.100.100", "10.0.0.5", "443", "80; 443", "8000-8010", "#NAME?", "Ärzte", "中文", 'quo"te',
    "a;b,c\td|e", "'apostrophe", "''two", "two\nlines", "0", "1'000", "1 000", "1.000", "31.12.", "Q1", "1st",
    "12h", "0x10", "1e-3", ".5", "5.", "1-1-1", "1..2", "O’Brien", "2026-11-29T12:00:00+00:00", "10:00 AM",
    "Jan", "Montag", "sunday", "1,000,000", "NULL", "nan", "inf", "1d", "1f",
]  # fmt: skip
# Language → the numbers of LibreOffice for the language, and for the delimiter that is written there.
LANGUAGES = {
    "en-US": (1033, 44),
    "de-DE": (1031, 59),
    "fr-FR": (1036, 59),
    "zh-CN": (2052, 44),
    "pl-PL": (1045, 59),
}


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_was_exported_is_saved_and_comes_back(language: str, tmp_path: Path) -> None:
    number, delimiter = LANGUAGES[language]
    rows = [(name, f"note {name}", str(place)) for place, name in enumerate(NAMES)]
    dialect = writing.Dialect(chr(delimiter), "," if delimiter == 59 else ".")
    exported, saved = tmp_path / "in" / "things.csv", tmp_path / "out"
    exported.parent.mkdir()
    exported.write_text("".join(writing.lines(SHEET.columns, rows, dialect)), "utf-8", newline="")
    options = f"{delimiter},34,76,1,,{number},false,true"
    command = ["soffice", "--headless", f"-env:UserInstallation=file://{tmp_path}/profile"]
    command += [f"--infilter=Text - txt - csv (StarCalc):{options}"]
    command += [
        "--convert-to",
        f"csv:Text - txt - csv (StarCalc):{options}",
        "--outdir",
        str(saved),
        str(exported),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr
    table = reading.read((saved / "things.csv").read_bytes(), SHEET)
    assert [(row.cells["name"], row.cells["note"], row.cells["number"]) for row in table.rows] == rows
    assert not [row for row in table.rows if row.problems]
