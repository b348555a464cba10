"""Look whether somebody listens at a host and port, as any program on this machine would find."""

from edge.outbound.dialling import touch, touch_directly
from edge.outbound.errors import OutboundError

SECONDS = 1.0


async def answers(host: str, port: int) -> bool:
    """Tell whether a TCP connection comes about within `SECONDS`; the connection is closed at once."""
    try:
        await touch_directly(host, port, SECONDS)
    except (OSError, ValueError):  # TimeoutError is an OSError; some names cannot be looked up
        return False
    return True


async def gateway_problem(host: str, port: int) -> str | None:
    """Return None when a gateway can be connected to, directly or by a proxy; else why not, as far as that is known.

    The reason is a sentence where a proxy or a variable is in the way, and empty where nobody answers.
    """
    try:
        await touch(host, port, SECONDS)
    except OutboundError as error:
        return str(error)
    except (OSError, ValueError):
        return ""
    return None
