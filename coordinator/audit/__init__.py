"""Rebuilds a run from chain and store alone; imports neither torch nor the rest of coordinator."""
