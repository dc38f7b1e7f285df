"""A made-up results file of the benchmark, small and exactly known."""
import json

import numpy as np
from PIL import Image

RUN = dict(
    kind='run',
    format=1,
    settings=dict(protocol='before the pipeline', note='<b>a & b</b>'),
    versions=dict(mmhmc='0.1', torch='2.11.0'))
#: Of every image: 80 x 60 = 4800 pixels.
SIZE = dict(width=80, height=60)
NAMES = ('a.png', 'b.png', 'c.png')
#: Rate factor of each codec; dB at a rate are the same for all.
RATES = dict(HEVC=1.0, VVC=0.75, JPEG=2.0)


def coded(codec, point, image, **changes):
    """A coded image; point q is 40 * 2**q bytes for HEVC and image a."""
    number = NAMES.index(image)
    size = 40 * 2**point * (1 + 0.25 * number)
    return dict(
        dict(
            kind='coded',
            codec=codec,
            point=f'q{point}',
            dataset='kodak',
            image=image,
            **SIZE,
            bytes=round(RATES[codec] * size),
            encode_ms=2.0,
            decode_ms=1.0,
            key='b2c1',  # of the runner's own, no metric
            psnr=28 + 2 * point + 0.05 * point**2 - number,
            ms_ssim=1 - 0.1 / 2**point),
        **changes)


def task(codec, point, value, **changes):
    """What a task found on the same images."""
    name = {} if codec is None else dict(point=f'q{point}')
    return dict(
        dict(
            kind='task',
            codec=codec,
            **name,
            dataset='kodak',
            task='yolox_box',
            metrics={'coco/bbox_mAP': value},
            num_images=3), **changes)


def lines(codecs=tuple(RATES), points=range(4)):
    """All lines: images, a task, complexity, one failure."""
    rows = [RUN]
    for codec in codecs:
        rows += [
            coded(codec, point, name) for point in points for name in NAMES
        ]
        rows += [task(codec, point, 0.2 + 0.02 * point) for point in points]
        rows.append(
            dict(
                kind='complexity',
                codec=codec,
                point='q0',
                parameters=1200,
                kmac=dict(encoder=1.5, decoder=2.0),
                encode_ms=2.0,
                decode_ms=1.0,
                peak_mib=3.0))
    rows.append(task(None, None, 0.3))
    rows.append(
        dict(
            kind='failure',
            codec=codecs[-1],
            point='q9',
            dataset='kodak',
            stage='coding',
            image='a.png',
            error='x265 ended with <1> & "nothing"'))
    return rows


def write_lines(path, rows):
    """Write a results file."""
    path.write_text(''.join(json.dumps(row) + '\n' for row in rows))
    return path


def write_images(folder, rows):
    """Originals, and decoded images that rows then name.

    Returns:
        The folder of the originals, and the rows.
    """
    generator = np.random.default_rng(0)
    (folder / 'kodak').mkdir()
    shape = SIZE['height'], SIZE['width'], 3
    for name in NAMES:
        pixels = generator.integers(0, 255, shape, np.uint8)
        Image.fromarray(pixels).save(folder / 'kodak' / name)
        Image.fromarray(pixels // 2).save(folder / f'decoded_{name}')
    rows = [
        dict(row, decoded=f'decoded_{row["image"]}')
        if row['kind'] == 'coded' else row for row in rows
    ]
    return folder / 'kodak', rows
