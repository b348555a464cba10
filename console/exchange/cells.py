"""Cells of a table: text that no spreadsheet runs or rewrites, the way back, and what spreadsheets make of values.

A text that a spreadsheet would run as a formula, or take for a number, a date or a truth value and write in another
way, gets an apostrophe in front. Spreadsheets take such a cell for text and save the cell as it is.
"""

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from console.core.errors import Invalid

# Beginnings that a spreadsheet takes for a formula, also in the wide form of East Asia.
# https://owasp.org/www-community/attacks/CSV_Injection
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
MARK = "'"
# Truth values as spreadsheets of other languages write them.
TRUE = re.compile(
    "true|wahr|vrai|verdadero|vero|verdadeiro|waar|sand|sant|sann|tosi|prawda|pravda|igaz|adevărat|doğru|истина|"
    "αληθησ|αληθής|真|是|참",
    re.I,
)
FALSE = re.compile(
    "false|falsch|faux|falso|onwaar|falsk|usant|usann|epätosi|fałsz|nepravda|hamis|fals|yanlış|ложь|ψευδησ|ψευδής|"
    "假|否|거짓",
    re.I,
)
# Digits with what stands between them in numbers, dates, times, sums of money and shares of a hundred.
_NUMERIC = re.compile(r"[\d.,:/'’%$€£¥ \u00a0\u202fEe+-]+(?:[ap]m?)?", re.I)
_DIGIT = re.compile(r"\d")
# Whole numbers that stay what they are everywhere: without a leading zero, and short enough to be kept exactly; and
# ranges of large ones, which are no date.
_SAFE_NUMBER = re.compile(r"0|[1-9]\d{0,10}|[1-9]\d{3,4}-[1-9]\d{3,4}")
# Addresses and blocks; where all numbers but the first have three digits, points may be taken for those of thousands.
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?")
_THOUSANDS = re.compile(r"\d{1,3}(?:\.\d{3})+")
_MONTHS = (
    "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mrz|mai|okt|dez|fév|avr|juin|juil|aoû|déc|ene|abr|ago|dic|"
    "gen|mag|giu|lug|set|ott|fev|out|mrt|mei|maa|maj|avg|янв|фев|мар|апр|май|июн|июл|авг|сен|окт|ноя|дек"
)
_MONTH = rf"(?:{_MONTHS})[^\W\d]*\.?"
_DATE = re.compile(
    rf"\d{{1,4}}[./ -]*{_MONTH}(?:[./ -]*\d{{1,4}})?|{_MONTH}[./ -]*\d{{1,4}}(?:[,./ -]+\d{{1,4}})?", re.I
)
_NUMBERED_DATE = re.compile(r"\d{1,4}([./-])\d{1,2}\1(?:\d{1,4})?")
# Long digits as spreadsheets shorten them, and what stands in a cell whose formula failed or which is too narrow.
_SHORTENED = re.compile(r"-?\d(?:[.,]\d+)?E[+-]\d{2,3}")
_FAILED = re.compile(r"#+|#[A-Z0/]{1,10}[!?]|#N/A")
# Characters that nobody sees; at the ends of a cell they mean nothing.
_UNSEEN = "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_AROUND = re.compile(rf"^[\s{_UNSEEN}]+|[\s{_UNSEEN}]+$")


def is_rewritten(text: str) -> bool:
    """Tell whether a spreadsheet, of any language, may run the text or save another text in its place."""
    if text.startswith((*FORMULA, MARK)):
        return not text.startswith(MARK)
    if any(each.fullmatch(text) for each in (TRUE, FALSE, _DATE, _FAILED)):
        return True
    if not (_DIGIT.search(text) and _NUMERIC.fullmatch(text)) or _SAFE_NUMBER.fullmatch(text):
        return False
    return _ADDRESS.fullmatch(text) is None or _THOUSANDS.fullmatch(text) is not None


def cell(value: Any, decimal: str = ".") -> str:
    """Write a value as text; text that a spreadsheet would rewrite gets an apostrophe. ``decimal``: of fractions."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float | Decimal):
        return str(value).replace(".", decimal)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if isinstance(value, list | tuple):
        value = "; ".join(map(str, value))
    text = str(value)
    return MARK + text if is_rewritten(text.lstrip(MARK)) else text


def uncell(text: str) -> str:
    """Return the text that ``cell`` wrote."""
    return text[1:] if text.startswith(MARK) and is_rewritten(text.lstrip(MARK)) else text


def cleaned(text: str) -> str:
    """Return a cell of a file without spaces and unseen characters at its ends, and without the apostrophe."""
    return uncell(_AROUND.sub("", text))


def spoilt(text: str) -> str:
    """Say what a spreadsheet did to a cell so that its value is lost; "" for a cell that still has its value."""
    bare = text.strip()
    if _SHORTENED.fullmatch(bare):
        return f"“{bare[:40]}” is a number that a spreadsheet shortened. Make the column text, and enter the number."
    if _FAILED.fullmatch(bare):
        return f"“{bare[:40]}” stands for an error of a spreadsheet. Enter the value."
    return ""


def is_date(text: str) -> bool:
    """Tell whether a text is a date, as spreadsheets make one of 8-10."""
    return bool(_DATE.fullmatch(text) or _NUMBERED_DATE.fullmatch(text))


def truth(text: str, true: Iterable[str] = (), false: Iterable[str] = ()) -> bool | None:
    """Read a truth value, also as spreadsheets of other languages write one; None for what is none."""
    word = text.casefold()
    if TRUE.fullmatch(text) or word in true or word in ("1", "yes", "on"):
        return True
    return False if FALSE.fullmatch(text) or word in false or word in ("0", "no", "off") else None


_GROUPED = re.compile(r"\d{1,3}([.,'’ \u00a0\u202f])\d{3}(?:\1\d{3})*(?:(?!\1)[.,]0{1,2})?")
_LONE_GROUP = re.compile(r"\d{1,3}[.,]\d{3}")


def whole(text: str) -> int:
    """Read a whole number, also one that a spreadsheet wrote as 2000.0 or 2.000,00. Raises ``Invalid``."""
    if _LONE_GROUP.fullmatch(text):
        bare, other = re.sub(r"[.,]", "", text), re.split(r"[.,]", text)[0]
        raise Invalid(
            f"“{text}” may mean {bare} or {other}. Write the number in digits alone, such as {bare}."
        )
    if _GROUPED.fullmatch(text):
        text = re.sub(r"[.,]0{1,2}$", "", text) if re.search(r"[.,]0{1,2}$", text) else text
        text = re.sub(r"\D", "", text)
    text = re.sub(r"[.,]0{1,2}$", "", text)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid(f"“{visible(text[:40])}” is no whole number. Write digits alone, such as 2000.")
    return int(text)


def visible(text: str) -> str:
    """Show characters that nobody sees by their numbers, so that a sentence about a cell can be understood."""
    return "".join(
        f"[U+{ord(each):04X}]" if unicodedata.category(each) in ("Cf", "Cc") and each != "\n" else each
        for each in text
    )
