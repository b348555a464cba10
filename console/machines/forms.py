from django import forms

from console.core.models.geography import Region
from console.machines.models.machines import Gateway


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
