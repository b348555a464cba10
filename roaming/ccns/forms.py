"""Forms of CCNs. Rules of single fields stand here as well, so that one answer names everything that is wrong."""

import re
from typing import Any

from django import forms

from roaming import rules


class LinesField(forms.CharField):
    """Text area of several entries, one a line or separated by commas; it cleans to a list."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 1000, **kwargs})

    def clean(self, value: Any) -> list[str]:
        return [entry for entry in re.split(r"[\s,]+", super().clean(value)) if entry]


class CCNForm(forms.Form):
    name = forms.CharField(
        max_length=100,
        validators=[rules.CCN_NAME],
        help_text="2–100 characters: a letter first, then letters, digits, “_” or “-”.",
    )
    description = forms.CharField(max_length=256, required=False, validators=[rules.DESCRIPTION])
    networks = LinesField(
        label="Cloud networks",
        required=False,
        help_text="One block a line, such as 172.16.0.0/16. The gateways of the area reach them directly.",
    )


class CloudNetworkForm(forms.Form):
    cidr = forms.CharField(
        label="CIDR block", max_length=18, widget=forms.TextInput(attrs={"placeholder": "172.16.0.0/16"})
    )
