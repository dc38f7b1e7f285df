"""Take a codec out of a checkpoint of CompressAI.

python tools/model_converters/from_compressai.py IN OUT.safetensors
    [--codec CONFIG [--cfg-options KEY=VALUE ...]]

IN is what CompressAI's training examples save, or a file of its model zoo,
with the names of any version. The codec and its sizes are found from the
weights, and OUT.py gets its config; or CONFIG has the codec with the same
sizes. With entropy tables (of `model.update()`) IN decodes to the same images
as in CompressAI; without, they are made of the quantiles that IN brings. OUT
is not kept unless it codes an image to the same bytes as IN.
"""
from pathlib import Path

from mmhmc.apis.codec_loading import codec_settings
from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.apis.compressai_weights import export_compressai_weights
from mmhmc.apis.config_files import OptionsAction


def main() -> None:
    """Convert one checkpoint."""
    parser = tool_parser(__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--codec', metavar='CONFIG')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
    args = parser.parse_args()
    if args.out.suffix != '.safetensors':
        parser.error(f'`out` must end in .safetensors, got {args.out}')
    if args.cfg_options and not args.codec:
        parser.error('--cfg-options change the config of --codec')
    codec = codec_settings(args.codec, args.cfg_options) if args.codec \
        else None
    files = export_compressai_weights(args.checkpoint, args.out, codec)
    print(f'{", ".join(map(str, files))}: codes as {args.checkpoint}')


if __name__ == '__main__':
    run_tool(main)
