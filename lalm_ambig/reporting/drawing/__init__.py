"""Parts that several figures use.

`canvas` has the sizes, the colours and the `Drawing`: a figure with its caption. `item_groups` splits the items of a
line by ambiguity level or by number of active labels. `boxes` draws box plots of these groups side by side, with the
tests of `ranks`. `draw` runs the modules of `figures` and saves their drawings; it needs the extra `figures`.
"""
