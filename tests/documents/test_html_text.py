"""The visible text and the headings of HTML."""

import pytest

from keras_qa.documents.html_text import read_html


def visible(page: str) -> str:
    return read_html(page)[0]


def test_the_visible_text_of_html_is_read() -> None:
    page = (
        "<html><head><title>No</title><style>p {}</style></head><body><h1>A &amp; B</h1>\n"
        "<ul><li>one<li>two</ul><script>if (a < b) {}</script><p>x<br>y&nbsp;z</p><svg/>"
        "<pre>a\n  b</pre><table><tr><td>1<td>2</tr></table><!-- no --><template>no</template>"
    )
    expected = "A & B\n\none\n\ntwo\n\nx\ny z\n\na\n  b\n\n1: 2"
    assert visible(page) == expected
    assert visible("<head><title>x</title><body><p>seen") == "x\n\nseen"
    assert visible("</p></script>a<") == "a<"
    assert visible("<b>" * 100_000 + "deep") == "deep"
    page = (
        "<head><title>How to use <script></title></head><body>a < b<p title='x > y'>c</ no><?no?>"
        "<!-->d<!-- > --!>e</><a href=it's>f</a><textarea>&lt;b> <p></textarea><SCRIPT/>"
        "g<script>if (a) { '</scripts>' }</Script >h<!no"
    )
    assert visible(page) == "How to use <script>\n\na < b\n\ncdef<b> <p>gh"


def test_of_a_page_with_main_only_that_is_read() -> None:
    page = (
        "<title>A book</title><body><h1>Menu</h1><p>Next<main id=a><h1>One &amp; two</h1>Text"
        "<main>b</main></main><footer>Imprint</footer>"
    )
    assert visible(page) == "One & two\n\nText\n\nb"
    assert [heading.level for heading in read_html(page)[1]] == [1]
    assert visible("<p>a<main>b") == "b"
    assert visible("<p>a<main> </main>") == "a"
    assert visible("<template><main>b</main></template>a") == "a"


def test_a_main_without_visible_text_is_not_the_page() -> None:
    empty = "<main><div id=app></div><script>write('b')</script><!-- c --></main>"
    page = f"<title>A book</title><body><h1>One</h1><p>Text{empty}</body>"
    assert read_html(page) == ("One\n\nText", ((0, 3, 1),))
    assert visible(f"<title>A book</title><body>{empty}") == "A book\n\n"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("<!--", "x"),
        ("<?", "x"),
        ("<a ", "x"),
        ("<a b=' c=\" ", "x"),
        ("<script>", "x"),
        ("</a", "x"),
        ("<b> ", "x\n\ny"),
        ("<pre> ", "x\n\ny"),
        ("<template></noscript>", "x"),
        ("< ", "x\n\n" + "< " * 100_000 + "y"),
        ("<p>&#", "x" + "\n\n&#" * 100_000 + "y"),
    ],
)
def test_html_is_read_in_linear_time(part: str, expected: str) -> None:
    # Reading takes minutes if each part is searched to the end of the page.
    assert visible("x<p>" + part * 100_000 + "y") == expected


def test_cells_over_many_rows_and_columns_are_read_in_linear_time() -> None:
    # Each claimed column and row was counted: this took more than a minute, or gigabytes.
    rows = "<tr><td rowspan=999 colspan=999>a<td>b" * 12_000
    assert visible(f"<table>{rows}</table>") == "\n\n".join(["a: b"] * 12_000)
    cells = "<td colspan=999>a" * 25_000
    assert visible(f"<table><tr>{cells}</table>") == "; ".join("a" * 25_000)


def test_headings_and_the_title() -> None:
    page = "<title>T &amp; u</title><nav>menu</nav><h2> A <b>b</b></h2><p>c<h3></h3>"
    assert read_html(page) == ("T & u\n\nA b\n\nc", ((0, 5, 0), (7, 10, 2)))
    assert read_html("<title>T</title><h1>A</h1>b") == ("A\n\nb", ((0, 1, 1),))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("<tr><th>A<th>B<tr><td>1<td>2<tr><td><td>3", "A: 1; B: 2\n\nB: 3"),
        ("<thead><tr><th>A</th><th>B</th></tr></thead>\n<tr><td>1</td></tr>", "A: 1"),
        ("<tr><th>A</th><td>1</td></tr><tr><th>B</th><td>2</td></tr>", "A: 1\n\nB: 2"),
        ("<tr><td>1</td><td>2</td><td>3</td></tr>", "1; 2; 3"),
        ("<tr><th>A<th>B</th></tr>", "A: B"),
        ("<tr><th>A<th>B<tr><th colspan=2>C<tr><td>1<td>2", "C\n\nA: 1; B: 2"),
        (
            "<tr><th>A<th colspan=2>B<th>C<tr><td rowspan='2'>1<td>2<td>3<td>4<tr><td>5<td>6<td>7",
            "A: 1; B: 2; 3; C: 4\n\nB: 5; 6; C: 7",
        ),
        # The last row is below all that the first cell covers.
        (
            "<tr><th>A<th>B<th>C<tr><td rowspan=2 colspan=2>1<td>2<tr><td>3<tr><td>4<td>5<td>6",
            "A: 1; C: 2\n\nC: 3\n\nA: 4; B: 5; C: 6",
        ),
        ("<tr><td>a<br>b <p>c</p></td><td> d </td>", "a\nb\nc: d"),
        ("<tr><td>a<table><tr><td>b<td>c</table></td><td>d</td></tr>", "a\n\nb: c: d"),
    ],
)
def test_cells_of_tables_name_their_columns(rows: str, expected: str) -> None:
    assert visible(f"<table>{rows}</table>") == expected
