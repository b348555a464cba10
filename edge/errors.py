"""The one tree of what can go wrong on a gateway, a connector's server or a user's machine.

Each message is a sentence for whoever runs the program; a supervisor reads `exit_code`.
"""


class EdgeError(Exception):
    """A failure that is told by its sentence, without a traceback."""

    exit_code = 1
