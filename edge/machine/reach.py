"""Look whether somebody listens at a host and port, as any program on this machine would find."""

import asyncio

SECONDS = 1.0


async def answers(host: str, port: int) -> bool:
    """Tell whether a TCP connection comes about within `SECONDS`; the connection is closed at once."""
    try:
        async with asyncio.timeout(SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, ValueError):  # TimeoutError is an OSError; some names cannot be looked up
        return False
    writer.close()
    return True
