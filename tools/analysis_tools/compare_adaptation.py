"""With adaptation, without it, uncompressed: `mmhmc compare CONFIG`."""
from mmhmc.cli import run_tool

if __name__ == '__main__':
    run_tool('compare')
