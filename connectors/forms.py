"""What people fill in. The rules are the services'; a form only turns text into values and says which line is wrong."""

from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError

from connectors.account_fields import LINES, AccountsField, PickingForm, RulesField
from connectors.addresses import AddressInvalid, parse_addresses, parse_ports
from connectors.models import Application, Connector, Tag, UserGroup
from connectors.models.policies import PRIORITY_SENTENCE
from console.models import Region

SWITCH = {"on": "Enabled", "off": "Disabled"}
MINUTES_SENTENCE = "Minutes must be a whole number from 1 to 1,440."


def clock(example: str) -> dict[str, Any]:
    """What the fields of a time of day have in common."""
    return {
        "input_formats": ["%H:%M"],
        "widget": forms.TimeInput({"placeholder": example, "autocomplete": "off"}, format="%H:%M"),
        "error_messages": {"invalid": f"Give a time of day as HH:MM, such as {example}."},
    }


class ConnectorForm(forms.Form):
    region = forms.ModelChoiceField(
        Region.objects.all(),
        label="Region",
        empty_label="Select a region",
        help_text="Take the region nearest to your server.",
        error_messages={
            "required": "Region is required; choose one of the list.",
            "invalid_choice": "Region must be one of the list.",
        },
    )
    name = forms.CharField(
        label="Instance Name",
        max_length=128,
        help_text="1 to 128 Chinese characters, letters, digits, periods, underscores or hyphens.",
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    enabled = forms.BooleanField(
        label="Instance Switch", required=False, initial=True, widget=forms.CheckboxInput(SWITCH)
    )


class RenameForm(forms.Form):
    name = ConnectorForm.base_fields["name"]


class UpgradeWindowForm(forms.Form):
    start = forms.TimeField(label="Start", required=False, **clock("20:00"))
    end = forms.TimeField(
        label="End",
        required=False,
        help_text="UTC; past midnight when it is before the start.",
        **clock("23:00"),
    )


def minutes(label: str, initial: int, help_text: str) -> forms.IntegerField:
    """For how long a server drains."""
    return forms.IntegerField(
        label=label,
        min_value=1,
        max_value=1440,
        initial=initial,
        help_text=help_text,
        error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), MINUTES_SENTENCE),
    )


class DrainForm(forms.Form):
    minutes = minutes("Minutes", 10, "How long connections may go on before it is switched off, 1 to 1,440.")


class UpgradeForm(forms.Form):
    """``when``: at once, or within the connector's upgrade window, which it must have then."""

    when = forms.ChoiceField(
        label="When",
        widget=forms.RadioSelect,
        initial="now",
        error_messages=dict.fromkeys(("required", "invalid_choice"), "When must be now or window."),
    )
    minutes = minutes(
        "Minutes to drain",
        5,
        "How long the connections of each server may go on before it is upgraded, 1 to 1,440.",
    )

    def __init__(self, *args: Any, connector: Connector, **options: Any) -> None:
        super().__init__(*args, **options)
        start, end = connector.upgrade_start, connector.upgrade_end
        within = (
            f"In its upgrade window, {start:%H:%M}–{end:%H:%M} UTC"
            if start and end
            else "In its upgrade window"
        )
        when = cast(forms.ChoiceField, self.fields["when"])
        when.choices = [("now", "Now"), ("window", within)]
        if not start:
            when.help_text = "It has no upgrade window; set one to choose that."


class LicenseForm(forms.Form):
    connectors = forms.IntegerField(
        label="Connectors",
        min_value=1,
        max_value=1_000_000,
        help_text="How many connectors there may be.",
        error_messages=dict.fromkeys(
            ("required", "invalid", "min_value", "max_value"),
            "Connectors must be a whole number from 1 to 1,000,000.",
        ),
    )
    valid_until = forms.DateField(
        label="Valid until",
        required=False,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        help_text="The last day (UTC). Empty: no end.",
        error_messages={"invalid": "Valid until must be a date, YYYY-MM-DD, or empty."},
    )


class GroupForm(PickingForm):
    pickers = several = ("accounts",)

    name = forms.CharField(label="Group Name", max_length=128)
    description = forms.CharField(label="Description", max_length=128, required=False)
    accounts = AccountsField(
        label="Client accounts",
        required=False,
    )
    rules = RulesField(
        label="Rules",
        required=False,
        help_text="One a line, such as “email Equal *@corp.example”: username, email, instance or area; Equal or "
        "Unequal; a value, in which * stands for any text. Whoever any one of them describes is in.",
    )


class ApplicationForm(forms.Form):
    name = forms.CharField(label="Application Name", max_length=128)
    description = forms.CharField(label="Description", max_length=128, required=False)
    protocol = forms.ChoiceField(
        label="Protocol",
        choices=[("TCP", "TCP"), ("All", "All"), ("UDP", "UDP")],
        initial="TCP",
        widget=forms.RadioSelect,
        help_text="Only TCP is carried. UDP can be noted down but is not carried yet.",
    )
    addresses = forms.CharField(
        label="Addresses",
        strip=False,
        widget=forms.Textarea(LINES),
        help_text="Up to 1,000, one a line: host name, wildcard (*.corp.example), IP address or CIDR block.",
        error_messages={"required": "Give at least one address."},
    )
    ports = forms.CharField(
        label="Ports",
        help_text="Such as 80, 443, 8000-8010.",
        error_messages={"required": "Give at least one port, such as 443 or 8000-8010."},
    )
    origin = forms.CharField(
        label="Origin",
        required=False,
        help_text="What the connector's servers dial instead of the address asked for: host or host:port.",
    )
    tags = forms.CharField(
        label="Tags",
        required=False,
        max_length=900,
        help_text="Up to 6, separated by commas; forwarding policies can go by them.",
    )
    enabled = forms.BooleanField(
        label="Application Status", required=False, initial=True, widget=forms.CheckboxInput(SWITCH)
    )

    def clean_ports(self) -> list[tuple[int, int]]:
        try:
            return parse_ports(self.cleaned_data["ports"])
        except AddressInvalid as error:
            raise ValidationError(str(error)) from error

    def clean_tags(self) -> list[str]:
        return list(filter(None, (tag.strip() for tag in self.cleaned_data["tags"].split(","))))

    def clean(self) -> dict[str, Any]:
        """Addresses are read last: whether a loopback address is legal depends on the origin."""
        values = super().clean() or {}
        if "addresses" in values:
            try:
                values["addresses"] = parse_addresses(
                    values["addresses"], allow_local=bool(values.get("origin"))
                )
            except AddressInvalid as error:
                self.add_error("addresses", str(error))
        return values


class PriorityForm(forms.Form):
    priority = forms.IntegerField(
        label="Priority",
        min_value=1,
        max_value=100,
        initial=50,
        help_text="1 to 100; the lower number wins, the older policy on a tie.",
        error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), PRIORITY_SENTENCE),
    )


class PolicyForm(PickingForm):
    pickers = ("groups", "accounts", "applications", "tags", "connector")
    several = ("groups", "accounts", "applications", "tags")

    USERS = (("all", "All users"), ("selected", "Selected users"))
    SCOPES = (("all", "All applications"), ("selected", "Selected applications"), ("tags", "By tags"))

    name = forms.CharField(label="Policy Name", max_length=128)
    description = forms.CharField(label="Description", max_length=128, required=False)
    priority = PriorityForm.base_fields["priority"]
    users = forms.ChoiceField(
        label="Applicable users", choices=USERS, initial="selected", widget=forms.RadioSelect
    )
    groups = forms.ModelMultipleChoiceField(
        UserGroup.objects.all(), label="User groups", required=False, widget=forms.CheckboxSelectMultiple
    )
    accounts = AccountsField(
        label="Client accounts",
        required=False,
        help_text="Beside those of the groups.",
    )
    scope = forms.ChoiceField(
        label="Associated applications", choices=SCOPES, initial="selected", widget=forms.RadioSelect
    )
    applications = forms.ModelMultipleChoiceField(
        Application.objects.all(), label="Applications", required=False, widget=forms.CheckboxSelectMultiple
    )
    tags = forms.ModelMultipleChoiceField(
        Tag.objects.all(),
        label="Tags",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Every application that carries one of them, now or later.",
    )
    connector = forms.ModelChoiceField(
        Connector.objects.all(),
        label="Associated Connector",
        error_messages={
            "required": "Associated Connector is required; choose one of the list.",
            "invalid_choice": "Associated Connector must be one of the list.",
        },
    )
    enabled = forms.BooleanField(
        label="Policy Status", required=False, initial=True, widget=forms.CheckboxInput(SWITCH)
    )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        chosen = (values.get("groups"), values.get("accounts"))
        known = "groups" in values and "accounts" in values
        if values.get("users") == "selected" and known and not any(chosen):
            self.add_error("groups", "Choose at least one user group or client account, or all users.")
        for scope, field in (("selected", "applications"), ("tags", "tags")):
            if values.get("scope") == scope and field in values and not values[field]:
                self.add_error(field, f"Choose at least one {field.removesuffix('s')}, or all applications.")
        return values

    def values(self) -> dict[str, Any]:
        """The cleaned values as the policy services take them; a selection left over beside another is dropped."""
        given = dict(self.cleaned_data)
        all_users, scope = given.pop("users") == "all", given.pop("scope")
        if all_users:
            given |= {"groups": [], "accounts": []}
        given |= {name: [] for name in ("applications", "tags") if name != SCOPE_FIELDS.get(scope)}
        return given | {"all_users": all_users, "all_applications": scope == "all"}


SCOPE_FIELDS = {"selected": "applications", "tags": "tags"}


class ImportForm(forms.Form):
    file = forms.FileField(
        label="CSV file",
        help_text="At most 1,000 applications.",
        widget=forms.FileInput({"accept": ".csv,text/csv"}),
        error_messages={"required": "Choose a CSV file."},
    )
