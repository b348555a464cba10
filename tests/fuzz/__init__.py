"""Fuzzing: requests of every kind to every URL, made up by chance from a seed, in stories of a few hundred each.

A story begins with one object of everything and sends its requests one after the other, so that what one of them
stored is there for the next. Seed and number of a story make it again. `python -m bench.fuzz` runs many stories.
"""
