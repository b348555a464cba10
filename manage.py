#!/usr/bin/env python3
"""Django's command line for Causeway."""

import os
import sys


def main() -> None:
    if sys.argv[1:2] == ["demo"]:
        # The demo brings its own environment, which must stand before Django reads its settings.
        from demo.environment import prepare
        from demo.run import run

        sys.exit(run(prepare(sys.argv[2:])))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
