"""Forms that meet the end of a log-in: what was typed is kept until somebody is logged in again.

With scripts the log-in is renewed in a dialog over the page, which stays as it is (forms.js). Without, the log-in page
carries what was typed, sealed, and the page after the log-in sends it. Passwords and secrets are kept nowhere.
"""

import re

from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render

from console.core.access import actor, shows
from console.core.sealed import seal, unseal

PURPOSE = "kept form"
SECRET = re.compile(r"password|secret|token|code|otp", re.IGNORECASE)
# Characters of the longest form that is kept; of a longer one the address alone is.
MOST = 30_000


def ask(request: HttpRequest) -> HttpResponse:
    """Answer a form that came without a log-in: ask for one, and keep the form."""
    if getattr(request, "htmx", False):
        response = render(request, "registration/_log_in_again.html", status=401)
        response["HX-Retarget"], response["HX-Reswap"] = "#log-in", "innerHTML"
        return response
    pairs = [(name, value) for name, values in request.POST.lists() for value in values]
    kept = [(name, value) for name, value in pairs if name != "csrfmiddlewaretoken" and not _secret(name)]
    if sum(len(name) + len(value) for name, value in kept) > MOST:
        kept = []
    left_out = bool(request.FILES) or any(_secret(name) for name, _ in pairs)
    sealed = seal(PURPOSE, {"path": request.get_full_path(), "pairs": kept, "left_out": left_out})
    context = {"form": AuthenticationForm(request), "next": "/", "kept": sealed}
    return render(request, "registration/login.html", context, status=401)


def _secret(name: str) -> bool:
    return bool(SECRET.search(name)) and name != "submission"


def resumed(request: HttpRequest, kept: str) -> HttpResponse | None:
    """Answer a log-in with the form that was kept for it, to be sent now; None where none was."""
    found = unseal(PURPOSE, kept)
    return render(request, "registration/resume.html", found) if found else None


@shows("viewer")
def session(request: HttpRequest) -> JsonResponse:
    """Tell a page whose log-in was renewed who is logged in now, and the token that its forms need."""
    return JsonResponse({"user": actor(request).get_username(), "csrf": get_token(request)})
