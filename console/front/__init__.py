"""The console's own front: an Envoy before granian that can stand on the internet.

Here is no Django, so that the process which watches Envoy and granian stays small.
"""

# Variable by which the console's processes know that a front stands before them.
BEHIND_FRONT = "CAUSEWAY_BEHIND_FRONT"
