"""Test a checkpoint: `python tools/test.py CONFIG CHECKPOINT`."""
from mmhmc.cli import run_tool

if __name__ == '__main__':
    run_tool('test')
