"""``python -m streams`` is the console command ``dch``."""

from streams.cli import main

if __name__ == "__main__":
    main()
