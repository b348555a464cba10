"""The audit to people: its page and exports, the nightly verification, and the end of old rows."""
