// Turns mouse, touch, wheel and keys over the plot into ranges.

const DRAG_MIN = 5;
const WHEEL_STEP = 0.002;
const PAN = 0.2;
const SPAN_MIN = 200n;

const scaled = (ns, factor) => BigInt(Math.round(Number(ns) * factor));

/** `act`: `range(from, to, settled)`, `cursor(ns or null)`, `all()`, `back()`. */
export function listen(plot, act) {
  const { canvas } = plot, pointers = new Map();
  let drag = null;

  const zoom = (around, factor, settled) => {
    const { from, to } = plot.now;
    if (scaled(to - from, factor) < SPAN_MIN) return;
    act.range(around - scaled(around - from, factor), around + scaled(to - around, factor), settled);
  };
  const middle = () => (plot.now.from + plot.now.to) / 2n;
  const pan = (part) => {
    const { from, to } = plot.now, by = scaled(to - from, part);
    act.range(from + by, to + by, false);
  };
  const place = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect();
    return { x: clientX - box.left, y: clientY - box.top };
  };

  canvas.addEventListener('pointerdown', (event) => {
    if (!plot.area || event.button > 1) return;
    canvas.setPointerCapture(event.pointerId);
    const at = place(event), { from, to, cursor } = plot.now;
    pointers.set(event.pointerId, at);
    const panning = event.pointerType === 'touch' || event.shiftKey || event.button === 1 || at.y > plot.area.bottom;
    drag = { kind: panning ? 'pan' : 'select', start: at, from, to, cursor, touches: [...pointers.values()] };
  });

  canvas.addEventListener('pointermove', (event) => {
    if (!plot.area) return;
    const at = place(event);
    if (pointers.has(event.pointerId)) pointers.set(event.pointerId, at);
    if (!drag) {
      act.cursor(plot.timeAt(at.x));
      return;
    }
    const { from, to, start, touches } = drag, nsPerPixel = Number(to - from) / plot.area.width;
    if (pointers.size > 1 && touches.length > 1) {
      const [one, other] = touches, [now, then] = [...pointers.values()];
      const factor = Math.min(20, Math.max(0.05, Math.abs(one.x - other.x) / Math.max(10, Math.abs(now.x - then.x))));
      const ns = from + BigInt(Math.round(((one.x + other.x) / 2 - plot.area.left) * nsPerPixel));
      act.range(ns - scaled(ns - from, factor), ns + scaled(to - ns, factor), false);
    } else if (drag.kind === 'pan') {
      const by = BigInt(Math.round((start.x - at.x) * nsPerPixel));
      if (Math.abs(start.x - at.x) > DRAG_MIN || drag.moved) {
        drag.moved = true;
        act.range(from + by, to + by, false);
      }
    } else {
      plot.show({ selection: [start.x, at.x] });
      act.cursor(plot.timeAt(at.x));
    }
  });

  const end = (event) => {
    pointers.delete(event.pointerId);
    if (!drag || pointers.size) return;
    const { kind, start, moved } = drag, at = place(event);
    drag = null;
    plot.show({ selection: null });
    if (event.type === 'pointercancel') return;
    if (kind === 'pan' && !moved) act.cursor(plot.timeAt(at.x));
    if (kind !== 'select' || Math.abs(at.x - start.x) < DRAG_MIN) return;
    const { left, right } = plot.area, inside = (x) => Math.min(right, Math.max(left, x));
    const [from, to] = [start.x, at.x].sort((a, b) => a - b).map((x) => plot.timeAt(inside(x)));
    if (to - from >= SPAN_MIN) act.range(from, to, true);
  };
  canvas.addEventListener('pointerup', end);
  canvas.addEventListener('pointercancel', end);
  canvas.addEventListener('pointerleave', ({ pointerType }) => pointerType === 'mouse' && !drag && act.cursor(null));
  canvas.addEventListener('dblclick', () => plot.area && zoom(middle(), 2, true));

  canvas.addEventListener('wheel', (event) => {
    if (!plot.area || event.ctrlKey) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 30 : 1, [across, down] = [event.deltaX * lines, event.deltaY * lines];
    if (event.shiftKey || Math.abs(across) > Math.abs(down)) pan((across || down) / plot.area.width);
    else zoom(plot.timeAt(place(event).x), Math.exp(Math.max(-300, Math.min(300, down)) * WHEEL_STEP), false);
  }, { passive: false });

  const stepCursor = (pixels) => {
    const { cursor, from, to } = plot.now, x = plot.pixelAt(Number((cursor ?? middle()) - plot.now.base)) + pixels;
    const ns = plot.timeAt(x);
    act.cursor(ns < from ? from : ns >= to ? to - 1n : ns);
  };
  canvas.addEventListener('keydown', (event) => {
    if (!plot.area || event.ctrlKey || event.altKey || event.metaKey) return;
    const { key, shiftKey } = event;
    const actions = {
      ArrowLeft: () => (shiftKey ? stepCursor(-5) : pan(-PAN)),
      ArrowRight: () => (shiftKey ? stepCursor(5) : pan(PAN)),
      '+': () => zoom(middle(), 0.5, false),
      '=': () => zoom(middle(), 0.5, false),
      '-': () => zoom(middle(), 2, false),
      Home: act.all,
      Backspace: act.back,
      Escape: () => {
        drag = null;
        plot.show({ selection: null });
        act.cursor(null);
      },
    };
    if (!actions[key]) return;
    event.preventDefault();
    actions[key]();
  });
  return { zoom: (factor) => plot.area && zoom(middle(), factor, true) };
}
