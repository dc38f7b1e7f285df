"""Rate against accuracy: the same as `mmhmc benchmark CONFIG`."""
from mmhmc.cli import run_tool

if __name__ == '__main__':
    run_tool('benchmark')
