"""Forms of users of the console, by administrators and by themselves."""

from django import forms

from console.core.models.access import User

ROLES = (
    ("viewer", "Viewer: sees everything, changes nothing"),
    ("operator", "Operator: also changes instances, accounts, connectors, policies"),
    ("administrator", "Administrator: also manages users, gateways and keys"),
)
MAIL, HERE = "mail", "here"
WAYS = (
    (MAIL, "Mail the link to the e-mail address"),
    (HERE, "Show the link to me, and I hand it over in another way"),
)
SAID = {"required": "Choose one of the ways.", "invalid_choice": "Choose one of the ways."}


def _way() -> forms.ChoiceField:
    return forms.ChoiceField(
        label="One-use link",
        choices=WAYS,
        initial=MAIL,
        widget=forms.RadioSelect,
        error_messages=SAID,
        help_text="By the link the user sets a password that nobody else knows. The link holds for 24 hours, once.",
    )


class UserForm(forms.Form):
    """What administrators say about a user."""

    email = forms.EmailField(label="E-mail", max_length=254, required=False)
    first_name = forms.CharField(label="First name", max_length=150, required=False)
    last_name = forms.CharField(label="Last name", max_length=150, required=False)
    role = forms.ChoiceField(
        label="Role",
        choices=ROLES,
        initial="viewer",
        widget=forms.RadioSelect,
        error_messages=dict.fromkeys(
            ("required", "invalid_choice"), "Role must be viewer, operator or administrator."
        ),
    )
    is_staff = forms.BooleanField(
        label="Django admin",
        required=False,
        widget=forms.CheckboxInput(attrs={"on": "May enter", "off": "May not enter"}),
        help_text="Django admin shows every table; what the role forbids is forbidden there as well.",
    )


class UserAddForm(UserForm):
    """A new user, who gets a link for the first password."""

    field_order = ("username", "email", "first_name", "last_name", "role", "is_staff", "way")
    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
        help_text="Letters, digits and @ . + - _ only. The name stays, since the audit names people by it.",
        error_messages={"required": "Give a user name of 1 to 150 letters, digits and @ . + - _ signs."},
    )
    way = _way()

    def clean(self) -> None:
        super().clean()
        mailed = self.cleaned_data.get("way") == MAIL
        if mailed and not self.cleaned_data.get("email") and "email" not in self.errors:
            self.add_error("email", "Give an e-mail address to which the link is mailed.")


class LinkForm(forms.Form):
    """How a user of the console gets a link."""

    way = _way()

    def __init__(self, *args: object, user: User, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.user = user
        if not user.email:
            self.initial["way"] = HERE

    def clean_way(self) -> str:
        way: str = self.cleaned_data["way"]
        if way == MAIL and not self.user.email:
            raise forms.ValidationError("The user has no e-mail address. Let the link be shown to you.")
        return way


def _password(label: str, help_text: str = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=help_text,
        error_messages={"required": "Type the new password into both fields."},
    )


class NewPasswordForm(forms.Form):
    """A new password, typed twice; the service checks the password by the console's rules."""

    password = _password("New password", "At least 10 characters, not a common password, not like your name.")
    again = _password("New password again")

    def clean(self) -> None:
        super().clean()
        typed = self.cleaned_data
        if "password" in typed and "again" in typed and typed["password"] != typed["again"]:
            self.add_error("again", "The two passwords differ. Type the same one twice.")


class CodeForm(forms.Form):
    """A one-time code of an app, or a recovery code."""

    code = forms.CharField(
        label="Code",
        max_length=40,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autocapitalize": "characters", "spellcheck": "false"}
        ),
        error_messages={
            "required": "Type the code that your app shows, or a recovery code.",
            "max_length": "A code has 6 digits, a recovery code 16 letters and digits.",
        },
    )


class KeyForm(forms.Form):
    """Nothing to fill in: the console makes id and secret of an access key."""
