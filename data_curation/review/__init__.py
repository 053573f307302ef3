"""`review`: a static page to look at, and listen to, what was written."""
