"""Say in the metafiles where the weights are served.

python tools/model_converters/set_zoo_url.py URL [--root FOLDER]

`mim download mmhmc --config NAME` takes what `Weights` says, so it needs
addresses there. URL is where the files of model_zoo/ are served; the URL
model_zoo brings the paths of the repository back. `mmhmc download` needs none
of this: there MMHMC_ZOO_URL or --base-url does.
"""
import re
from pathlib import Path

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.whole_files import write_whole

ROOT = Path(__file__).resolve().parents[2]


def set_zoo_url(root: Path, url: str) -> int:
    """Rewrite the metafiles below ``root/configs``; number of models."""
    count = 0
    for path in sorted(root.glob('configs/*/metafile.yml')):
        text, found = re.subn(
            r'^( +Weights: )\S*?([^/\s]+)$',
            lambda match: f'{match[1]}{url.rstrip("/")}/{match[2]}',
            path.read_text(encoding='utf-8'),
            flags=re.MULTILINE)
        write_whole(path, text.encode())
        count += found
    return count


def main() -> None:
    """Rewrite and say how many."""
    parser = tool_parser(__doc__)
    parser.add_argument('url')
    parser.add_argument('--root', type=Path, default=ROOT)
    args = parser.parse_args()
    print(f'{set_zoo_url(args.root, args.url)} models')


if __name__ == '__main__':
    run_tool(main)
