"""`python -m clarify.cli`: the same as `clarify`."""

import sys

from clarify.cli import main

if __name__ == "__main__":
    sys.exit(main())
