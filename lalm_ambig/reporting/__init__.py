"""From finished runs to the papers' tables and figures: read, recognise, lay out, draw, write."""
