"""What runs on other machines than the console's: gateways, connector servers, clients. No Django here."""


def version() -> str:
    """Return the version of the installed distribution; ``0`` in a checkout that was never installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("causeway")
    except PackageNotFoundError:
        return "0"
