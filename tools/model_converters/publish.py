"""Make a checkpoint fit to be given away: `mmhmc export publish`."""
from mmhmc.cli import run_tool

if __name__ == '__main__':
    run_tool('export', 'publish')
