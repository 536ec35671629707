"""What a flex template starts: the encode job. The launcher only hands it over, and waits for nothing."""

import sys

from pipelines.encode import main

if __name__ == "__main__":
    sys.exit(main([*sys.argv[1:], "--no_wait_until_finish"]))
