"""Users and gateways for tests. Areas and regions are there already: the first migration brings them."""

from __future__ import annotations

import factory

from console.models import Gateway, Region, User

PASSWORD = "correct horse battery staple"

# What the form that adds a gateway is sent.
GATEWAY_FORM = {
    "name": "gateway-x",
    "region": "ap-southeast-1",
    "public_host": "192.0.2.1",
    "listen_address": "0.0.0.0",
    "client_port": 8443,
    "tunnel_port": 9443,
}


class UserFactory(factory.django.DjangoModelFactory):
    """A user of the console with ``PASSWORD``; a viewer unless ``role`` says otherwise."""

    class Meta:
        model = User

    username = factory.Sequence(lambda n: f"user{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.org")
    password = factory.django.Password(PASSWORD)
    role = User.Role.VIEWER


class GatewayFactory(factory.django.DjangoModelFactory):
    """A gateway on this machine that has not been enrolled yet; ``region_id="ap-southeast-1"`` moves it."""

    class Meta:
        model = Gateway

    class Params:
        region_id = "cn-shanghai"

    name = factory.Sequence(lambda n: f"gateway {n}")
    region = factory.LazyAttribute(lambda gateway: Region.objects.get(pk=gateway.region_id))
    public_host = "127.0.0.1"
    listen_address = "127.0.0.1"
    client_port = factory.Sequence(lambda n: 20000 + 2 * n)
    tunnel_port = factory.Sequence(lambda n: 20001 + 2 * n)
