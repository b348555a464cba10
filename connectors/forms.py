"""What people fill in. The rules are the services'; a form only turns text into values and says which line is wrong."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from connectors.addresses import AddressInvalid, parse_addresses, parse_ports
from connectors.models import Application, Connector, UserGroup
from connectors.models.policies import PRIORITY_SENTENCE
from console.models import Region
from roaming.models import ClientAccount

SWITCH = {"on": "Enabled", "off": "Disabled"}
LINES = {"rows": 4, "spellcheck": "false", "autocapitalize": "off"}
MOST_LINES = 2000


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


class AccountsField(forms.CharField):
    """One client account a line, as ``user name@instance id`` or by its id; cleans to a list of accounts."""

    widget = forms.Textarea(LINES)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strip=False, **kwargs)  # so that a line's number is the one people see

    def clean(self, value: Any) -> list[ClientAccount]:
        lines = [
            (number, line.strip())
            for number, line in enumerate(super().clean(value).splitlines(), start=1)
            if line.strip()
        ]
        if len(lines) > MOST_LINES:
            raise ValidationError(f"At most {MOST_LINES:,} accounts at a time; put the others into a group.")
        found = _accounts({text for _, text in lines})
        for number, text in lines:
            if text.lower() not in found:
                raise ValidationError(
                    f"Line {number}: there is no client account “{text[:80]}”. Write user name@instance ID, or its ID."
                )
        return list({account.pk: account for account in (found[text.lower()] for _, text in lines)}.values())

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str) or value is None:
            return value
        return "\n".join(f"{account.username}@{account.instance_id}" for account in value)


def _accounts(texts: Iterable[str]) -> dict[str, ClientAccount]:
    """What was written, in lower case → the account. One query."""
    written = {text.lower() for text in texts}
    names = {text.rpartition("@")[0] for text in written if "@" in text}
    instances = {text.rpartition("@")[2] for text in written if "@" in text}
    accounts = ClientAccount.objects.filter(username_key__in=names, instance__in=instances) | (
        ClientAccount.objects.filter(pk__in=[text for text in written if "@" not in text])
    )
    found: dict[str, ClientAccount] = {}
    for account in accounts:
        found[account.pk] = account
        found[f"{account.username.lower()}@{account.instance_id}"] = account
    return found


class GroupForm(forms.Form):
    name = forms.CharField(label="Group Name", max_length=128)
    description = forms.CharField(label="Description", max_length=128, required=False)
    accounts = AccountsField(
        label="Client accounts",
        required=False,
        help_text="One a line: user name@instance ID, such as anna.berg@sag-1a2b….",
    )


class ApplicationForm(forms.Form):
    name = forms.CharField(label="Application Name", max_length=128)
    description = forms.CharField(label="Description", max_length=128, required=False)
    protocol = forms.ChoiceField(
        label="Protocol",
        choices=[("TCP", "TCP"), ("All", "All"), ("UDP", "UDP")],
        initial="TCP",
        widget=forms.RadioSelect,
    )
    addresses = forms.CharField(
        label="Addresses",
        strip=False,
        widget=forms.Textarea(LINES),
        help_text="One a line: host name, wildcard (*.corp.example), IP address or CIDR block.",
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
    enabled = forms.BooleanField(
        label="Application Status", required=False, initial=True, widget=forms.CheckboxInput(SWITCH)
    )

    def clean_ports(self) -> list[tuple[int, int]]:
        try:
            return parse_ports(self.cleaned_data["ports"])
        except AddressInvalid as error:
            raise ValidationError(str(error)) from error

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


class PolicyForm(forms.Form):
    USERS = (("all", "All users"), ("selected", "Selected users"))
    APPLICATIONS = (("all", "All applications"), ("selected", "Selected applications"))

    name = forms.CharField(label="Policy Name", max_length=128)
    description = forms.CharField(label="Description", max_length=128, required=False)
    priority = forms.IntegerField(
        label="Priority",
        min_value=1,
        max_value=100,
        initial=50,
        help_text="1 to 100; the lower number wins, the older policy on a tie.",
        error_messages={
            "required": PRIORITY_SENTENCE,
            "invalid": PRIORITY_SENTENCE,
            "min_value": PRIORITY_SENTENCE,
            "max_value": PRIORITY_SENTENCE,
        },
    )
    users = forms.ChoiceField(
        label="Applicable users", choices=USERS, initial="selected", widget=forms.RadioSelect
    )
    groups = forms.ModelMultipleChoiceField(
        UserGroup.objects.all(), label="User groups", required=False, widget=forms.CheckboxSelectMultiple
    )
    accounts = AccountsField(
        label="Client accounts",
        required=False,
        help_text="One a line: user name@instance ID. Only for selected users.",
    )
    scope = forms.ChoiceField(
        label="Associated applications", choices=APPLICATIONS, initial="selected", widget=forms.RadioSelect
    )
    applications = forms.ModelMultipleChoiceField(
        Application.objects.all(), label="Applications", required=False, widget=forms.CheckboxSelectMultiple
    )
    connector = forms.ModelChoiceField(
        Connector.objects.all(),
        label="Associated Connector",
        empty_label="Select a connector",
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
        if values.get("scope") == "selected" and "applications" in values and not values["applications"]:
            self.add_error("applications", "Choose at least one application, or all applications.")
        return values

    def values(self) -> dict[str, Any]:
        """The cleaned values as the policy services take them; a selection left over beside «all» is dropped."""
        given = dict(self.cleaned_data)
        all_users, all_applications = given.pop("users") == "all", given.pop("scope") == "all"
        if all_users:
            given |= {"groups": [], "accounts": []}
        if all_applications:
            given["applications"] = []
        return given | {"all_users": all_users, "all_applications": all_applications}
