"""A console on its machine: environment file, set-up, systemd units, and the doctor who looks at all of them.

Modules here begin without Django, since the environment file must be read before Django reads its settings.
"""
