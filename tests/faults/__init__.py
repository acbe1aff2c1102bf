"""What goes wrong around the programs: odd and hostile files, kills, full disks.

The tests are short, and as long as ``TORTURE`` says: it multiplies their cases, see ``make
torture``.
"""

import os

TORTURE = int(os.environ.get("TORTURE", "1"))

CASES = 20 * TORTURE
"""Files of each kind that the fuzz tests draw."""
