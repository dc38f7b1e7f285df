"""``python -m mmhmc.cli`` is the ``mmhmc`` command, too."""
import sys

from mmhmc.cli import main

if __name__ == '__main__':
    sys.exit(main())
