"""What figures share: `canvas` (sizes, colours, a `Drawing` and how it is saved), `boxes` by ambiguity, rank tests, and
the groups of items that a figure tells apart.
"""
