// pictures.js - what a point looks like.
//
// Three ways, the first that fits: a picture its payload names (a data URI, or a path on this
// server); the vector itself, when it is the pixels of a grey picture; else a fingerprint of the
// vector, bars by sign and size, by which equal vectors look equal.
import {el} from './dom.js';

const NAMES = ['image', 'picture', 'thumbnail', 'img', 'photo'];

/** The picture a payload names, or null. Other hosts are never asked. */
export function named(payload) {
  for (const key of NAMES) {
    const value = payload?.[key];
    if (typeof value === 'string' && (/^data:image\//.test(value) || /^\/(?!\/)/.test(value))) return value;
  }
  return null;
}

/** [height, width] when vectors like these are pictures, else null. A payload may say so. */
export function shape(vector, payload) {
  const said = payload?.image_shape ?? payload?.shape;
  if (Array.isArray(said) && said.length === 2 && said[0] * said[1] === vector?.length) return said;
  const side = Math.sqrt(vector?.length ?? 0);
  if (side < 8 || !Number.isInteger(side)) return null;
  return vector.every((x) => x >= 0) ? [side, side] : null;
}

const first = (v) => (Array.isArray(v?.[0]) ? v[0] : v); // a multi-vector shows its first row

/** The vector of a point that was read with vectors, of the field of this name. */
export function vectorOf(point, using) {
  const v = point.vector;
  if (!v) return null;
  return Array.isArray(v) ? first(v) : first(v[using || Object.keys(v)[0]] ?? null);
}

function drawGrey(vector, [height, width]) {
  const canvas = el('canvas', {class: 'grey', width, height});
  const pixels = new ImageData(width, height);
  const top = vector.reduce((a, b) => Math.max(a, b), 0);
  const scale = top <= 0 ? 0 : top <= 1 ? 255 / top : 255 / Math.max(top, 200);
  vector.forEach((x, i) => pixels.data.set([255, 255, 255, Math.min(255, x * scale)], 4 * i));
  canvas.getContext('2d').putImageData(pixels, 0, 0);
  return canvas;
}

function drawBars(vector) {
  const bars = Math.min(48, vector.length);
  const canvas = el('canvas', {class: 'bars', width: bars * 4, height: 96});
  const g = canvas.getContext('2d');
  const each = vector.length / bars;
  const means = Array.from({length: bars}, (_, i) => {
    const part = vector.slice(Math.floor(i * each), Math.max(Math.floor(i * each) + 1, Math.floor((i + 1) * each)));
    return part.reduce((a, b) => a + b, 0) / part.length;
  });
  const top = Math.max(...means.map(Math.abs)) || 1;
  means.forEach((m, i) => {
    const h = Math.max(1, Math.abs(m) / top * 46);
    g.fillStyle = m < 0 ? '#d58a35' : '#5aa781';
    g.fillRect(i * 4, m < 0 ? 48 : 48 - h, 3, h);
  });
  return canvas;
}

/** A picture of the point; its meaning is said by the text beside it. */
export function picture(point, using) {
  const src = named(point.payload);
  if (src) return el('img', {src, alt: '', loading: 'lazy'});
  const vector = vectorOf(point, using);
  if (!vector?.length || typeof vector[0] !== 'number') return el('div', {class: 'blank', 'aria-hidden': 'true'}, String(point.id ?? '?').slice(0, 8));
  const canvas = ((s) => (s ? drawGrey(vector, s) : drawBars(vector)))(shape(vector, point.payload));
  canvas.setAttribute('aria-hidden', 'true');
  return canvas;
}

/** Whether vectors are worth fetching for pictures: not when payloads name them, nor when huge. */
export const needsVectors = (points, dim) => !points.some((p) => named(p.payload)) && (dim ?? 0) <= 4096;

const TITLES = ['name', 'title', 'label', 'caption', 'text', 'word', 'file', 'category', 'class'];

/** The few words to write below a picture. */
export function title(payload) {
  if (!payload) return '';
  for (const key of TITLES) {
    if (typeof payload[key] === 'string' || typeof payload[key] === 'number') return String(payload[key]);
  }
  const [, value] = Object.entries(payload).find(([k, v]) => (typeof v === 'number' || (typeof v === 'string' && !v.startsWith('data:'))) && !NAMES.includes(k)) ?? [];
  return value === undefined ? '' : String(value);
}

/** A colour of the style sheet as a canvas wants it. */
export function colour(name) {
  const probe = el('span', {class: 'unseen'});
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
