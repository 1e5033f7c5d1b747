"""A frozen model: two towers, the running sums they read, and the codes they make."""
