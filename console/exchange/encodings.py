"""Bytes of a table turned into text: Unicode is known by itself, an older encoding taken only where it is certain."""

import codecs
import re
from collections.abc import Sequence

from django.utils.translation.trans_real import parse_accept_lang_header

from console.core.errors import Invalid

WESTERN, CENTRAL, CYRILLIC, CHINESE = "cp1252", "cp1250", "cp1251", "gb18030"
LABELS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    WESTERN: "Windows-1252 (Western Europe)",
    CENTRAL: "Windows-1250 (Central Europe)",
    CYRILLIC: "Windows-1251 (Cyrillic)",
    "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)",
    "cp1257": "Windows-1257 (Baltic)",
    CHINESE: "GB 18030 (Chinese, simplified)",
    "big5hkscs": "Big5 (Chinese, traditional)",
    "cp932": "Shift JIS (Japanese)",
    "cp949": "Windows-949 (Korean)",
}
CHOICES = [("", "As the file says, or as it is certain"), *LABELS.items()]
# Language → encoding that programs of Windows use in that language.
_OF_LANGUAGE = {
    encoding: languages.split()
    for encoding, languages in {
        WESTERN: "de en fr es it pt nl da sv nb nn no fi is ca gl eu af id ms sw",
        CENTRAL: "pl cs sk hu sl hr bs sq ro",
        CYRILLIC: "ru uk be bg mk sr kk",
        "cp1253": "el",
        "cp1254": "tr az",
        "cp1257": "et lv lt",
        CHINESE: "zh zh-cn zh-sg zh-hans",
        "big5hkscs": "zh-tw zh-hk zh-hant",
        "cp932": "ja",
        "cp949": "ko",
    }.items()
}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig", "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "utf-16"),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16"),
)
_HIGH = re.compile(rb"[\x80-\xff]+")
# What stands beyond ASCII in a word of Europe: a letter with an accent, seldom two, or signs.
_EUROPEAN = re.compile(r"[^\W\d_]|[^\W\d_ªº]{2}|[–—«»“”„‘’§°€…\u00a0]{1,2}")
_UNSURE = (
    "The encoding of the file is not certain: it is neither UTF-8 nor UTF-16. "
    "Save the file as “CSV UTF-8”, or choose its encoding below."
)


def decode(data: bytes, *, encoding: str = "", language: str = "") -> tuple[str, str]:
    """Return the text and the name of its encoding, one of ``LABELS``. Raises ``Invalid`` for what is not certain.

    ``encoding``: what a person chose; "" to find out. ``language``: the header Accept-Language of the sender.
    """
    for mark, codec, name in _BOMS:
        if data.startswith(mark):
            return _decoded(data, codec, name)
    if encoding:
        return _decoded(data, encoding, encoding)
    if codec := _utf_16_without_mark(data):
        return _decoded(data, codec, "utf-16")
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        pass
    for name in _certain(data, language):
        try:
            return data.decode(name), name
        except UnicodeDecodeError:
            continue
    raise Invalid(_UNSURE, field="file")


def _decoded(data: bytes, codec: str, name: str) -> tuple[str, str]:
    try:
        return data.decode(codec), name
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Invalid(
            f"The file is not text in {LABELS[name]}: line {line} has bytes that mean nothing there.",
            field="file",
        ) from error


def _utf_16_without_mark(data: bytes) -> str:
    """Return the codec of text whose every second byte is nearly always 0, as in UTF-16 without a byte order mark."""
    first, second = data[0:2000:2], data[1:2000:2]
    half = max(1, len(second)) * 0.7
    if second.count(0) > half and first.count(0) < half / 10:
        return "utf-16-le"
    return "utf-16-be" if first.count(0) > half and second.count(0) < half / 10 else ""


def _certain(data: bytes, language: str) -> Sequence[str]:
    """Return the older encodings that can be meant, the certain one alone."""
    runs = _HIGH.findall(data)
    if _is_the_same_everywhere(data, runs):
        return [WESTERN]
    if all(len(run) % 2 == 0 and _is_common_chinese(run) for run in runs):
        return [CHINESE]
    spoken = spoken_language(language)
    found = [
        name for name, languages in _OF_LANGUAGE.items() if {spoken, spoken.partition("-")[0]} & {*languages}
    ]
    exact = [name for name in found if spoken in _OF_LANGUAGE[name]]
    return [name for name in exact or found if _looks_right(data, runs, name)][:1]


def _is_the_same_everywhere(data: bytes, runs: list[bytes]) -> bool:
    """Tell whether Western, Central European, Turkish and Baltic encodings agree on the text, and words come out."""
    texts = {name: b"".join(runs).decode(name, "replace") for name in (WESTERN, CENTRAL, "cp1254", "cp1257")}
    return len(set(texts.values())) == 1 and _looks_right(data, runs, WESTERN)


def _is_common_chinese(run: bytes) -> bool:
    """Tell whether bytes are of the 3,755 characters that are most used, or of Chinese punctuation."""
    pairs = zip(run[::2], run[1::2], strict=True)
    return all((0xB0 <= lead <= 0xD7 or lead in (0xA1, 0xA3)) and trail >= 0xA1 for lead, trail in pairs)


def _looks_right(data: bytes, runs: list[bytes], name: str) -> bool:
    """Tell whether text in an encoding can be what a person wrote."""
    try:
        data.decode(name)
    except UnicodeDecodeError:
        return False
    if not name.startswith("cp125"):
        return True
    words = [run.decode(name) for run in runs]
    if name in (CYRILLIC, "cp1253"):
        script = "\u0370-\u03ff" if name == "cp1253" else "\u0400-\u04ff"
        return all(re.fullmatch(rf"[{script}–—«»“”„’№§°€…\u00a0]+", word) for word in words)
    # Two capitals side by side may as well be a Chinese character.
    return all(_EUROPEAN.fullmatch(word) and not (len(word) == 2 and word.isupper()) for word in words)


def spoken_language(header: str) -> str:
    """Return the language that a browser's header Accept-Language wants first, in lower case; "" without one."""
    found = [language for language, _ in parse_accept_lang_header(header[:200]) if language != "*"]
    return found[0] if found else ""
