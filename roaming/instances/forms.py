"""Forms of instances. Rules of single fields stand here as well, so that one answer names everything that is wrong."""

from typing import Any

from django import forms

from console.models import Area, Region
from roaming import rules
from roaming.ccns.forms import LinesField
from roaming.ccns.models import CCN


class NetworkFields(forms.Form):
    """Fields of an instance's network: private blocks, DNS, and a CCN that can only be one of ``area``."""

    cidrs = LinesField(
        label="Private CIDR blocks",
        required=False,
        help_text="One block a line, such as 10.0.0.0/24. Clients get their addresses from these blocks.",
    )
    ccn = forms.ModelChoiceField(
        CCN.objects.none(),
        label="CCN",
        required=False,
        empty_label="None",
        help_text="A CCN of the instance's area.",
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
        self.fields["ccn"].queryset = CCN.objects.filter(area=area).order_by("name__fold")  # type: ignore[attr-defined]

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
        label="Client accounts",
        initial=10,
        validators=rules.QUOTA,
        help_text="How many client accounts the instance may have.",
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
