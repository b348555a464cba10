"""Form of a channel, by its kind. A secret is only ever typed in, never shown."""

from typing import Any

from django import forms

from console.push.models import NAME, PushChannel

KEPT = "Leave it empty to keep the present one."
HELP = {
    "webhook": "The console posts each message to this address as signed JSON; see docs/webhooks.md.",
    "dingtalk": "The robot's webhook, such as https://oapi.dingtalk.com/robot/send?access_token=…",
    "slack": "The incoming webhook, such as https://hooks.slack.com/services/…; Mattermost and others have the same.",
}


def _always(sentence: str) -> dict[str, str]:
    """Give the same sentence, whether nothing was typed in or too much."""
    return dict.fromkeys(("required", "max_length"), sentence)


class ChannelForm(forms.Form):
    """Form whose fields ``kind`` decides; ``existing``: address and secret stay unless typed in."""

    name = forms.CharField(
        max_length=100,
        help_text="The name by which lists show the channel.",
        error_messages=_always(str(NAME.message)),
    )
    recipients = forms.CharField(
        label="Recipients",
        max_length=5000,
        error_messages={
            "required": "Give 1 to 50 e-mail addresses.",
            "max_length": "The addresses must be at most 5,000 characters together.",
        },
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Up to 50 e-mail addresses, one a line or separated by commas.",
    )
    url = forms.CharField(
        label="Address",
        max_length=2000,
        error_messages=_always("Give an https:// address of at most 2,000 ASCII characters without spaces."),
        widget=forms.TextInput(attrs={"inputmode": "url", "autocomplete": "off", "spellcheck": "false"}),
    )
    secret = forms.CharField(
        label="Signing secret",
        max_length=200,
        error_messages=_always("The secret must be at most 200 printable characters."),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="The robot's SEC… secret, when its security setting is the signature.",
    )

    def __init__(self, kind: str, *args: Any, existing: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        wanted = {"email": ("recipients",), "dingtalk": ("url", "secret")}.get(kind, ("url",))
        for name in ("recipients", "url", "secret"):
            if name not in wanted:
                del self.fields[name]
        if "url" in self.fields:
            self.fields["url"].help_text = HELP[kind]
        if existing:
            for name in ("url", "secret"):
                if name in self.fields:
                    self.fields[name].required = False
                    self.fields[name].help_text = f"{KEPT} {self.fields[name].help_text}"


KINDS = {
    PushChannel.Kind.EMAIL: "By the mail server of the console's settings.",
    PushChannel.Kind.WEBHOOK: "Documented JSON, signed, to a program of yours.",
    PushChannel.Kind.DINGTALK: "A robot of a DingTalk group.",
    PushChannel.Kind.SLACK: "Slack, Mattermost, Rocket.Chat and others.",
}
