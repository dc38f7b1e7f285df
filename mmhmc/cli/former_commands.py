"""Commands of former releases, which still work and warn."""
import sys
from collections.abc import Sequence

_KINDS = ('publish', 'compressai', 'authors', 'host', 'merge')


def current_command(argv: Sequence[str]) -> list[str]:
    """Today's words for a command.

    Args:
        argv: Arguments after the program's name.

    Returns:
        The same, or what a former command is called today, with a warning
        on stderr.
    """
    command, *rest = argv or ['']
    if command == 'download':
        new = ['zoo', 'list'] if '--list' in rest else ['zoo', 'get']
        _warn('mmhmc download', f'mmhmc {" ".join(new)}')
        return [*new, *(word for word in rest if word != '--list')]
    if command == 'export' and any(
            word.startswith('--from')
            for word in rest) and not set(rest[:1]) & set(_KINDS):
        _warn('mmhmc export --from', 'mmhmc export authors --from')
        return ['export', 'authors', *rest]
    return list(argv)


def _warn(former: str, today: str) -> None:
    print(
        f'mmhmc: `{former}` is called `{today}` now; the former name will go.',
        file=sys.stderr)
