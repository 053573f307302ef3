"""The files of a report: tables and pictures, each complete or absent, and the page that shows them all."""
