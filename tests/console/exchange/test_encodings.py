"""Encodings: Unicode by itself, older ones only where they are certain or chosen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.core.errors import Invalid
from console.exchange import encodings

GERMAN, FRENCH, RUSSIAN, POLISH, CHINESE = (
    "Größe der Ärztin",
    "père à Genève",
    "Привет, мир",
    "łódź",
    "中文名字",
)


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_unicode_is_known_by_itself(codec: str, text: str) -> None:
    table = f"name,note\r\n{text[:3]}anna,a plain note of some length\r\n"
    data = table.encode(codec)
    if codec == "utf-16-be" or codec == "utf-16-le":
        data = ("name,description,protocol\r\n" * 20 + table).encode(codec)
        table = "name,description,protocol\r\n" * 20 + table
    assert encodings.decode(data)[0].removeprefix("\ufeff") == table.removeprefix("\ufeff")


@pytest.mark.parametrize(
    ("text", "codec", "language"),
    [
        (GERMAN, "cp1252", ""),
        (GERMAN, "cp1252", "zh-CN"),
        (FRENCH, "cp1252", "fr-FR,fr;q=0.9,en;q=0.8"),
        (CHINESE, "gb18030", ""),
        (RUSSIAN, "cp1251", "ru"),
        (POLISH, "cp1250", "pl-PL"),
        ("資訊", "big5hkscs", "zh-TW,zh;q=0.8"),
        ("テスト", "cp932", "ja"),
    ],
)
def test_an_older_encoding_is_read_where_it_is_certain(text: str, codec: str, language: str) -> None:
    assert encodings.decode(f"name\r\n{text}\r\n".encode(codec), language=language) == (
        f"name\r\n{text}\r\n",
        codec,
    )


@pytest.mark.parametrize(
    ("text", "codec", "language"),
    [
        (FRENCH, "cp1252", ""),
        (RUSSIAN, "cp1251", ""),
        (RUSSIAN, "cp1251", "en-US,en;q=0.5"),
        (POLISH, "cp1250", "xx"),
        ("ä\x81", "latin-1", "de"),
    ],
)
def test_what_may_be_something_else_is_refused_and_can_be_chosen(
    text: str, codec: str, language: str
) -> None:
    data = f"name\r\n{text}\r\n".encode(codec)
    with pytest.raises(Invalid, match="encoding of the file is not certain"):
        encodings.decode(data, language=language)
    if codec in encodings.LABELS:
        assert encodings.decode(data, encoding=codec)[0] == f"name\r\n{text}\r\n"


@pytest.mark.parametrize("encoding", encodings.LABELS)
@given(data=st.binary())
def test_no_bytes_break_it(encoding: str, data: bytes) -> None:
    for chosen in ("", encoding):
        try:
            encodings.decode(data, encoding=chosen, language="ja")
        except Invalid as refusal:
            assert refusal.field == "file"
