"""What all tests share."""

from hypothesis import settings

# Derandomised: a failure repeats. No deadline: the first example compiles kernels.
settings.register_profile("dch", deadline=None, derandomize=True)
settings.load_profile("dch")
