"""Tasks of MPA in one checkpoint: `mmhmc export merge`."""
from mmhmc.cli import run_tool

if __name__ == '__main__':
    run_tool('export', 'merge')
