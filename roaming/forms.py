"""Forms of this app's panels. Rules of single fields stand here as well, so that all that is wrong is said at once."""

import re
from typing import Any

from django import forms
from django.conf import settings

from console.models import Area, Region
from roaming.models import CCN, rules


class LinesField(forms.CharField):
    """Several entries, one a line; commas separate too. Cleans to a list."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 1000, **kwargs})

    def clean(self, value: Any) -> list[str]:
        return [entry for entry in re.split(r"[\s,]+", super().clean(value)) if entry]


class NetworkFields(forms.Form):
    """CCN, private blocks and DNS of an instance in ``area``."""

    cidrs = LinesField(
        label="Private CIDR blocks",
        required=False,
        help_text="One block a line, such as 10.0.0.0/24. Clients get their addresses from them.",
    )
    ccn = forms.ModelChoiceField(
        CCN.objects.none(), label="CCN", required=False, empty_label="None", help_text="One of the same area."
    )
    new_ccn = forms.CharField(
        label="Or create a CCN",
        max_length=100,
        required=False,
        validators=[rules.CCN_NAME],
        help_text="Its name: 2–100 characters, a letter first, then letters, digits, “_” or “-”.",
    )
    dns1 = forms.GenericIPAddressField(label="DNS server", protocol="ipv4", required=False)
    dns2 = forms.GenericIPAddressField(label="Standby DNS server", protocol="ipv4", required=False)

    def __init__(self, *args: Any, area: Area, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["ccn"].queryset = CCN.objects.filter(area=area).order_by("name")  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("new_ccn") and data.get("ccn") and "ccn" in self.changed_data:
            self.add_error("new_ccn", "Choose a CCN or name a new one, not both.")
        return data


class InstanceForm(NetworkFields):
    region = forms.ModelChoiceField(Region.objects.none(), empty_label=None)
    name = forms.CharField(
        label="Instance name",
        max_length=128,
        validators=[rules.INSTANCE_NAME],
        help_text="2–128 characters: a letter first, then letters, digits, “.”, “_” or “-”.",
    )
    description = forms.CharField(max_length=256, required=False, validators=[rules.DESCRIPTION])
    account_quota = forms.IntegerField(
        label="Client accounts", initial=10, validators=rules.QUOTA, help_text="How many may be created."
    )

    field_order = (
        "region",
        "name",
        "description",
        "account_quota",
        "cidrs",
        "ccn",
        "new_ccn",
        "dns1",
        "dns2",
    )

    def __init__(self, *args: Any, area: Area, **kwargs: Any) -> None:
        super().__init__(*args, area=area, **kwargs)
        self.fields["region"].queryset = Region.objects.filter(area=area)  # type: ignore[attr-defined]


class InstanceEditForm(forms.Form):
    name = InstanceForm.base_fields["name"]
    description = InstanceForm.base_fields["description"]
    account_quota = InstanceForm.base_fields["account_quota"]


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
        help_text="Inside the instance's CIDR blocks. Blank: leased at each log-on.",
    )


class AccountEditForm(forms.Form):
    email = AccountForm.base_fields["email"]
    bandwidth_kbps = AccountForm.base_fields["bandwidth_kbps"]


class PasswordForm(forms.Form):
    """How a password is reset: by a random one, or by one that the operator gives."""

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
            # Whatever was typed before the choice changed does not matter.
            self.errors.pop("password", None)
            data["password"] = ""
        elif not data.get("password") and "password" not in self.errors:
            self.add_error("password", "Give the custom password, or choose a random one.")
        return data


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
