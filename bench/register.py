"""Tell a running demo of one more application: the sink, for everybody, through the first connector.

    python -m bench.register HOME PORT CONNECTOR SINK_PORT

The application goes through the same services as the console's forms, in a process of its own with the demo's
environment.
"""

import sys

HOST, PORT = "sink.bench.example", 9999


def register(connector_id: str, sink_port: int) -> None:
    """Add the application and a policy that goes before all others."""
    import django

    django.setup()
    from connectors.applications.services import application_create
    from connectors.models import Connector
    from connectors.policies.services.policies import policy_create
    from console.core import audit

    actor = audit.System("bench")
    application = application_create(
        name="bench sink",
        addresses=[HOST],
        ports=[(PORT, PORT)],
        origin=f"127.0.0.1:{sink_port}",
        actor=actor,
    )
    policy_create(
        name="bench",
        priority=1,
        connector=Connector.objects.get(pk=connector_id),
        all_users=True,
        applications=[application],
        actor=actor,
    )


if __name__ == "__main__":
    from demo.environment import prepare

    home, console_port, connector, sink = sys.argv[1:]
    prepare(["--home", home, "--port", console_port])
    register(connector, int(sink))
