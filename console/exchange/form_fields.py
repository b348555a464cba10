"""Fields of a form that takes a table in."""

from typing import Any

from django import forms

from console.exchange import encodings
from console.exchange.reading import Sheet


def file_field(sheet: Sheet, **more: Any) -> forms.FileField:
    """Make the field of the file, with the limits of the sheet."""
    accepted = {"accept": ".csv,.txt,.tsv,text/csv,text/plain"}
    return forms.FileField(
        label="CSV file", help_text=sheet.limits, widget=forms.FileInput(attrs=accepted), **more
    )


def encoding_field() -> forms.ChoiceField:
    """Make the field in which a person names the encoding of a file that does not tell it."""
    return forms.ChoiceField(
        label="Encoding",
        choices=encodings.CHOICES,
        required=False,
        help_text="UTF-8 and UTF-16 are known by themselves. Choose one only when the names in a file come out wrong.",
    )
