"""Run the console command ``dch`` as ``python -m streams``."""

from streams.cli.main import main

if __name__ == "__main__":
    main()
