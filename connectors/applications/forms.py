"""Forms of applications: text becomes addresses, ports and tags here, and a wrong line is named."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from connectors.applications.addresses import AddressInvalid, parse_addresses, parse_ports
from connectors.applications.files import SHEET
from connectors.form_fields import LINES, switch
from console.exchange.form_fields import encoding_field, file_field


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
    enabled = switch("Application Status")

    def clean_ports(self) -> list[tuple[int, int]]:
        try:
            return parse_ports(self.cleaned_data["ports"])
        except AddressInvalid as error:
            raise ValidationError(str(error)) from error

    def clean_tags(self) -> list[str]:
        return list(filter(None, (tag.strip() for tag in self.cleaned_data["tags"].split(","))))

    def clean(self) -> dict[str, Any]:
        """Read the addresses last: a loopback address is legal only beside an origin."""
        values = super().clean() or {}
        if "addresses" in values:
            try:
                values["addresses"] = parse_addresses(
                    values["addresses"], allow_local=bool(values.get("origin"))
                )
            except AddressInvalid as error:
                self.add_error("addresses", str(error))
        return values


class ImportForm(forms.Form):
    file = file_field(SHEET, error_messages={"required": "Choose a CSV file."})
    encoding = encoding_field()
