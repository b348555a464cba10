"""Door of the command; `console.installation.command` does the work."""

import sys


def main() -> int:
    try:
        from console.installation import command
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] not in (
            "django",
            "dj_database_url",
            "environs",
        ):
            raise
        # Gateways and servers are installed from the same wheel, without what only a console needs.
        print(  # noqa: T201
            "causeway-console: Here are no packages of a console. Install them: pip install 'causeway-….whl[console]'",
            file=sys.stderr,
        )
        return 1
    return command.main()


if __name__ == "__main__":
    sys.exit(main())
