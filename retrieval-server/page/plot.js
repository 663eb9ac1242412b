// Draws channels over time on a canvas.
import { valueAxes } from './axes.js';
import { gapAt, indexAt } from './series.js';
import { digitsOf, showTime, showZone, timeTicks } from './times.js';

export const SEVERITIES = ['NO_ALARM', 'MINOR', 'MAJOR', 'INVALID'];
export const COLOURS = 10;
const FONT = '12px system-ui, sans-serif';
const TOP = 26, TIME_AXIS = 38, LANE = 9;
const TICK_GAP = 6, EDGE = 12;

export class Plot {
  /** What is drawn: `show` sets parts of it. Offsets are nanoseconds since `base`. */
  constructor(canvas) {
    this.canvas = canvas;
    this.now = {
      base: 0n, from: 0n, to: 0n, loadedTo: 0n, series: [], zone: 'UTC', line: 'mean', log: false, message: '',
      cursor: null, selection: null,
    };
    this.area = null;
    this.wanted = 0;
  }

  show(parts) {
    Object.assign(this.now, parts);
    this.wanted ||= requestAnimationFrame(() => {
      this.wanted = 0;
      this.draw();
    });
  }

  /** Pixels of the time axis: as many bins are asked for. */
  get width() {
    return Math.max(100, Math.floor(this.area?.width ?? this.canvas.clientWidth - 80));
  }

  /** Time at a place on the canvas. */
  timeAt(pixel) {
    const { from, to } = this.now, { left, width } = this.area;
    return from + BigInt(Math.round(((pixel - left) / width) * Number(to - from)));
  }

  pixelAt(offset) {
    const { base, from, to } = this.now, { left, width } = this.area;
    return left + ((offset - Number(from - base)) / Number(to - from)) * width;
  }

  draw() {
    const { canvas, now } = this, ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    }
    const pen = canvas.getContext('2d'), style = getComputedStyle(canvas);
    this.pen = pen;
    this.colour = (name) => style.getPropertyValue(`--${name}`).trim();
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = FONT;
    const shown = now.series.filter(({ error }) => !error);
    if (now.to <= now.from || !shown.length) {
      this.area = null;
      this.words(now.message || 'Choose channels to see them here.', width / 2, height / 2);
      return;
    }
    const offsets = [Number(now.from - now.base), Number(now.to - now.base)];
    const inner = height - TOP - TIME_AXIS - LANE * shown.length;
    const axes = valueAxes(shown, ...offsets, {
      log: now.log, line: now.line, height: inner, labelLength: Math.floor(width / 45),
    });
    this.layOut(axes, shown, width, inner);
    this.gaps(shown);
    this.timeAxis();
    this.valueAxes(axes);
    pen.save();
    pen.beginPath();
    pen.rect(this.area.left, this.area.top, this.area.width, this.area.height);
    pen.clip();
    for (const axis of axes) for (const series of axis.series) this.curve(series, axis);
    pen.restore();
    shown.forEach((series, lane) => this.lane(series, lane));
    this.cursor(axes);
  }

  words(text, x, y) {
    Object.assign(this.pen, { fillStyle: this.colour('faint'), textAlign: 'center', textBaseline: 'middle' });
    this.pen.fillText(text, x, y);
  }

  /** Axes stand left, right, left ..; each as wide as its labels. */
  layOut(axes, shown, width, height) {
    let [left, right] = [0, 0];
    axes.forEach((axis, place) => {
      const size = Math.max(...axis.ticks.map(({ label }) => this.pen.measureText(label).width), 16) + TICK_GAP + EDGE;
      axis.side = place % 2 ? 1 : -1;
      axis.at = place % 2 ? right : left;
      if (place % 2) right += size;
      else left += size;
      const own = axis.series.length === 1 && axes.length > 1 ? this.colour(`c${axis.series[0].colour}`) : '';
      axis.colour = own || this.colour('text');
    });
    left = Math.max(left, 30);
    right = Math.max(right, 22);
    this.area = { left, right: width - right, top: TOP, bottom: TOP + height, width: width - left - right, height };
  }

  gaps(shown) {
    const { pen, area } = this;
    for (const series of shown) {
      for (const { from, to, state } of series.gaps) {
        const [x, end] = this.clip(from, to);
        if (end <= x) continue;
        pen.globalAlpha = 0.3 / shown.length;
        pen.fillStyle = this.colour(state);
        pen.fillRect(x, area.top, Math.max(1, end - x), area.height);
        pen.globalAlpha = 1;
        const everywhere = shown.every(({ gaps }) => gaps.some((gap) => gap.from === from && gap.to === to && gap.state === state));
        const name = state.replace('_', ' ');
        if (series !== shown[0] || !everywhere || pen.measureText(name).width + 8 > end - x) continue;
        this.words(name, (x + end) / 2, area.top + 12);
      }
    }
  }

  clip(from, to) {
    const { left, right } = this.area;
    return [Math.max(left, this.pixelAt(from)), Math.min(right, this.pixelAt(to))];
  }

  timeAxis() {
    const { pen, area, now } = this, bottom = this.canvas.clientHeight - TIME_AXIS;
    const ticks = timeTicks(now.from, now.to, now.zone, Math.max(2, area.width / 85));
    Object.assign(pen, { lineWidth: 1, textBaseline: 'top', textAlign: 'center' });
    let free = -Infinity;
    for (const { ns, label, date } of ticks) {
      const x = Math.round(this.pixelAt(Number(ns - now.base))) + 0.5;
      this.stroke('grid', [[x, area.top], [x, bottom]]);
      pen.fillStyle = this.colour('text');
      const half = pen.measureText(label).width / 2;
      if (x - half >= 0 && x + half <= this.canvas.clientWidth) pen.fillText(label, x, bottom + 5);
      const dateHalf = pen.measureText(date).width / 2, at = Math.max(x, dateHalf + 2);
      if (!date || at - dateHalf < free || at + dateHalf > this.canvas.clientWidth) continue;
      free = at + dateHalf + 8;
      pen.fillStyle = this.colour('faint');
      pen.fillText(date, at, bottom + 20);
    }
    const zone = showZone(now.zone, now.to), size = pen.measureText(zone).width;
    pen.textAlign = 'right';
    pen.fillStyle = this.colour('faint');
    if (free < area.right - size) pen.fillText(zone, this.canvas.clientWidth - 2, bottom + 20);
    this.stroke('frame', [[area.left, area.bottom + 0.5], [area.right, area.bottom + 0.5]]);
  }

  valueAxes(axes) {
    const { pen, area } = this;
    axes.forEach((axis, place) => {
      const x = axis.side < 0 ? area.left - axis.at : area.right + axis.at, text = x + axis.side * TICK_GAP;
      this.stroke('frame', [[x + 0.5, area.top], [x + 0.5, area.bottom]]);
      Object.assign(pen, { textAlign: axis.side < 0 ? 'right' : 'left', textBaseline: 'middle' });
      for (const { value, label } of axis.ticks) {
        const y = Math.round(area.bottom - axis.place(value) * area.height) + 0.5;
        if (place === 0) this.stroke('grid', [[area.left, y], [area.right, y]]);
        this.stroke('frame', [[x, y], [x + axis.side * 3, y]]);
        pen.fillStyle = axis.colour;
        pen.fillText(label, text, y);
      }
      pen.fillStyle = axis.colour;
      const title = axis.title, half = pen.measureText(title).width;
      pen.textAlign = 'left';
      const at = axis.side < 0 ? Math.max(2, x - half) : Math.min(x, this.canvas.clientWidth - half - 2);
      pen.fillText(title, at, 10);
    });
  }

  stroke(colour, points) {
    const { pen } = this;
    pen.strokeStyle = this.colour(colour);
    pen.beginPath();
    points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.stroke();
  }

  curve(series, axis) {
    const { pen, area } = this, colour = this.colour(`c${series.colour}`);
    const y = (value) => area.bottom - axis.place(value) * area.height;
    Object.assign(pen, { fillStyle: colour, strokeStyle: colour, lineWidth: 1.5, lineJoin: 'round' });
    const first = Math.max(0, indexAt(series, Number(this.now.from - this.now.base)) - 1);
    if (series.mode === 'bins') this.bins(series, y, first);
    else this.steps(series, y, first);
    pen.lineWidth = 1;
  }

  bins(series, y, first) {
    const { pen, now } = this, { x, width, min, max, severity } = series, end = Number(now.to - now.base);
    const stepped = series.kind !== 'number' || now.line === 'last', line = stepped ? series.last : series.value;
    pen.globalAlpha = 0.3;
    for (let i = first; i < x.length && x[i] < end; i += 1) {
      const left = this.pixelAt(x[i]), top = y(max[i]), bottom = y(min[i]);
      if (bottom >= top) pen.fillRect(left, top, this.pixelAt(x[i] + width[i]) - left, Math.max(0.5, bottom - top));
    }
    pen.globalAlpha = 1;
    pen.beginPath();
    const marks = [];
    let joined = false;
    for (let i = first; i < x.length && x[i] < end; i += 1) {
      const left = this.pixelAt(x[i]), right = this.pixelAt(x[i] + width[i]), at = y(line[i]);
      if (!Number.isFinite(at)) {
        joined = false;
        continue;
      }
      joined &&= x[i - 1] + width[i - 1] >= x[i];
      const middle = stepped ? left : (left + right) / 2;
      if (!joined) pen.moveTo(left, at);
      pen.lineTo(middle, at);
      if (stepped) pen.lineTo(right, at);
      joined = true;
      if (severity[i]) marks.push([middle, at, severity[i]]);
    }
    pen.stroke();
    this.marks(marks);
  }

  steps(series, y, first) {
    const { pen, now } = this, { x, value, severity } = series, end = Number(now.to - now.base);
    const dots = [], marks = [];
    let gap = 0, joined = false;
    pen.beginPath();
    for (let i = first; i < x.length && x[i] < end; i += 1) {
      const left = this.pixelAt(x[i]), at = y(value[i]);
      const held = this.heldTo(series, i, gap);
      gap = held.gap;
      if (!Number.isFinite(at)) {
        joined = false;
        continue;
      }
      if (joined) pen.lineTo(left, at);
      else pen.moveTo(left, at);
      if (held.to > x[i]) pen.lineTo(this.pixelAt(held.to), at);
      joined = held.on;
      dots.push([left, at, 0]);
      if (severity[i]) marks.push([left, at, severity[i]]);
    }
    pen.stroke();
    if (dots.length < this.area.width / 6) for (const [left, at] of dots) pen.fillRect(left - 2, at - 2, 4, 4);
    this.marks(marks);
  }

  /** To when sample `i` was held, and whether it was until the next one. */
  heldTo({ x, gaps }, i, gap) {
    while (gaps[gap] && gaps[gap].to <= x[i]) gap += 1;
    const next = x[i + 1] ?? Math.max(x[i], Number(this.now.loadedTo - this.now.base));
    const broken = gaps[gap] && gaps[gap].from < next;
    return { gap, on: !broken, to: broken ? Math.max(x[i], gaps[gap].from) : next };
  }

  marks(marks) {
    for (const [x, y, severity] of marks) {
      this.pen.fillStyle = this.colour(SEVERITIES[severity]);
      this.pen.fillRect(x - 2, y - 2, 4, 4);
    }
  }

  /** A strip for each channel: its colour where held without alarm, else the severity or why not. */
  lane(series, place) {
    const { pen, area, now } = this, { x, width, severity, gaps } = series;
    const top = area.bottom + 2 + place * LANE;
    const bar = (from, to, colour, height, least = 1) => {
      const [left, right] = this.clip(from, to).map(Math.round);
      if (right < left) return;
      pen.fillStyle = this.colour(colour);
      pen.fillRect(left, top + (7 - height) / 2, Math.max(least, right - left), height);
    };
    const end = Number(now.loadedTo - now.base);
    bar(0, end, `c${series.colour}`, 1);
    const alarms = [];
    for (let i = 0; i < x.length;) {
      let next = i + 1;
      while (next < x.length && severity[next] === severity[i]) next += 1;
      const to = series.mode === 'bins' ? x[next - 1] + width[next - 1] : x[next] ?? end;
      if (severity[i]) alarms.push([x[i], to, severity[i]]);
      i = next;
    }
    // The worst last, and the shortest above the gaps, so that nothing hides them.
    alarms.sort((one, other) => one[2] - other[2]);
    const isShort = ([from, to]) => this.pixelAt(to) - this.pixelAt(from) < 2;
    const mark = ([from, to, worst]) => bar(from, to, SEVERITIES[worst], worst > 1 ? 7 : 5, 2);
    alarms.filter((alarm) => !isShort(alarm)).forEach(mark);
    for (const { from, to, state } of gaps) {
      bar(from, to, 'back', 7);
      bar(from, to, state, 7);
    }
    alarms.filter(isShort).forEach(mark);
  }

  cursor(axes) {
    const { pen, area, now } = this;
    if (now.selection) {
      const [from, to] = now.selection.map((pixel) => Math.min(area.right, Math.max(area.left, pixel)));
      pen.globalAlpha = 0.2;
      pen.fillStyle = this.colour('accent');
      pen.fillRect(Math.min(from, to), area.top, Math.abs(to - from), area.height);
      pen.globalAlpha = 1;
    }
    if (now.cursor === null || now.cursor < now.from || now.cursor >= now.to) return;
    const offset = Number(now.cursor - now.base), x = Math.round(this.pixelAt(offset)) + 0.5;
    const bottom = this.canvas.clientHeight - TIME_AXIS;
    this.stroke('text', [[x, area.top], [x, bottom + 3]]);
    for (const axis of axes) {
      for (const series of axis.series) {
        const value = valueAt(series, offset, now.line)?.value;
        const y = area.bottom - axis.place(value) * area.height;
        if (!Number.isFinite(y)) continue;
        pen.fillStyle = this.colour(`c${series.colour}`);
        pen.beginPath();
        pen.arc(x, y, 4, 0, 7);
        pen.fill();
      }
    }
    const label = showTime(now.cursor, now.zone, this.digits), half = pen.measureText(label).width / 2 + 5;
    const at = Math.min(Math.max(x, half), this.canvas.clientWidth - half);
    pen.fillStyle = this.colour('text');
    pen.fillRect(at - half, bottom + 2, 2 * half, 18);
    Object.assign(pen, { fillStyle: this.colour('back'), textAlign: 'center', textBaseline: 'middle' });
    pen.fillText(label, at, bottom + 11);
  }

  /** Digits of a second that a pixel can tell apart. */
  get digits() {
    return digitsOf(Number(this.now.to - this.now.from) / this.width);
  }
}

/** What a channel had at an offset: a value with its bin or sample, or a gap, or nothing. */
export function valueAt(series, offset, line) {
  const gap = gapAt(series, offset);
  const i = indexAt(series, offset);
  if (series.mode === 'bins') {
    if (i < 0 || offset >= series.x[i] + series.width[i]) return gap ? { gap } : null;
    const value = series.kind !== 'number' || line === 'last' ? series.last[i] : series.value[i];
    return { i, value, gap, severity: series.severity[i] };
  }
  if (gap) return { gap };
  return i < 0 ? null : { i, value: series.value[i], exact: series.exact[i], severity: series.severity[i] };
}
