"""Text as people compare it: upper and lower case, accents and composed letters make no difference, on both databases.

``fold`` is the rule. SQLite calls the function itself for text beyond ASCII, PostgreSQL computes the same by its own
functions (`tests/console/core/test_folding.py` compares letter by letter). ``name__folded=word`` finds rows whose name
holds the word, ``order_by("name__fold")`` sorts by the rule. Uniqueness of names goes by the text as written.
"""

import re
import unicodedata
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import Lookup, Transform

# Accents and other marks above and below letters; signs that make another letter, as in Hindi or Japanese, are kept.
_RANGES = r"[\u0300-\u036F\u1AB0-\u1AFF\u1DC0-\u1DFF\u20D0-\u20FF\uFE20-\uFE2F]"
_MARKS = re.compile(_RANGES)
# Letters that Unicode does not take apart, and what people type for them.
_ONE = {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "ŧ": "t", "ς": "σ"}
_TWO = {"ß": "ss", "æ": "ae", "œ": "oe", "þ": "th"}
_LETTERS = str.maketrans(_ONE | _TWO)


def fold(text: str) -> str:
    """Return the form in which equal texts are the same, and texts sort as a person expects."""
    if text.isascii():
        return text.lower()
    return _MARKS.sub("", unicodedata.normalize("NFKD", text)).lower().translate(_LETTERS)


def provide(connection: Any, **kwargs: Any) -> None:
    """Give a new connection to SQLite the function; a receiver of Django's signal ``connection_created``."""
    if connection.vendor == "sqlite":
        connection.connection.create_function(
            "causeway_fold", 1, lambda text: None if text is None else fold(str(text)), deterministic=True
        )


def _on_sqlite(text: str) -> str:
    """Write the rule for SQLite; text in ASCII, nearly all of it, does not leave the database."""
    is_ascii = f"length({text}) = length(CAST({text} AS BLOB))"
    return f"CASE WHEN {is_ascii} THEN lower({text}) ELSE causeway_fold({text}) END"


def _on_postgresql(text: str) -> str:
    """Write the rule for PostgreSQL; the order is that of the letters' numbers, whatever the database's locale."""
    bare = f"regexp_replace(normalize({text}, NFKD), '{_RANGES}', '', 'g')"
    folded = f"translate(lower({bare} COLLATE \"und-x-icu\"), '{''.join(_ONE)}', '{''.join(_ONE.values())}')"
    for letter, written in _TWO.items():
        folded = f"replace({folded}, '{letter}', '{written}')"
    is_ascii = f"octet_length({text}) = char_length({text})"
    # The collation for small letters must not reach the other branch, hence the second one around it.
    return f'CASE WHEN {is_ascii} THEN lower({text} COLLATE "C") ELSE {folded} COLLATE "C" END'


class Fold(Transform):
    """The rule as SQL."""

    lookup_name = "fold"

    def as_sql(  # type: ignore[override]  # no template is asked for
        self, compiler: Any, connection: Any, **extra: Any
    ) -> tuple[str, Any]:
        text, parameters = compiler.compile(self.lhs)
        sql = _on_postgresql(text) if connection.vendor == "postgresql" else _on_sqlite(text)
        times = sql.count(text) if parameters else 0
        return sql, [*parameters] * times


class Folded(Lookup):
    """Whether the text holds a word."""

    lookup_name = "folded"

    def get_prep_lookup(self) -> str:
        return fold(str(self.rhs))

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        text, parameters = compiler.compile(Fold(self.lhs))
        word, of_word = self.process_rhs(compiler, connection)
        place = "STRPOS" if connection.vendor == "postgresql" else "INSTR"
        return f"{place}({text}, {word}) > 0", [*parameters, *of_word]


for _kind in (models.CharField, models.TextField):
    _kind.register_lookup(Fold)
    _kind.register_lookup(Folded)


def _text_field(model: type[models.Model] | None, path: str) -> Any:
    """Return the field to which a path such as ``connector__name`` leads; None unless people write text there."""
    field: Any = None
    for name in path.split("__"):
        if model is None:
            return None
        try:
            field = model._meta.pk if name == "pk" else model._meta.get_field(name)
        except FieldDoesNotExist:
            return None
        model = field.related_model
    is_text = isinstance(field, models.CharField | models.TextField)
    return field if is_text and not field.choices else None


def looked_for(model: type[models.Model], path: str) -> str:
    """Return the condition that finds a word in a field: by the rule in text, else as Django compares."""
    return f"{path}__folded" if _text_field(model, path) else f"{path}__icontains"


def sorted_by(model: type[models.Model], name: str) -> str:
    """Return a name for ``order_by``: by the rule where the field is text that people write, and no key of ours."""
    field = _text_field(model, name.removeprefix("-"))
    return name if field is None or field.primary_key or field.db_index else f"{name}__fold"
