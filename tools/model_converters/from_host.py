"""Weights of a host's checkpoint: `mmhmc export host`."""
from mmhmc.cli import run_tool

if __name__ == '__main__':
    run_tool('export', 'host')
