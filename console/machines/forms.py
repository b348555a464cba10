"""Forms of gateways, and fields and forms of every machine's drain and upgrade."""

from datetime import time
from typing import Any

from django import forms

from console.core import zones
from console.core.models.geography import Region
from console.machines.models.machines import Gateway
from console.machines.upgrades import MINUTES_SENTENCE


class GatewayForm(forms.ModelForm):
    class Meta:
        model = Gateway
        fields = ("name", "region", "public_host", "listen_address", "client_port", "tunnel_port")
        labels = {
            "public_host": "Public host name or address",
            "listen_address": "Address to listen on",
            "client_port": "Client port",
            "tunnel_port": "Tunnel port",
        }
        help_texts = {
            "region": "The gateway reaches the cloud networks of this region's area.",
            "public_host": "Where clients and connector servers reach this gateway.",
            "listen_address": "0.0.0.0 for all addresses of the machine.",
            "client_port": "Users' programs connect here, by HTTPS proxy.",
            "tunnel_port": "Connector servers connect here.",
        }

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        # Areas joined, since a region's label names its area: one query, not one a region.
        self.fields["region"] = forms.ModelChoiceField(
            Region.objects.select_related("area"),
            empty_label="Select a region",
            help_text=self.fields["region"].help_text,
        )


class ClockField(forms.TimeField):
    """Time of day of the person's clock, kept in UTC. ``example`` stands in the empty field and in the complaint."""

    def __init__(self, *, label: str, example: str) -> None:
        super().__init__(
            label=label,
            required=False,
            input_formats=["%H:%M"],
            widget=forms.TimeInput({"placeholder": example, "autocomplete": "off"}, format="%H:%M"),
            error_messages={"invalid": f"Give a time of day as HH:MM, such as {example}."},
        )

    def prepare_value(self, value: Any) -> Any:
        return zones.clock_here(value) if isinstance(value, time) else value

    def to_python(self, value: Any) -> time | None:
        given = super().to_python(value)
        return None if given is None else zones.clock_in_utc(given)


def clock_help(rest: str = "") -> str:
    """Say by which clock a window is typed, and what becomes of the window when that clock is changed."""
    words = zones.clock_words()
    kept = "" if words == "UTC" else " The window is kept in UTC, and moves on your clock when clocks change."
    return f"{words}{rest}. An end before the start is on the next day.{kept}"


def drain_minutes(label: str, initial: int, help_text: str) -> forms.IntegerField:
    """Make a field for how long a machine drains; every wrong number gets the same sentence."""
    return forms.IntegerField(
        label=label,
        min_value=1,
        max_value=1440,
        initial=initial,
        help_text=help_text,
        error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), MINUTES_SENTENCE),
    )


def upgrade_minutes(machine: str) -> forms.IntegerField:
    """Make the field for how long each machine drains in an upgrade."""
    return drain_minutes(
        "Minutes to drain",
        5,
        f"How long the connections of each {machine} may go on before it is upgraded, 1 to 1,440.",
    )


class UpgradeForm(forms.Form):
    """When machines are upgraded: now, or within a window."""

    when = forms.ChoiceField(
        label="When",
        choices=[("now", "Now"), ("window", "Between two times of day")],
        widget=forms.RadioSelect,
        initial="now",
        error_messages=dict.fromkeys(("required", "invalid_choice"), "When must be now or window."),
    )


class AreaUpgradeForm(UpgradeForm):
    """Upgrade of an area's gateways, at once or between two times of day."""

    start = ClockField(label="Start", example="20:00")
    end = ClockField(label="End", example="23:00")
    minutes = upgrade_minutes("gateway")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["end"].help_text = clock_help(", for “between two times of day”")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("when") == "window" and not self.errors and None in (given["start"], given["end"]):
            self.add_error("start", "Start and End are required for an upgrade between two times of day.")
        return given

    @property
    def window(self) -> tuple[time, time] | None:
        """Times of a form that is valid; None for now."""
        given = self.cleaned_data
        return (given["start"], given["end"]) if given["when"] == "window" else None
