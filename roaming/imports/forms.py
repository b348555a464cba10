"""Form of an upload: a file of client accounts, or its pasted lines."""

from django import forms

from console.core.errors import Invalid
from roaming.imports import lines as import_lines


class ImportForm(forms.Form):
    file = forms.FileField(
        label="CSV file",
        required=False,
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
        help_text=f"UTF-8, at most 4 MB and {import_lines.MOST_LINES:,} accounts.",
    )
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
        if file.size > import_lines.MOST_BYTES:
            raise Invalid("The file is larger than 4 MB. Split it.", field="file")
        return file.read()
