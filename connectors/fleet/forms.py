"""Forms of connectors, servers, upgrades and the license: text becomes values here, and the services judge them."""

from typing import Any, cast

from django import forms

from connectors.fleet.models.connectors import Connector
from connectors.form_fields import switch
from console.core import zones
from console.machines.forms import ClockField, UpgradeForm, clock_help, drain_minutes, upgrade_minutes
from console.models import Region


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
    enabled = switch("Instance Switch")


class RenameForm(forms.Form):
    name = ConnectorForm.base_fields["name"]


class UpgradeWindowForm(forms.Form):
    start = ClockField(label="Start", example="20:00")
    end = ClockField(label="End", example="23:00")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["end"].help_text = clock_help()


class DrainForm(forms.Form):
    minutes = drain_minutes(
        "Minutes", 10, "How long open connections may go on before the server is switched off, 1 to 1,440."
    )


class ConnectorUpgradeForm(UpgradeForm):
    """Upgrade of a connector. ``when``: at once, or within the connector's upgrade window, which must be set then."""

    minutes = upgrade_minutes("server")

    def __init__(self, *args: Any, connector: Connector, **options: Any) -> None:
        super().__init__(*args, **options)
        start, end = connector.upgrade_start, connector.upgrade_end
        within = (
            f"In its upgrade window, {zones.clock_here(start):%H:%M}–{zones.clock_here(end):%H:%M} "
            f"({zones.zone_here()})"
            if start and end
            else "In its upgrade window"
        )
        when = cast(forms.ChoiceField, self.fields["when"])
        when.choices = [("now", "Now"), ("window", within)]
        if not start:
            when.help_text = "The connector has no upgrade window. Set an upgrade window to choose this."


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
