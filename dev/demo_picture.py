"""The picture of `mmhmc demo` in the README: two photographs, four columns.

    python dev/demo_picture.py [--model NAME] [-o docs/images/demo.jpg]

Runs the demonstration on photographs of the package, and draws the original
and what was decoded with the objects that one detector finds. An object that
is in the original, too, is green, another one red.
"""
import argparse
import tempfile

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mmhmc.apis.command import run_tool
from mmhmc.apis.demo import DEFAULT_MODEL, built_in_photographs, run_demo
from mmhmc.visualization import DemoFigure, FoundObject

COLUMNS = ('Original', 'mmhmc', 'JPEG', 'HEVC')
PHOTOGRAPHS = ('coffee', 'astronaut')
GREEN, RED = '#3ddbcb', '#ff5a4f'
_DPI = 100


def draw(axes: Axes, figure: DemoFigure) -> None:
    """An image, its objects, and its rate below."""
    axes.imshow(figure.pixels, interpolation='antialiased')
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    text = f'{figure.num_bytes:,} bytes · {figure.bpp:.2f} bpp'
    if figure.psnr is not None:
        text += f' · {figure.psnr:.1f} dB'
    axes.set_xlabel(text, loc='left', fontsize=11, color='#555')
    for one in figure.found:
        draw_object(axes, figure, one)


def draw_object(axes: Axes, figure: DemoFigure, one: FoundObject) -> None:
    """Its box, with the name in the lower right corner."""
    height, width = figure.pixels.shape[:2]
    left, top, right, bottom = (
        min(max(part, 0), 1) * side
        for part, side in zip(one.box, (width, height) * 2))
    is_same = figure.title == 'Original' or one.is_known
    colour = GREEN if is_same else RED
    axes.add_patch(
        Rectangle((left, top),
                  right - left,
                  bottom - top,
                  fill=False,
                  edgecolor=colour,
                  linewidth=2))
    axes.text(
        right,
        bottom,
        one.name,
        ha='right',
        va='bottom',
        fontsize=11,
        fontweight='bold',
        color='#123' if is_same else 'white',
        bbox=dict(facecolor=colour, edgecolor='none', pad=2),
        clip_on=True)


def main() -> None:
    """Run the demonstration and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', default=DEFAULT_MODEL)
    parser.add_argument('-o', '--output', default='docs/images/demo.jpg')
    args = parser.parse_args()
    files = [f for f in built_in_photographs() if f.stem in PHOTOGRAPHS]
    with tempfile.TemporaryDirectory() as folder:
        images = run_demo(files, args.model, out_dir=folder).images
    heights = [
        one.figures[0].pixels.shape[0] / one.figures[0].pixels.shape[1]
        for one in images
    ]
    _, rows = plt.subplots(
        len(images),
        len(COLUMNS),
        figsize=(14, 3.5 * sum(heights) + 0.9),
        height_ratios=heights,
        layout='constrained')
    for row, image in zip(rows, images):
        by_title = {figure.title: figure for figure in image.figures}
        for axes, title in zip(row, COLUMNS):
            draw(axes, by_title[title])
    for axes, title in zip(rows[0], COLUMNS):
        axes.set_title(title, loc='left', fontweight='bold', fontsize=16)
    plt.savefig(args.output, dpi=_DPI, pil_kwargs=dict(quality=88))


if __name__ == '__main__':
    run_tool(main)
