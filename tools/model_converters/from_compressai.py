"""A codec of a checkpoint of CompressAI: `mmhmc export compressai`."""
from mmhmc.cli import run_tool

if __name__ == '__main__':
    run_tool('export', 'compressai')
