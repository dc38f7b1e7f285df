"""Train by a config: `python tools/train.py CONFIG [--codec NAME]`."""
from mmhmc.cli import run_tool

if __name__ == '__main__':
    run_tool('train')
