"""Draws what compare.py has measured: bars of tokens a second, side by side, and their ratio, as an SVG file.

Colours are told apart by the colour-blind too (Okabe and Ito, "Color universal design", 2008).
"""

from html import escape

WIDTH = 960
LEFT, RIGHT, TOP = 110, 150, 96
BAR, GAP = 15, 14
OURS, THEIRS = "#0072B2", "#999999"
TITLES = {"pp": "prompt processing", "tg": "generation"}


def text(content: str, x: float, y: float, size: int = 13, anchor: str = "start", weight: str = "normal") -> str:
    """A line of text."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(content)}</text>"
    )


def bar(x: float, y: float, length: float, colour: str) -> str:
    """One bar."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>'


def panel(results: list[dict], test: str, top: float) -> tuple[list[str], float]:
    """The bars of one test, from `top` on, and where they end. Each panel has a scale of its own, from 0 on."""
    rows = [(result["file"], result["tests"][test]) for result in results if test in result["tests"]]
    scale = (WIDTH - LEFT - RIGHT) / max(max(row["ours"], row["theirs"]) for _, row in rows)
    lines = [text(f"{TITLES.get(test[:2], test)}, {test}, tokens/s", LEFT, top, 14, weight="bold")]
    y = top + GAP
    for file, row in rows:
        lines.append(text(file.removesuffix(".gguf"), LEFT - 8, y + BAR + 5, anchor="end"))
        for offset, who, colour in ((0, "ours", OURS), (BAR, "theirs", THEIRS)):
            lines.append(bar(LEFT, y + offset, row[who] * scale, colour))
            lines.append(text(f"{row[who]:.1f}", LEFT + row[who] * scale + 6, y + offset + 12, 12))
        lines.append(text(f"× {row['ratio']:.2f}", WIDTH - 16, y + BAR + 5, 14, anchor="end", weight="bold"))
        y += 2 * BAR + GAP
    return lines, y


def svg(results: list[dict]) -> str:
    """The picture of all results."""
    tests = list(dict.fromkeys(test for result in results for test in result["tests"]))
    body, y = [], TOP
    for test in tests:
        lines, y = panel(results, test, y)
        body += lines
        y += 24
    first = results[0]
    title = f"croissant-gguf and llama.cpp on the same files, {first['threads']} threads"
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y:.0f}" viewBox="0 0 {WIDTH} {y:.0f}" '
        'role="img" font-family="Helvetica, Arial, \'Liberation Sans\', \'DejaVu Sans\', sans-serif" fill="#222">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{y:.0f}" fill="#fff"/>',
        text(title, 28, 36, 19, weight="bold"),
        bar(28, 52, 15, OURS), text("croissant-gguf", 50, 64),
        bar(180, 52, 15, THEIRS), text(f"{first['peer']}", 202, 64),
        text("medians of interleaved pairs, and the median of their ratios", WIDTH - 16, 64, anchor="end"),
    ]
    return "\n".join(head + body + ["</svg>"]) + "\n"
