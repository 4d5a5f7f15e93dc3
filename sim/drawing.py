"""The timeline of a run as SVG: a lane a node, time from left to right.

A lane is a thick line while its node hears everybody. It is thin and broken
while a link of it is cut, hatched while a link is slow, and missing while the
node is down, paused or unplugged. Ticks above are writes. A dot is a mark; a
thin line leads from it to where and when it arrived."""

from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, TOP = 1100, 80, 24, 64
LANE = 64
LEGEND_LINE = 18
LATE_SECONDS = 1  # what takes longer waited for a heal: there are many
COLOURS = ("#1f6fb4", "#d1495b", "#2e8b57", "#b8860b", "#7b4fa3", "#00868b",
           "#a0522d", "#4b5563")
GREY, GREEN, PAPER = "#6b7280", "#15803d", "#ffffff"
GONE = ("down", "paused", "unplugged")


def colour(node):
    return COLOURS[(node - 1) % len(COLOURS)]


class Canvas:
    def __init__(self, timeline, scenario):
        self.timeline = timeline
        self.nodes = scenario.nodes
        self.start = timeline.origin or timeline.start
        times = [time for time, _ in timeline.captions]
        times += [at for mark in timeline.marks
                  for at in mark.arrived.values()]
        self.end = max(times + [self.start + 1])
        self.parts = []

    def x(self, time):
        share = (time - self.start) / (self.end - self.start)
        return LEFT + min(max(share, 0), 1) * (WIDTH - LEFT - RIGHT)

    def y(self, node):
        return TOP + (node - 0.5) * LANE

    def bottom(self):
        return TOP + self.nodes * LANE

    def line(self, x1, y1, x2, y2, stroke, width, extra=""):
        self.parts.append(
            '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"'
            ' stroke-width="%g" %s/>' % (x1, y1, x2, y2, stroke, width,
                                         extra))

    def text(self, x, y, text, extra=""):
        self.parts.append('<text x="%.1f" y="%.1f" %s>%s</text>'
                          % (x, y, extra, escape(text)))

    def dot(self, x, y, radius, fill, stroke="none"):
        self.parts.append('<circle cx="%.1f" cy="%.1f" r="%g" fill="%s"'
                          ' stroke="%s"/>' % (x, y, radius, fill, stroke))


def draw_axis(canvas):
    seconds = canvas.end - canvas.start
    step = next(step for step in (1, 2, 5, 10, 30, 60, 300, 900)
                if seconds / step <= 20 or step == 900)
    for i in range(int(seconds // step) + 1):
        x = canvas.x(canvas.start + i * step)
        canvas.line(x, TOP, x, canvas.bottom(), "#e5e7eb", 1)
        canvas.text(x, canvas.bottom() + 14, "%d s" % (i * step),
                    'text-anchor="middle" fill="%s"' % GREY)


def spans_of(canvas, node, kinds):
    """(from, to) of what happened to `node`."""
    for kind, key, begin, end in canvas.timeline.spans:
        mine = node in key if isinstance(key, tuple) else node == key
        if mine and kind in kinds:
            yield begin, canvas.end if end is None else end


def draw_lane(canvas, node):
    y = canvas.y(node)
    canvas.text(LEFT - 14, y + 4, "node %d" % node,
                'text-anchor="end" font-weight="bold" fill="%s"'
                % colour(node))
    canvas.line(LEFT, y, WIDTH - RIGHT, y, colour(node), 7)
    for begin, end in spans_of(canvas, node, ("slow",)):
        canvas.line(canvas.x(begin), y, canvas.x(end), y, PAPER, 5,
                    'stroke-dasharray="3 3"')
    for kinds, stroke in ((("cut",), colour(node)), (GONE, None)):
        for begin, end in spans_of(canvas, node, kinds):
            x1, x2 = canvas.x(begin), canvas.x(end)
            canvas.line(x1, y, x2, y, PAPER, 9)
            if stroke:
                canvas.line(x1, y, x2, y, stroke, 1.5,
                            'stroke-dasharray="2 5"')
    for kind, key, begin, end in canvas.timeline.spans:
        if key == node:
            middle = (canvas.x(begin) + canvas.x(end or canvas.end)) / 2
            canvas.text(middle, y + 4 if kind in GONE else y + 18, kind,
                        'text-anchor="middle" fill="%s"' % GREY)


def draw_writes(canvas, node):
    y = canvas.y(node)
    path = "".join("M%.1f %.1fv-6" % (canvas.x(time), y - 6)
                   for time in canvas.timeline.writes.get(node, ())
                   if time >= canvas.start)
    canvas.parts.append('<path d="%s" stroke="%s" stroke-width="0.7"'
                        ' opacity="0.55"/>' % (path, colour(node)))


def draw_marks(canvas):
    for mark in canvas.timeline.marks:
        x, y = canvas.x(mark.time), canvas.y(mark.node)
        for node, time in mark.arrived.items():
            if node != mark.node and mark.time >= canvas.start:
                late = time - mark.time > LATE_SECONDS
                canvas.line(x, y, canvas.x(time), canvas.y(node),
                            colour(mark.node), 0.8,
                            'opacity="%s"' % ("0.25" if late else "0.6"))
                canvas.dot(canvas.x(time), canvas.y(node), 1.8, PAPER,
                           colour(mark.node))
        if mark.time >= canvas.start:
            canvas.dot(x, y, 3.2, colour(mark.node), PAPER)


def draw_captions(canvas):
    """Numbers above the lanes, what they mean below."""
    last = LEFT - 20
    for i, (time, text) in enumerate(canvas.timeline.captions, 1):
        x = canvas.x(time)
        good = text in ("HEAL", "equal")
        canvas.line(x, TOP - 12, x, canvas.bottom(),
                    GREEN if good else GREY, 1.2 if good else 0.8,
                    "" if good else 'stroke-dasharray="4 3"')
        # Numbers that would cover one another stand beside one another.
        last = max(x, last + 17)
        canvas.dot(last, TOP - 20, 8, GREEN if good else GREY)
        canvas.text(last, TOP - 16.5, str(i),
                    'text-anchor="middle" fill="#fff" font-size="10"')
        canvas.text(LEFT, canvas.bottom() + 24 + i * LEGEND_LINE,
                    "%d   %.2f s   %s" % (i, time - canvas.start, text))


def draw(timeline, scenario, reasons):
    """The drawing as text."""
    canvas = Canvas(timeline, scenario)
    draw_axis(canvas)
    for node in range(1, scenario.nodes + 1):
        draw_lane(canvas, node)
        draw_writes(canvas, node)
    draw_marks(canvas)
    draw_captions(canvas)
    height = canvas.bottom() + 40 + LEGEND_LINE * len(timeline.captions)
    canvas.text(LEFT, 24, "%s: %s" % (scenario.name, "; ".join(reasons)
                                      or "all files are equal"),
                'font-size="16" font-weight="bold" fill="%s"'
                % (COLOURS[1] if reasons else GREEN))
    return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d"'
            ' font-family="sans-serif" font-size="12">\n'
            '<rect width="100%%" height="100%%" fill="%s"/>\n%s\n</svg>\n'
            % (WIDTH, height, PAPER, "\n".join(canvas.parts)))
