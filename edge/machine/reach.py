"""Look whether somebody listens at a host and port, as any program on this machine would find."""

from edge.outbound.dialling import touch, touch_directly

SECONDS = 1.0


async def answers(host: str, port: int) -> bool:
    """Tell whether a TCP connection comes about within `SECONDS`; the connection is closed at once."""
    try:
        await touch_directly(host, port, SECONDS)
    except (OSError, ValueError):  # TimeoutError is an OSError; some names cannot be looked up
        return False
    return True


async def gateway_answers(host: str, port: int) -> bool:
    """Tell whether a gateway can be connected to, directly or by the proxy that the environment names."""
    try:
        await touch(host, port, SECONDS)
    except (OSError, ValueError):
        return False
    return True
