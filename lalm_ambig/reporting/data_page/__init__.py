"""The data page of `describe --html`: what a corpus holds, with a sample of its items to hear and read.

`sample` chooses the items and makes a record of each; `tables` counts; `page` puts both into one HTML file.
"""
