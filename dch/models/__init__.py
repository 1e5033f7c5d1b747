"""A frozen model: two towers, the codes they make, and the running sums they read."""
