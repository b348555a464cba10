"""Forms of client accounts. Rules of single fields stand here as well, so that one answer names all that is wrong."""

from typing import Any

from django import forms
from django.conf import settings

from roaming import rules


class AccountForm(forms.Form):
    username = forms.CharField(
        label="User name",
        max_length=33,
        required=False,
        validators=[rules.USERNAME],
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="7–33 letters, digits, “_”, “@”, “.” or “-”. Blank: the e-mail address.",
    )
    email = forms.CharField(
        label="E-mail",
        max_length=64,
        validators=[rules.EMAIL],
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    password = forms.CharField(
        max_length=32,
        required=False,
        strip=False,
        validators=[rules.PASSWORD],
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="8–32 letters, digits, “_”, “@”, “.” or “-”. Blank: one is made and shown once.",
    )
    bandwidth_kbps = forms.IntegerField(
        label="Bandwidth (kbit/s)",
        initial=2000,
        validators=rules.BANDWIDTH,
        help_text=f"1–{settings.BANDWIDTH_MAX_KBPS:,}.",
    )
    static_ip = forms.GenericIPAddressField(
        label="Static client IP",
        protocol="ipv4",
        required=False,
        help_text="Inside the instance's CIDR blocks. Leave blank to lease an address at each log-on.",
    )


class AccountEditForm(forms.Form):
    email = AccountForm.base_fields["email"]
    bandwidth_kbps = AccountForm.base_fields["bandwidth_kbps"]


class PasswordForm(forms.Form):
    """Choice between a random password and one that the operator gives, which only then must be filled in."""

    how = forms.ChoiceField(
        label="New password",
        choices=(("random", "Random"), ("custom", "Custom")),
        initial="random",
        widget=forms.RadioSelect,
    )
    password = forms.CharField(
        label="Custom password",
        max_length=32,
        required=False,
        strip=False,
        validators=[rules.PASSWORD],
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="8–32 letters, digits, “_”, “@”, “.” or “-”, a letter or digit first.",
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("how") == "random":
            # Text that was typed before the choice changed is dropped, right or wrong.
            self.errors.pop("password", None)
            data["password"] = ""
        elif not data.get("password") and "password" not in self.errors:
            self.add_error("password", "Give the custom password, or choose a random one.")
        return data
