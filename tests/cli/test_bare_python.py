"""What looks at bitstreams needs no torch, no numpy and no OpenMMLab."""
import subprocess
import sys

from mmhmc.bitstream import Bitstream

RUN = '''
import sys


class Absent:
    """Finds no package that is not Python's own or this one."""

    def find_spec(self, name, path=None, target=None):
        first = name.split('.')[0]
        if first not in sys.stdlib_module_names and first != 'mmhmc':
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)


sys.meta_path.insert(0, Absent())
from mmhmc.cli import main
sys.exit(main())
'''


def run(*arguments):
    return subprocess.run([sys.executable, '-c', RUN, *map(str, arguments)],
                          capture_output=True,
                          text=True)


def test_info_cut_and_join_need_python_only(tmp_path):
    whole, base, rest, again = (
        tmp_path / f'{name}.hmc'
        for name in ('whole', 'base', 'rest', 'again'))
    stream = Bitstream(
        'mbt2018-mean', (40, 52),
        weights=b'1234',
        streams=dict(z=b'zz', y0=b'base', y1=b'rest'))
    whole.write_bytes(stream.to_bytes())
    for command, expected in (
        (('info', whole), 'image     40 x 52'),
        (('info', '--json', tmp_path), '"codec": "mbt2018-mean"'),
        (('cut', whole, '-o', base, '--rest', rest), '1 layer, '),
        (('join', base, rest, '-o', again), '2 layers, '),
    ):
        result = run(*command)
        assert result.returncode == 0, result.stderr
        assert expected in result.stdout
    assert again.read_bytes() == whole.read_bytes()


def test_damage_is_one_line_there_too(tmp_path):
    file = tmp_path / 'a.hmc'
    file.write_bytes(b'HMC')
    result = run('info', file)
    assert result.returncode == 1
    assert result.stderr.startswith('mmhmc info: ')
    assert result.stderr.count('\n') == 1
