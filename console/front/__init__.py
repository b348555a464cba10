"""The console's own front: an Envoy before granian that can stand on the internet.

Here is no Django, so that the process which watches Envoy and granian stays small.
"""
