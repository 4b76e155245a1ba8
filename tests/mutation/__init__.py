"""Mutation testing of the pure modules of `offsets` and `failover`: small mistakes that tests must notice."""
