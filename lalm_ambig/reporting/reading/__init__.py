"""From folders to a report: rows, lines, groups.

`inputs` reads a `ResultRow` per evaluated policy or baseline. `recipe` says which method a configuration trains.
`resolving` adds to a row what other rows know of it. `lines` joins the folds of one configuration to a `Line`; `groups`
gathers the lines of one corpus, on the same items, in a `Group`. `corpora` opens the corpora where their files are;
`median_items` chooses items to show. `report` holds all of it.
"""
