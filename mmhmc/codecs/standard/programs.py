"""Finding and running programs that encode and decode images."""
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

_LAST_LINES = 5


class ProgramFailure(RuntimeError):
    """A program was found and started, but did not do its work."""


def run_program(command: Sequence[str],
                data: bytes | None = None,
                timeout: float = 600.,
                remedy: str = 'Check its arguments.',
                complaints: Sequence[str] | None = None) -> bytes:
    """Run a program to its end.

    Args:
        command: Program and arguments.
        data: Its standard input; None for nothing.
        timeout: Seconds after which it is ended.
        remedy: What to do if it fails, for the message.
        complaints: Texts in its standard error that mean that it failed,
            whatever its exit code is.

    Returns:
        Its standard output.

    Raises:
        ProgramFailure: If it ends with another exit code than 0, with a
            complaint, or not in time.
        RuntimeError: If it does not exist or cannot be started.
    """
    source = dict(stdin=subprocess.DEVNULL) if data is None else dict(
        input=data)
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=timeout,
            **source)
    except subprocess.TimeoutExpired as error:
        raise ProgramFailure(
            f'`{command[0]}` was ended after {timeout:g} seconds; its last '
            f'words: {_last_lines(error.stderr, error.stdout)} Raise '
            '`timeout` if it only is slow.') from None
    except OSError as error:
        raise RuntimeError(
            f'`{command[0]}` cannot be started: {error.strerror}. Give the '
            'path of a program that runs on this machine.') from error
    words = done.stderr.decode(errors='replace')
    if done.returncode or any(text in words for text in complaints or []):
        # Reference software reports errors on its standard output.
        raise ProgramFailure(
            f'`{command[0]}` ended with exit code {done.returncode}; its last '
            f'words: {_last_lines(done.stderr, done.stdout)} {remedy}')
    return done.stdout


def find_ffmpeg() -> str:
    """Path of the ffmpeg that the package imageio-ffmpeg brings.

    The environment variable ``IMAGEIO_FFMPEG_EXE`` names another.

    Raises:
        RuntimeError: If the package is missing, or has no program for this
            machine.
    """
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError as error:
        raise RuntimeError(
            'HEVC and VVC need the package imageio-ffmpeg, which is not '
            'installed: `pip install imageio-ffmpeg`.') from error
    return get_ffmpeg_exe()


@lru_cache
def describe_ffmpeg(ffmpeg: str) -> str:
    """Name and version of an ffmpeg, as it says it."""
    return _first_line(run_program([ffmpeg, '-version']))


@lru_cache
def describe_program(path: str) -> str:
    """What a reference encoder or decoder says it is, or its file name."""
    try:
        words = _first_line(run_program([path, '--help'], timeout=60))
    except ProgramFailure:
        words = ''
    return words or Path(path).name


def _first_line(output: bytes) -> str:
    lines = output.decode(errors='replace').split('\n')
    return next((line.strip() for line in lines if line.strip()), '')


def _last_lines(*outputs: bytes | None) -> str:
    for output in outputs:
        lines = (output or b'').decode(errors='replace').strip().splitlines()
        if lines:
            return ' | '.join(lines[-_LAST_LINES:]) + '.'
    return 'none.'
