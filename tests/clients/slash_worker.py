"""A worker that stands in for Hermes': it answers each line of its stdin, and rests in between."""

import sys

for line in sys.stdin:
    print("done", line.strip(), flush=True)
