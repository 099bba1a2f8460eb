"""What every test finds: the checkout, so that benchmarks can be imported from it."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
