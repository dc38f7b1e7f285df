"""What each layer of a bitstream shows, to people and to a network."""
import sys

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.apis.config_files import OptionsAction
from mmhmc.cli.arguments import add_output, keep_existing
from mmhmc.machine import tune_cpu


def main(argv=None) -> None:
    """Draw."""
    parser = tool_parser(__doc__)
    parser.add_argument(
        'config', help="config of an mmseg model on a layered codec's latents")
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument('images', nargs='+', help='image files')
    add_output(parser, 'FILE.png', 'PNG to write', required=True)
    parser.add_argument(
        '--reference',
        nargs=2,
        metavar=('CONFIG', 'CHECKPOINT'),
        help='model that sees images, for a last column')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
    args = parser.parse_args(argv)
    keep_existing([args.output], args.force)
    if argv is None:
        tune_cpu()
    from mmhmc.apis import HMCInferencer, read_config
    from mmhmc.visualization.layer_images import write_layer_images
    try:
        inferencer = HMCInferencer(
            args.config,
            args.checkpoint,
            device='cpu',
            options=args.cfg_options)
        reference = None
        if args.reference:
            from mmseg.apis import init_model
            config, checkpoint = args.reference
            reference = init_model(read_config(config), checkpoint, 'cpu')
        path = write_layer_images(inferencer, args.images, args.output,
                                  reference)
    except (OSError, ValueError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'Written: {path}')


if __name__ == '__main__':
    run_tool(main)
