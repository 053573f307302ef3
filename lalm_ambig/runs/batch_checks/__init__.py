"""Checks of items against the model and the optimiser step, made before anything is trained.

`long_items` finds items that do not fit the model's positions. `token_budget` compares token limits with curated texts.
`update_size` divides an optimiser step over processes and passes.
"""
