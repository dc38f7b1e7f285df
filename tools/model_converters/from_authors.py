"""A codec of the authors' weights: `mmhmc export authors`."""
from mmhmc.cli import run_tool

if __name__ == '__main__':
    run_tool('export', 'authors')
