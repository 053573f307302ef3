"""Distances and properties of distributions, for whoever imports the package: `lalm_ambig.core.distributions`."""

from lalm_ambig.core.distributions import *  # noqa: F403
