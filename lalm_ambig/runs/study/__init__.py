"""Studies: every row of a comparison, trained with several seeds (`plan`), by one process or more (`claims`)."""
