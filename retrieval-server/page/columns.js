// Decodes an answer in the `columns` format of PROTOCOL.md into typed arrays.

const MAGIC = [0x93, 0x56, 0x43, 0x4f, 0x4c, 0x0d, 0x0a, 0x1a];
const MAJOR = 1;
const BATCH = 1, END = 2, BINS = 3;
const ARRAY = 256;
const ELEMENTS = [
  null, Uint8Array, Uint16Array, Int8Array, Int16Array, Int32Array, BigInt64Array, Uint8Array,
  Uint16Array, Uint32Array, BigUint64Array, Float32Array, Float64Array, Uint8Array, Uint8Array,
];
const TEXT = 13, STRUCTURE = 14;
const COLUMNS = {
  1: 'time_ns', 2: 'value', 4: 'string_offsets', 5: 'severity', 6: 'status', 11: 'edge',
  32: 'start_ns', 33: 'width_ns', 34: 'counts', 35: 'mean', 36: 'min', 37: 'max', 40: 'last',
  45: 'twmean', 47: 'severity',
};
const text = new TextDecoder();

/**
 * Blocks of samples or bins in their order, and the description of the end block.
 * Columns lie in place in `buffer`, little-endian as every browser's typed arrays are.
 */
export function decode(buffer) {
  const bytes = new Uint8Array(buffer), view = new DataView(buffer);
  if (buffer.byteLength < 16 || MAGIC.some((byte, i) => bytes[i] !== byte)) {
    throw new Error('The answer is not in the columns format.');
  }
  const major = view.getUint16(8, true);
  if (major > MAJOR) throw new Error(`The answer is columns ${major}; this page reads ${MAJOR}. Reload the page.`);
  const blocks = [];
  for (let at = 16; at + 64 <= buffer.byteLength;) {
    const block = readBlock(buffer, view, at);
    if (block.kind === END) return { blocks, end: block.about };
    if (block.kind === BATCH || block.kind === BINS) blocks.push(block);
    at += block.bytes;
  }
  throw new Error('The answer ends before its end block: the connection broke.');
}

function readBlock(buffer, view, at) {
  const kind = view.getUint32(at, true), columns = view.getUint32(at + 4, true);
  const bytes = Number(view.getBigUint64(at + 8, true));
  if (bytes < 64 || at + bytes > buffer.byteLength) throw new Error('The answer is damaged.');
  const nameAt = at + 64 + 24 * columns, nameBytes = view.getUint32(at + 40, true);
  const block = {
    kind, bytes,
    count: Number(view.getBigUint64(at + 16, true)),
    channel: view.getUint32(at + 24, true),
    isArray: view.getUint32(at + 28, true) >= ARRAY,
    element: view.getUint32(at + 28, true) % ARRAY,
    name: text.decode(new Uint8Array(buffer, nameAt, nameBytes)),
    about: JSON.parse(exactNanoseconds(
      text.decode(new Uint8Array(buffer, nameAt + nameBytes, view.getUint32(at + 44, true))) || '{}')),
  };
  for (let i = 0, entry = at + 64; i < columns; i += 1, entry += 24) {
    const name = COLUMNS[view.getUint32(entry, true)], Type = ELEMENTS[view.getUint32(entry + 4, true)];
    if (!name || !Type) continue;
    const offset = at + Number(view.getBigUint64(entry + 8, true));
    block[name] = new Type(buffer, offset, Number(view.getBigUint64(entry + 16, true)) / Type.BYTES_PER_ELEMENT);
  }
  return block;
}

/** Texts of a batch of scalar strings. */
export function strings(block) {
  const { value, string_offsets: offsets } = block;
  return Array.from({ length: block.count }, (_, i) =>
    text.decode(value.subarray(Number(offsets[i]), Number(offsets[i + 1]))));
}

export const isText = (block) => block.element === TEXT;
export const isPlottable = (block) => !block.isArray && block.element !== TEXT && block.element !== STRUCTURE;

/** Puts quotes around nanoseconds, which JSON.parse would round. Inside strings the quotes are escaped, so none match. */
export function exactNanoseconds(json) {
  return json.replace(/("\w*_ns":\s*)(-?\d{15,})/g, '$1"$2"');
}
