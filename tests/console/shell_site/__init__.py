"""A small site of its own for the shell's tests: a list, a panel form, a details panel, a dialog, a chart."""
