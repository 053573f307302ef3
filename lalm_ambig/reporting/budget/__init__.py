"""How many votes an item needs: the numbers (`summary`), their tables (`tables`), the figure and the files."""
