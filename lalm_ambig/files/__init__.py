"""The one reader or writer of each kind of file."""
