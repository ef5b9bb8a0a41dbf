"""How fast a rack of N machines is made ready, by one command: `python -m lab.bench`."""
