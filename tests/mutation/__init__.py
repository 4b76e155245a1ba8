"""Mutation testing of the pure modules of `replicator.offsets`: small mistakes that tests must notice."""
