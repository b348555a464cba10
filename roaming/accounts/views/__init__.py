"""Pages of client accounts and their dialogs."""
