"""Make the built-in sample data set for instance segmentation.

It is drawn from the photographs that come with scikit-image: 5 classes, COCO
format, no download.

python tools/dataset_converters/make_sample.py --out data/mmhmc_sample
"""
from pathlib import Path

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.datasets import digest_sample_instances, make_sample_instances
from mmhmc.progress import progress


def main() -> None:
    parser = tool_parser(__doc__)
    parser.add_argument(
        '-o', '--output', dest='out', type=Path, default='data/mmhmc_sample')
    parser.add_argument('--num-train', type=int, default=240)
    parser.add_argument('--num-val', type=int, default=48)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    with progress('Drawing', args.num_train + args.num_val) as advance:
        root = make_sample_instances(args.out, args.num_train, args.num_val,
                                     args.seed, advance)
    print(f'{root}: {args.num_train} train and {args.num_val} val images, '
          f'SHA-256 {digest_sample_instances(root)}')


if __name__ == '__main__':
    run_tool(main)
