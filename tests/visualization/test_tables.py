import pytest

from mmhmc.visualization import Table

TABLE = Table(('Codec', 'a|b'), [('x_1 & y', '−2.5 %'), ('<i>', '3')],
              'All of #1')


def test_markdown_is_aligned_and_escaped():
    assert TABLE.to_markdown() == '''All of #1

| Codec       |   a\\|b |
| ----------- | -----: |
| x_1 &amp; y | −2.5 % |
| &lt;i&gt;   |      3 |
'''


def test_latex_is_escaped():
    assert TABLE.to_latex() == r'''\begin{table}
\centering
\caption{All of \#1}
\begin{tabular}{lr}
\toprule
Codec & a|b \\
\midrule
x\_1 \& y & $-$2.5 \% \\
<i> & 3 \\
\bottomrule
\end{tabular}
\end{table}
'''


def test_latex_knows_no_commands_in_text():
    latex = Table(('a', ), [(r'\input{x}~^$', )]).to_latex()
    assert (r'\textbackslash{}input\{x\}\textasciitilde{}'
            r'\textasciicircum{}\$') in latex
    assert 'caption' not in latex


def test_html_is_escaped():
    text = TABLE.to_html()
    assert '<td>&lt;i&gt;</td>' in text and '<i>' not in text
    assert '<caption>All of #1</caption>' in text


def test_lines_in_a_cell_stay_in_it():
    text = Table(('a', 'b'), [('x\ny', 'z')]).to_markdown()
    assert '| x y |' in text


def test_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match='has 1 cells, the header 2'):
        Table(('a', 'b'), [('x', )])
