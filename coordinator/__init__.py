"""Publish a data set, create a run, drive its rounds, aggregate, audit and explore."""
