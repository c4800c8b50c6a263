"""A trainer's node: stake, train, commit, reveal, attest, keep the run going, claim."""
