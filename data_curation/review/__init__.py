"""`review`: a static page that shows the rows of a curation file, with audio, votes and reasoning side by side."""
