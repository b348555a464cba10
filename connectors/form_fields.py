"""Form fields and widget attributes that several features use."""

from django import forms

# Text areas that take one value a line.
LINES = {"rows": 4, "spellcheck": "false", "autocapitalize": "off"}


def switch(label: str) -> forms.BooleanField:
    """Make a field that is on unless somebody switches it off; pages draw the field as a switch with a word a side."""
    words = {"on": "Enabled", "off": "Disabled"}
    return forms.BooleanField(label=label, required=False, initial=True, widget=forms.CheckboxInput(words))
