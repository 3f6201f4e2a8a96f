"""Draws panels of lines over one axis as a small SVG that is legible on light and on dark ground."""

import math
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 300, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 58, 46, 36
# Mid-tones, with contrast to white and to near-black.
COLOURS = ["#888888", "#2f81f7", "#d9730d"]
STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#57606a}path{fill:none;stroke-width:2}.g{stroke:#88888844;stroke-width:1}"
    "@media(prefers-color-scheme:dark){text{fill:#adb5bd}}"
)


@dataclass
class Panel:
    """A quantity, and its values for each series by name, one value for each point of the axis."""

    quantity: str
    series: dict


def short(value):
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def short_bytes(value):
    for unit, size in (("Mi", 1 << 20), ("Ki", 1 << 10)):
        if value >= size:
            return f"{value // size}{unit}"
    return str(value)


def ticks(most):
    """Round numbers from 0 up to the first that is not below `most`."""
    step = 10 ** math.floor(math.log10(most / 2))
    step = next(step * factor for factor in (1, 2, 5, 10) if most / (step * factor) <= 5)
    return [step * n for n in range(math.ceil(most / step - 1e-9) + 1)]


def decades(least, most):
    return [10.0**n for n in range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)]


def apart(places, gap=12):
    """Moves labels down where they would cover each other."""
    placed = {}
    for name, at in sorted(places.items(), key=lambda item: item[1]):
        placed[name] = max(at, max(placed.values(), default=-gap) + gap)
    over = max(0, max(placed.values()) - (HEIGHT - BOTTOM + 4))
    return {name: at - over for name, at in placed.items()}


def draw(panel, axis, points, logarithmic, left):
    values = [value for series in panel.series.values() for value in series]
    high = max(values) or 1
    # Values over more than two decades are drawn on a logarithmic scale, too.
    wide = min(values) > 0 and high / min(values) > 100
    marks = decades(min(values), high) if wide else ticks(high)
    place = math.log10 if wide else float
    low, top = place(marks[0]), place(marks[-1])
    y = lambda value: HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (place(value) - low) / (top - low)
    along = [math.log10(point) if logarithmic else point for point in points]
    x = lambda at: LEFT + left + (WIDTH - LEFT - RIGHT) * (along[at] - along[0]) / (along[-1] - along[0])
    name = short_bytes if "bytes" in axis else short
    out = [f'<text x="{left + 4}" y="{TOP - 12}" font-weight="600">{escape(panel.quantity)}</text>']
    for mark in marks:
        out.append(f'<path class="g" d="M{left + LEFT} {y(mark):.0f}H{left + WIDTH - RIGHT}"/>')
        out.append(f'<text x="{left + LEFT - 5}" y="{y(mark) + 4:.0f}" text-anchor="end">{short(mark)}</text>')
    last = -math.inf
    for at, point in enumerate(points):
        # A label that would cover the one before it is left out.
        if x(at) - last >= 30:
            last = x(at)
            out.append(f'<text x="{last:.0f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{name(point)}</text>')
    middle = left + (LEFT + WIDTH - RIGHT) / 2
    out.append(f'<text x="{middle:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(axis)}</text>')
    labels = apart({name: y(series[-1]) for name, series in panel.series.items()})
    for name, series in panel.series.items():
        # A series has the same colour in every panel.
        colour = COLOURS[["direct", "ttguard"].index(name) if name in ("direct", "ttguard") else 2]
        line = "L".join(f"{x(at):.1f} {y(value):.1f}" for at, value in enumerate(series))
        out.append(f'<path stroke="{colour}" d="M{line}"/>')
        beside = f'x="{left + WIDTH - RIGHT + 5}" y="{labels[name] + 4:.0f}"'
        out.append(f'<text {beside} style="fill:{colour}">{name}</text>')
    return out


def svg(title, axis, points, panels, logarithmic):
    """`points` are the places on the axis, on a logarithmic scale where said."""
    width = WIDTH * len(panels)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}">']
    out.append(f"<title>{escape(title)}</title><style>{STYLE}</style>")
    out.append(f'<text x="4" y="14">{escape(title)}</text>')
    for at, panel in enumerate(panels):
        out += draw(panel, axis, points, logarithmic, at * WIDTH)
    return "\n".join([*out, "</svg>\n"])
