"""Progress is said where it can be read."""
from mmhmc import progress as module
from mmhmc.progress import progress


def test_log_gets_a_line_now_and_then(capsys, monkeypatch):
    now = iter([0., 10., 35., 40.])
    monkeypatch.setattr(module.time, 'monotonic', lambda: next(now))
    with progress('coding', 4) as advance:
        for _ in range(3):
            advance()
    assert capsys.readouterr().err == 'coding: 2/4, 0.6 minutes left\n'


def test_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(module.sys.stderr, 'isatty', lambda: True)
    with progress('coding', 2) as advance:
        advance()
    assert 'coding' in capsys.readouterr().err


def test_nothing_is_said_for_the_other_ranks(capsys, monkeypatch):
    monkeypatch.setattr(module, '_SECONDS', 0)
    with progress('coding', 1, shown=False) as advance:
        advance()
    assert capsys.readouterr().err == ''
