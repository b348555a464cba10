"""Forms of alerts: how fields look. Limits stand in the models and services, which every door asks."""

from datetime import timedelta
from typing import Any

from django import forms

from connectors.alerts.kinds import Kind
from connectors.alerts.models import (
    GROUP_SENTENCE,
    HOLD_SENTENCE,
    HYSTERESIS_SENTENCE,
    LONGEST_HOLD,
    REMIND_SENTENCE,
)


def _always(sentence: str) -> dict[str, str]:
    """Say the same sentence, whatever is wrong with a number."""
    return dict.fromkeys(("required", "invalid", "min_value", "max_value"), sentence)


class RuleForm(forms.Form):
    """Settings of one type; a type without a threshold has no fields for one."""

    enabled = forms.BooleanField(label="Switch", required=False)
    threshold = forms.FloatField(label="Threshold", widget=forms.NumberInput(attrs={"step": "any"}))
    hold_seconds = forms.IntegerField(
        label="For",
        min_value=0,
        max_value=LONGEST_HOLD,
        help_text="Seconds that the condition must hold before the alert fires.",
        error_messages=_always(HOLD_SENTENCE),
    )
    hysteresis_percent = forms.IntegerField(
        label="Hysteresis",
        min_value=0,
        max_value=90,
        error_messages=_always(HYSTERESIS_SENTENCE),
    )
    recovery = forms.BooleanField(
        label="Recovery notice", required=False, help_text="Whether the end of an alert is told as well."
    )

    def __init__(self, kind: Kind, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if kind.unit is None:
            del self.fields["threshold"], self.fields["hysteresis_percent"]
            return
        sentence = f"The threshold must be more than 0 and at most {kind.most:,.0f} {kind.unit}."
        self.fields["threshold"].help_text = f"In {kind.unit}."
        self.fields["threshold"].error_messages.update(_always(sentence))
        side = "below" if kind.above else "above"
        self.fields["hysteresis_percent"].help_text = f"Percent {side} the threshold at which the alert ends."


SILENCES = (
    ("30", "30 minutes"),
    ("60", "1 hour"),
    ("240", "4 hours"),
    ("1440", "1 day"),
    ("10080", "7 days"),
)


class SilenceForm(forms.Form):
    scope = forms.ChoiceField(
        label="Silence",
        widget=forms.RadioSelect,
        error_messages=dict.fromkeys(("required", "invalid_choice"), "Choose one of those that are listed."),
    )
    minutes = forms.TypedChoiceField(
        label="For",
        choices=SILENCES,
        coerce=int,
        initial="60",
        error_messages=dict.fromkeys(
            ("required", "invalid_choice"), "Choose one of the times that are listed."
        ),
    )
    reason = forms.CharField(
        required=False,
        max_length=128,
        error_messages={"max_length": "The reason must be at most 128 characters."},
    )

    def __init__(self, scopes: list[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scope"].choices = scopes  # type: ignore[attr-defined]
        self.fields["scope"].initial = scopes[0][0]

    @property
    def lasts(self) -> timedelta:
        return timedelta(minutes=self.cleaned_data["minutes"])


class SettingsForm(forms.Form):
    remind_minutes = forms.IntegerField(
        label="Remind every",
        min_value=0,
        max_value=10080,
        error_messages=_always(REMIND_SENTENCE),
        help_text="Minutes after which a firing alert that nobody acknowledged is told again; 0 for never.",
    )
    group_from = forms.IntegerField(
        label="Tell together from",
        min_value=2,
        max_value=1000,
        error_messages=_always(GROUP_SENTENCE),
        help_text="When so many alerts change at once, one message tells of all of them.",
    )
