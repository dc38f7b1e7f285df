"""Images to bitstreams and back, over folders, processes and machines.

.. code-block:: none

    files, folders ─► pairs ─► share of this rank ─┬─► worker ─► output ─┐
                                                   └─► worker ─► output ─┤
           report ◄── merged log ◄── all ranks ◄── line in the log ◄─────┘

An output appears whole or not at all, and one that is there already is not
coded again, so an interrupted run goes on where it stopped. What is there is
known by content, not by name: the log has a hash of each input and each output
beside that of the codec. Where the log is lost, the file is made again and
compared.
"""
import errno
import hashlib
import json
import math
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from mmhmc.bitstream import QUALITY_STEP, Bitstream, BitstreamError
from mmhmc.codecs import ImageCodec
from mmhmc.datasets import (IMAGE_SUFFIXES, has_note, read_image, read_size,
                            write_image)
from mmhmc.engine.ranks import Ranks, join_ranks
from mmhmc.engine.workers import work
from mmhmc.evaluation import PSNRMetric
from mmhmc.functional import to_8_bits
from mmhmc.progress import progress
from mmhmc.refinement import LatentRefinement, build_refinement
from mmhmc.structures import CodingCondition
from mmhmc.whole_files import sha256_of, write_whole
from mmhmc.zoo import find_model, is_zoo_name
from mmhmc.zoo.index import ZOO
from .codec_loading import CodecSource
from .config_files import locate, read_codec
from .file_pairs import (STREAM_SUFFIX, FilePair, image_name, pair_files,
                         stream_name)
from .host_reader import HostReader
from .importance_files import check_maps, importance_file, read_importance
from .rate_control import RateTarget, check_target, code_to_target
from .result_log import ResultLog

#: Errors that end the coding of one file, and not of the others.
_FILE_ERRORS = (OSError, ValueError, RuntimeError, MemoryError)
#: Errors that all other files would have, too.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_REPLACE = 'Move it away, or replace it with --force.'


@dataclass
class Outcome:
    """Result of coding one file.

    Args:
        pair: The file and its output.
        row: Its line of the log; None if it failed.
        was_done: Whether an earlier run had made the output.
        error: Why it failed, in one line.
        warnings: Warnings of ``mmhmc``, a line each.
    """

    pair: FilePair
    row: dict | None = None
    was_done: bool = False
    error: str = ''
    warnings: list[str] = field(default_factory=list)


@dataclass
class Report:
    """Results of coding all files, on all ranks.

    Args:
        outcomes: Of each file, sorted by output.
        rank: Number of this process; 0 is to speak for all.
    """

    outcomes: list[Outcome]
    rank: int = 0

    @property
    def failed(self) -> list[Outcome]:
        """Those without an output."""
        return [outcome for outcome in self.outcomes if outcome.error]

    def table(self) -> str:
        """Totals and means, a line each."""
        rows = [o.row for o in self.outcomes if o.row is not None]
        done = sum(outcome.was_done for outcome in self.outcomes)
        lines = [
            f'files    {len(self.outcomes)}: {len(rows) - done} coded, {done} '
            f'done before, {len(self.failed)} failed'
        ]
        if rows:
            total = sum(row['num_bytes'] for row in rows)
            pixels = sum(row['height'] * row['width'] for row in rows)
            lines += [
                f'bytes    {total}',
                f'bpp      {_mean(rows, "bpp"):.4f} mean of the images, '
                f'{8 * total / pixels:.4f} over all pixels'
            ]
        for key, name, unit in (('psnr', 'PSNR', 'dB'), ('seconds', 'seconds',
                                                         'an image')):
            known = [row for row in rows if key in row]
            if known:
                lines.append(f'{name:8} {_mean(known, key):.4g} {unit}, mean '
                             f'of {len(known)}')
        off = [row['off_target'] for row in rows if 'off_target' in row]
        if off:
            worst = max(off, key=abs)
            lines.append(f'target   at most {100 * worst:+.2f} % off')
        searched = [row['refined'] for row in rows if 'refined' in row]
        if searched:
            lines.append(_search_line(searched))
        return '\n'.join(lines)


def encode_images(inputs: Iterable[str | Path],
                  out_dir: str | Path,
                  source: CodecSource,
                  quality: float | None = None,
                  psnr: bool = False,
                  jobs: int = 1,
                  force: bool = False,
                  refinement: LatentRefinement | dict | int | None = None,
                  importance: str | Path | None = None,
                  target: RateTarget | None = None,
                  layers: int | None = None) -> Report:
    """Encode images; ``a.png`` becomes ``OUT_DIR/a.png.hmc``.

    ``OUT_DIR/encode.jsonl`` gets a line for each image: ``file``,
    ``output``, ``height``, ``width``, ``num_bytes``, ``streams`` (bytes of
    each), ``bpp``, ``state`` (hash of the codec's weights), ``input_hash`` and
    ``output_hash`` (of both files' content), and, if measured, ``seconds`` of
    coding, without files, and ``psnr``; of a refinement ``refinement``, a
    hash of its settings, and ``refined``, see :meth:`RefinedImage.summary`;
    with a target in place of ``refined`` ``off_target``, the part by which the
    file is above it.

    Args:
        inputs: Image files, and folders, whose structure is kept.
        out_dir: Folder of the outputs; made if it is not there.
        source: The codec.
        quality: Rate index, for codecs with several.
        psnr: Decode, too, and measure the PSNR in dB of the image rounded
            to 8 bits; 100 for equal images.
        jobs: Processes, each with one thread; with 1, this process codes.
        force: Replace outputs that exist.
        refinement: A search for better latents, its config, or its number of
            steps; see :class:`~mmhmc.refinement.LatentRefinement`.
        importance: What the refinement takes care of: a file with a map,
            boxes or masks, or a folder with a file for each image; see
            :func:`~mmhmc.apis.importance_files.read_importance`.
        target: What every file is to have, in place of a quality, see
            :func:`~mmhmc.apis.rate_control.code_to_target`.
        layers: How many layers each file has, with the factor 3 between
            them; None: as the codec's config says.

    Returns:
        Results of all files, with the errors of single files.

    Raises:
        OSError: If a file of the codec or ``out_dir`` is not usable.
        RuntimeError: If a worker or another rank has ended early.
        ValueError: If the arguments do not fit.
    """
    refinement = _checked_search(quality, refinement, importance, target)
    pairs = _images(inputs, importance)
    coder = partial(
        _Encoder,
        quality=quality,
        psnr=psnr,
        force=force,
        folder=str(out_dir),
        refinement=refinement,
        importance=importance,
        target=target)
    if layers is not None:
        source = replace(source, layers=layers)
    return _code('encode', pairs, Path(out_dir), source, coder, jobs)


def plan_encoding(inputs: Iterable[str | Path],
                  out_dir: str | Path,
                  source: CodecSource,
                  quality: float | None = None,
                  refinement: LatentRefinement | dict | int | None = None,
                  importance: str | Path | None = None,
                  target: RateTarget | None = None,
                  layers: int | None = None) -> list[str]:
    """Say what :func:`encode_images` would do, and write nothing.

    Of the weights only a checkpoint that is a file is read.

    Args:
        inputs: Image files, and folders.
        out_dir: Folder of the outputs.
        source: The codec.
        quality: This and what follows as in :func:`encode_images`.
        refinement: See there.
        importance: See there.
        target: See there.
        layers: See there.

    Returns:
        A line for the codec, and one for each image.

    Raises:
        OSError: If an image, its map, the config or the checkpoint cannot be
            read.
        ValueError: If there is no codec, an input is no image, the weights or
            an argument do not fit.
    """
    refinement = _checked_search(quality, refinement, importance, target)
    if layers is not None:
        source = replace(source, layers=layers)
    codec = _without_downloads(source)
    _check_codec(codec, torch.device('cpu'), _condition(quality), refinement,
                 target)
    name = read_codec(source.config, source.cfg_options).type
    weights = source.checkpoint or locate(source.config).checkpoint
    lines = [f'{name}{f", weights {weights}" if weights else ""}']
    for pair in _images(inputs, importance):
        height, width = read_size(pair.source)
        if importance is not None:
            read_importance(importance, pair.source, (height, width),
                            _name(pair))
        output = Path(out_dir) / pair.output
        lines.append(f'{pair.source} ({width} x {height}) -> {output}'
                     f'{" (exists)" if output.exists() else ""}')
    return lines


def _without_downloads(source: CodecSource) -> ImageCodec:
    """The codec, with the weights of a file, and else with none."""
    checkpoint = source.checkpoint
    if checkpoint is not None and is_zoo_name(checkpoint):
        find_model(checkpoint.removeprefix(ZOO))
    elif checkpoint is not None and '://' not in checkpoint:
        return replace(source, device='cpu').load()
    return source.build()


def decode_bitstreams(inputs: Iterable[str | Path],
                      out_dir: str | Path,
                      source: CodecSource,
                      jobs: int = 1,
                      force: bool = False,
                      layers: int | None = None) -> Report:
    """Decode bitstreams to PNG; ``a.png.hmc`` becomes ``OUT_DIR/a.png``.

    ``a.jpg.hmc`` becomes ``a.jpg.png``. A PNG keeps a hash of its stream and
    codec, by which a later run knows it as its own. ``OUT_DIR/decode.jsonl``
    and the errors are those of :func:`encode_images`, without ``psnr``.

    Args:
        inputs: Bitstream files, and folders, whose structure is kept.
        out_dir: Folder of the outputs; made if it is not there.
        source: The codec.
        jobs: Processes, each with one thread; with 1, this process decodes.
        force: Replace outputs that exist.
        layers: How many layers of each file to decode; None: all that are
            there.

    Returns:
        Results of all files, with the errors of single files.
    """
    pairs = pair_files(inputs, (STREAM_SUFFIX, ), image_name)
    coder = partial(_Decoder, force=force, folder=str(out_dir), layers=layers)
    return _code('decode', pairs, Path(out_dir), source, coder, jobs)


class _Coder(ABC):
    """Makes one output after another; built once in each process."""

    def __init__(self, source: CodecSource, force: bool, folder: str) -> None:
        self.codec = source.load()
        self.device = torch.device(source.device)
        self.force, self.folder = force, Path(folder)
        self.state = _hash_of_weights(self.codec)

    def __call__(self, task: tuple[FilePair, dict | None]) -> Outcome:
        """Make one output.

        Args:
            task: The pair, and its line of the log if there is one.
        """
        pair, known = task
        try:
            with _own_warnings() as noted:
                (self.folder / pair.output).parent.mkdir(
                    parents=True, exist_ok=True)
                row, was_done = self.code(pair, known or {})
        except _FILE_ERRORS as error:
            if getattr(error, 'errno', None) in _NO_ROOM:
                raise _no_room(error, self.folder / pair.output) from error
            return Outcome(pair, error=_one_line(error, pair.source))
        return Outcome(pair, row, was_done, warnings=noted)

    @abstractmethod
    def code(self, pair: FilePair, known: dict) -> tuple[dict, bool]:
        """Make an output, unless it is there.

        Returns:
            Its line for the log, and whether it was there.
        """


class _Encoder(_Coder):

    def __init__(self, source: CodecSource, force: bool, folder: str,
                 quality: float | None, psnr: bool,
                 refinement: LatentRefinement | None,
                 importance: str | Path | None,
                 target: RateTarget | None) -> None:
        super().__init__(source, force, folder)
        self.refinement, self.importance = refinement, importance
        self.target = target
        self.condition = _condition(quality)
        self.quality, self.psnr = quality, psnr
        _check_codec(self.codec, self.device, self.condition, refinement,
                     target)

    def code(self, pair: FilePair, known: dict) -> tuple[dict, bool]:
        output = self.folder / pair.output
        there = None if self.force else self.existing(pair)
        hashes = dict(
            state=self.state,
            input_hash=sha256_of(pair.source)[:16],
            **self.search_hash(pair))
        if there is not None:
            hashes['output_hash'] = _hash(there.to_bytes())
            if all(known.get(key) == value for key, value in hashes.items()):
                return self.with_psnr(known, pair, there), True
            if hashes['output_hash'] == known.get('output_hash'):
                raise FileExistsError(
                    f'{output} exists and was coded from another image, '
                    f'{known["file"]} as it was then, or with other weights or'
                    f' another precision, or by another refinement. {_REPLACE}'
                )
        x = read_image(pair.source)[None].to(self.device)
        start = time.perf_counter()
        stream, found = self.coded(x, pair)
        seconds = time.perf_counter() - start
        if there is None:
            write_whole(output, stream.to_bytes())
        elif there != stream:
            raise FileExistsError(f'{output} exists and is not what this codec'
                                  f' makes of {pair.source}. {_REPLACE}')
        hashes['output_hash'] = _hash(stream.to_bytes())
        row = _row(pair, stream, seconds=seconds, **found, **hashes)
        row = {key: value for key, value in row.items() if value is not None}
        return self.with_psnr(row, pair, stream, x), there is not None

    def coded(self, x: Tensor, pair: FilePair) -> tuple[Bitstream, dict]:
        """The bitstream of an image, and what a search says of it."""
        weights = None
        if self.importance is not None:
            weights = read_importance(self.importance, pair.source,
                                      (x.shape[-2], x.shape[-1]),
                                      _name(pair)).to(x)
        if self.target is not None:
            trial = code_to_target(self.codec, x, self.target, self.condition,
                                   self.refinement, weights)
            return trial.bitstream, dict(off_target=math.expm1(trial.excess))
        if self.refinement is None:
            stream, = self.codec.compress(x, self.condition)
            return stream, {}
        found = self.refinement.refine(self.codec, x, self.condition, weights)
        return found.bitstream, dict(refined=found.summary())

    def search_hash(self, pair: FilePair) -> dict:
        """What decides a search, in short; None without one."""
        if self.refinement is None and self.target is None:
            return dict(refinement=None)
        settings = self.refinement.settings() if self.refinement else {}
        if self.target is not None:
            settings['target'] = vars(self.target)
        if self.importance is not None:
            path = importance_file(self.importance, pair.source, _name(pair))
            settings['map'] = sha256_of(path)
        text = json.dumps(settings, sort_keys=True)
        return dict(refinement=_hash(text.encode()))

    def with_psnr(self,
                  row: dict,
                  pair: FilePair,
                  stream: Bitstream,
                  x: Tensor | None = None) -> dict:
        """A row with its PSNR, if that is asked for."""
        if not self.psnr or 'psnr' in row:
            return row
        if x is None:
            x = read_image(pair.source)[None].to(self.device)
        # Of the image as `write_image` stores it.
        x_hat = to_8_bits(self.codec.decompress([stream]))
        return {**row, 'psnr': PSNRMetric().measure(x, x_hat)}

    def existing(self, pair: FilePair) -> Bitstream | None:
        """Bitstream of an earlier run of the same kind, if there is one."""
        path = self.folder / pair.output
        if not path.exists():
            return None
        try:
            stream = Bitstream.from_bytes(path.read_bytes())
        except BitstreamError as error:
            raise FileExistsError(
                f'{path} exists and is damaged or no bitstream: {error} '
                f'{_REPLACE}') from error
        ours = self.reference(read_size(pair.source))
        names = ['codec', 'weights', 'size']
        if self.target is None:
            names.append('quality')
        for name in names:
            there, here = getattr(stream, name), getattr(ours, name)
            if there != here:
                raise FileExistsError(
                    f'{path} exists, but its {name} is {_shown(there)}, and '
                    f'here it is {_shown(here)}. {_REPLACE}')
        return stream

    def reference(self, size: tuple[int, int]) -> Bitstream:
        """Header that this codec would write."""
        quality = self.quality
        if quality is not None:
            quality = round(quality / QUALITY_STEP) * QUALITY_STEP
        return Bitstream(
            self.codec.codec_id or type(self.codec).__name__,
            size,
            weights=self.codec.weights_hash(),
            quality=quality)


class _Decoder(_Coder):

    def __init__(self, source: CodecSource, force: bool, folder: str,
                 layers: int | None) -> None:
        super().__init__(source, force, folder)
        self.layers = layers

    def code(self, pair: FilePair, known: dict) -> tuple[dict, bool]:
        stream = Bitstream.from_bytes(
            Path(pair.source).read_bytes(), partial=True)
        if self.layers is not None:
            stream = stream.keep_layers(self.layers)
        data = stream.to_bytes()
        output = self.folder / pair.output
        note = hashlib.sha256(data + self.state.encode()).hexdigest()
        hashes = dict(state=self.state, input_hash=_hash(data))
        was_done = output.exists() and not self.force
        if was_done:
            if not has_note(output, note):
                raise FileExistsError(f'{output} exists and is not the image '
                                      f'of this stream by this codec. '
                                      f'{_REPLACE}')
            hashes['output_hash'] = sha256_of(output)[:16]
            if all(known.get(key) == value for key, value in hashes.items()):
                return known, True
        start = time.perf_counter()
        x_hat = self.codec.decompress([stream])[0].cpu()
        seconds = time.perf_counter() - start
        if not was_done:
            write_image(output, x_hat, note)
        elif not torch.equal(read_image(output), to_8_bits(x_hat)):
            raise FileExistsError(f'{output} exists and was changed after this'
                                  f' stream was decoded to it. {_REPLACE}')
        hashes['output_hash'] = sha256_of(output)[:16]
        return _row(pair, stream, seconds=seconds, **hashes), was_done


def _code(name: str, pairs: list[FilePair], out_dir: Path, source: CodecSource,
          coder: Callable[..., _Coder], jobs: int) -> Report:
    if jobs < 1:
        raise ValueError(f'`jobs` must be 1 or more, got {jobs}.')
    ranks = join_ranks()
    source = _on_own_device(source, ranks)
    log = ResultLog(out_dir, name, ranks.rank, ranks.size)
    known = log.read()
    tasks = [(pair, known.get(pair.output)) for pair in ranks.share(pairs)]
    outcomes = []
    with progress(name, len(tasks), ranks.rank == 0) as advance, \
            _folder_for_results(out_dir):
        with closing(work(partial(coder, source), tasks, jobs)) as results:
            for outcome in results:
                if outcome.row not in (None, known.get(outcome.pair.output)):
                    log.append(outcome.row)
                outcomes.append(outcome)
                advance()
    return _merge(outcomes, log, ranks)


def _merge(outcomes: list[Outcome], log: ResultLog, ranks: Ranks) -> Report:
    try:
        outcomes = sum(ranks.gather(outcomes), [])
        outcomes.sort(key=lambda outcome: outcome.pair.output)
        if ranks.rank == 0 and (rows := [o.row for o in outcomes if o.row]):
            log.finish(rows)
        # A launcher ends all when one ends: wait for the log.
        ranks.gather(None)
    except RuntimeError as error:
        raise RuntimeError(
            'Another process has ended early; what is finished stays, and the '
            f'same command goes on from here ({error}).') from error
    ranks.leave()
    return Report(outcomes, ranks.rank)


def _on_own_device(source: CodecSource, ranks: Ranks) -> CodecSource:
    """Deal out the GPUs of a machine among its processes."""
    if source.device != 'cuda' or ranks.size == 1:
        return source
    count = max(1, torch.cuda.device_count())
    return replace(source, device=f'cuda:{ranks.local_rank % count}')


@contextmanager
def _folder_for_results(folder: Path) -> Iterator[None]:
    """Make a folder, which goes again if nothing gets into it."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # it is not empty
            folder.rmdir()
        raise


def _no_room(error: OSError, output: Path) -> OSError:
    return OSError(
        error.errno, f'{error.strerror}. What is finished stays; '
        'the same command goes on from there', str(output))


@contextmanager
def _own_warnings() -> Iterator[list[str]]:
    """Collect warnings of ``mmhmc`` itself, to report them with the file."""
    noted: list[str] = []
    package = str(Path(__file__).parents[1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        yield noted
    noted += [
        str(warning.message) for warning in caught
        if warning.filename.startswith(package)
    ]


def _checked_search(quality: float | None,
                    refinement: LatentRefinement | dict | int | None,
                    importance: str | Path | None,
                    target: RateTarget | None) -> LatentRefinement | None:
    """The search that is asked for; refuses what excludes each other."""
    if refinement is not None:
        refinement = build_refinement(refinement)
    elif importance is not None:
        raise ValueError('A map needs a refinement, which follows it.')
    if target is not None and quality is not None:
        raise ValueError('Give a quality or a target, not both.')
    return refinement


def _check_codec(codec: ImageCodec, device: torch.device,
                 condition: CodingCondition | None,
                 refinement: LatentRefinement | None,
                 target: RateTarget | None) -> None:
    """Refuse, once for all images, what the codec or a host cannot do.

    That is a host that cannot be asked, a quality that the codec does not
    know, and a target that it cannot have.
    """
    readers = [] if refinement is None else [
        *refinement.readers,
        getattr(refinement.importance, 'reader', None)
    ]
    for reader in readers:
        if isinstance(reader, HostReader):
            reader.check(device)
    codec.check_images(torch.zeros(1, 3, 1, 1, device=device), condition)
    if target is not None:
        check_target(codec, refinement)


def _condition(quality: float | None) -> CodingCondition | None:
    return None if quality is None else CodingCondition(quality=quality)


def _images(inputs: Iterable[str | Path],
            importance: str | Path | None) -> list[FilePair]:
    """Images and their files, whose maps can be told apart."""
    pairs = pair_files(inputs, IMAGE_SUFFIXES, stream_name)
    if importance is not None:
        check_maps(importance, {_name(pair): pair.source for pair in pairs})
    return pairs


def _name(pair: FilePair) -> str:
    """Path of an image below the folder that was given."""
    return pair.output.removesuffix(STREAM_SUFFIX)


def _row(pair: FilePair, stream: Bitstream, **more) -> dict:
    height, width = stream.size
    return dict(
        file=pair.source,
        output=pair.output,
        height=height,
        width=width,
        num_bytes=stream.num_bytes,
        streams={
            name: len(data)
            for name, data in stream.streams.items()
        },
        bpp=8 * stream.num_bytes / (height * width),
        **more)


def _search_line(found: list[dict]) -> str:
    """What searches have done, in one line."""
    better = sum(one['is_refined'] for one in found)
    before = sum(one['before'] for one in found)
    after = sum(one['after'] for one in found)
    text = (f'refined  {better} of {len(found)}, objective '
            f'{100 * (after / before - 1):+.1f} %')
    if better < len(found):
        text += f'; {len(found) - better} stay as they were: no better found'
    return text


def _shown(value) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)


def _hash_of_weights(codec: ImageCodec) -> str:
    """16 hexadecimal digits: all weights, the precision, other settings."""
    digest = hashlib.sha256(str(codec.transform_dtype).encode())
    digest.update(json.dumps(codec.settings(), sort_keys=True).encode())
    if codec.layers:
        digest.update(repr(codec.layers).encode())
    for name, tensor in codec.state_dict().items():
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        content = tensor.detach().cpu().contiguous().flatten()
        digest.update(content.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _hash(data: bytes) -> str:
    """16 hexadecimal digits that stand for a file's content."""
    return hashlib.sha256(data).hexdigest()[:16]


def _mean(rows: list[dict], key: str) -> float:
    return sum(row[key] for row in rows) / len(rows)


def _one_line(error: BaseException, source: str) -> str:
    text = ' '.join(str(error).split()) or type(error).__name__
    return text if source in text else f'{source}: {text}'
