"""`make attacks`: every adversary against training, with the protocol's defences and without."""
