"""What a flex template starts: the encode job."""

import sys

from pipelines.encode import main

if __name__ == "__main__":
    sys.exit(main())
