"""Alerts of connector servers and gateways.

``kinds`` says what can be watched, ``machine`` decides (pure), ``readings`` measures the world in a few queries,
``evaluation`` joins these in the worker, ``notices`` tells what changed, ``dry_run`` asks the past.
"""
