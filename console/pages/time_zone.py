"""Page on which a user chooses the zone of all times on the pages."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from console.core import people, zones
from console.core.access import actor, takes_form
from console.kit import web


class TimeZoneForm(forms.Form):
    time_zone = forms.ChoiceField(
        label="Time zone", required=False, error_messages={"invalid_choice": zones.SENTENCE}
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # A zone that the browser or another release named, and that the list leaves out, stays what it is.
        kept = self.initial.get("time_zone", "")
        names = [*zones.offered(), *([kept] if kept and kept not in zones.offered() else [])]
        choices = [("", "The browser's zone"), *((name, name.replace("_", " ")) for name in names)]
        self.fields["time_zone"].choices = choices  # type: ignore[attr-defined]


@takes_form("viewer")
def time_zone(request: HttpRequest) -> HttpResponse:
    user = actor(request)
    form = TimeZoneForm(request.POST or None, initial={"time_zone": user.time_zone})
    if request.method == "POST" and form.is_valid():
        with web.refusals_in(form):
            name = form.cleaned_data["time_zone"]
            people.user_time_zone(user=user, name=name, actor=user)
            words = (
                f"Times are those of {name} now." if name else "Times are those of your browser's zone now."
            )
            return web.done(request, reverse("time_zone"), words)
    return web.form_page(request, "registration/time_zone.html", {"form": form})
