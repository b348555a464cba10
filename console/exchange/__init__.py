"""Tables that go in and out as CSV: read as spreadsheets and scripts of all languages write them, and written for all.

Every import reads by ``reading``, every export writes by ``writing``; what is exported comes back unchanged.
"""
