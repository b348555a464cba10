"""Forwarding policies and user groups: who reaches what, and why."""
