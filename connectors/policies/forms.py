"""Forms of policies, groups and the access check: text becomes values here, and the services judge them."""

from typing import Any

from django import forms

from connectors.applications.models import Application, Tag
from connectors.fleet.models.connectors import Connector
from connectors.form_fields import switch
from connectors.policies import naming
from connectors.policies.account_fields import AccountsField, PickingForm, RulesField
from connectors.policies.models.groups import UserGroup
from connectors.policies.models.policies import PRIORITY_SENTENCE
from edge.access.decision import Destination
from edge.access.hosts import HostInvalid
from roaming.models import ClientAccount

PORT_SENTENCE = "Port must be a whole number from 1 to 65,535."
# Choice of ``PolicyForm.scope`` → the field that holds its selection.
SCOPE_FIELDS = {"selected": "applications", "tags": "tags"}


class GroupForm(PickingForm):
    pickers = several = ("accounts",)

    name = forms.CharField(label="Group Name", max_length=128)
    description = forms.CharField(label="Description", max_length=128, required=False)
    accounts = AccountsField(label="Client accounts", required=False)
    rules = RulesField(
        label="Rules",
        required=False,
        help_text="One a line, such as “email Equal *@corp.example”: username, email, instance or area; Equal or "
        "Unequal; a value, in which * stands for any text. A client account that any rule describes is in the group.",
    )


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
        help_text="Client accounts that the policy covers beside those of the user groups.",
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
        help_text="The policy covers every application that carries one of these tags, now or later.",
    )
    connector = forms.ModelChoiceField(
        Connector.objects.all(),
        label="Associated Connector",
        error_messages={
            "required": "Associated Connector is required; choose one of the list.",
            "invalid_choice": "Associated Connector must be one of the list.",
        },
    )
    enabled = switch("Policy Status")

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        chosen = (values.get("groups"), values.get("accounts"))
        known = "groups" in values and "accounts" in values
        if values.get("users") == "selected" and known and not any(chosen):
            self.add_error("groups", "Choose at least one user group or client account, or all users.")
        for scope, field in SCOPE_FIELDS.items():
            if values.get("scope") == scope and field in values and not values[field]:
                self.add_error(field, f"Choose at least one {field.removesuffix('s')}, or all applications.")
        return values

    def values(self) -> dict[str, Any]:
        """Return the cleaned values as the policy services take them, without selections left over beside another."""
        given = dict(self.cleaned_data)
        all_users, scope = given.pop("users") == "all", given.pop("scope")
        if all_users:
            given |= {"groups": [], "accounts": []}
        given |= {name: [] for name in ("applications", "tags") if name != SCOPE_FIELDS.get(scope)}
        return given | {"all_users": all_users, "all_applications": scope == "all"}


class AccessCheckForm(forms.Form):
    """Question of an access check; with its host empty, the question is what the account reaches."""

    account = forms.CharField(
        label="Client account",
        max_length=200,
        help_text="User name@instance ID, or the account's ID.",
        widget=forms.TextInput(
            {"list": "account-options", "autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
        ),
        error_messages={
            "required": "Client account is required: user name@instance ID, or the account's ID."
        },
    )
    host = forms.CharField(
        label="Host",
        max_length=260,
        required=False,
        help_text="Host name or IP address. Empty: what the account reaches.",
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}),
    )
    port = forms.IntegerField(
        label="Port",
        min_value=1,
        max_value=65535,
        required=False,
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), PORT_SENTENCE),
    )
    protocol = forms.ChoiceField(
        label="Protocol",
        choices=[("TCP", "TCP"), ("UDP", "UDP")],
        required=False,
        error_messages={"invalid_choice": "Protocol must be TCP or UDP."},
    )

    def clean_account(self) -> ClientAccount:
        text = self.cleaned_data["account"].strip()
        found = naming.named([text]).get(text.lower())
        if found is None:
            raise forms.ValidationError(
                f"There is no client account “{text[:80]}”. Write user name@instance ID, or its ID."
            )
        return found

    def clean(self) -> dict[str, Any]:
        """Add ``destination``: None when no host was given."""
        values = super().clean() or {}
        host, port = values.get("host", "").strip(), values.get("port")
        values["destination"] = None
        if not host and port and "host" not in self.errors:
            self.add_error("host", "Give the host that the port belongs to, or leave both empty.")
        elif host and "port" not in self.errors:
            try:
                values["destination"] = _destination(host, port)
            except HostInvalid as error:
                self.add_error("host", str(error))
        return values


def _destination(host: str, port: int | None) -> Destination:
    """Read a destination as gateways do; without a port the host may be ``host:port``. Raise ``HostInvalid``."""
    if port is None:
        return Destination.parse(host)
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return Destination.parse(f"{host}:{port}")
