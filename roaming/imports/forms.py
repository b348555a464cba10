"""Form of an upload: a file of client accounts, or its pasted lines."""

from django import forms

from console.core.errors import Invalid
from console.exchange.form_fields import encoding_field, file_field
from roaming.imports import lines as import_lines


class ImportForm(forms.Form):
    file = file_field(import_lines.SHEET, required=False)
    encoding = encoding_field()
    text = forms.CharField(
        label="Or paste the lines",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "autocomplete": "off"}),
        help_text="The first line names the columns.",
    )

    def content(self) -> bytes | str:
        """Return the uploaded file or the pasted text. Raises ``Invalid`` unless exactly one was given."""
        file, text = self.cleaned_data["file"], self.cleaned_data["text"]
        if bool(file) == bool(text.strip()):
            raise Invalid("Choose a CSV file or paste its lines, not both.", field="file")
        if not file:
            return text
        return file.read(import_lines.SHEET.most_bytes + 1)
