"""From finished runs to the papers' tables and figures: read, recognise, lay out, draw, write.

`reading` turns folders into `ResultRow`s, recognises the method of each, joins folds to `Line`s and gathers the lines
of one corpus in a `Group`. All groups are a `Report`. A module of `tables` turns a report into `ResultTable`s, mostly
by a `Layout`; a module of `figures` turns it into `Drawing`s, by means of `drawing`. `writing` puts both into files and
into one page. A new table or figure is a new file in its room.
"""
