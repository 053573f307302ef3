"""How much memory a run will take, from its configuration alone (`fit --estimate`)."""
