"""``python -m mmhmc`` is the ``mmhmc`` command."""
import sys

from mmhmc.cli import main

if __name__ == '__main__':
    sys.exit(main())
