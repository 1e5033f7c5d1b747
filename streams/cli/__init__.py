"""The console command ``dch``: one function per command, which imports what it needs when it runs."""
